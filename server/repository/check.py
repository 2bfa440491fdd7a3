"""The model repository, at first sight: whether there is a model in it to serve."""

from pathlib import Path

from server.errors import ModelRepositoryError


def check_repository(repository: Path) -> None:
    """Check that there is a model to serve.

    Raises:
        ModelRepositoryError: nothing there, not a directory, or no model in it.
    """
    if not repository.exists():
        raise ModelRepositoryError(f"the model repository {repository} is not there: see --model-repository.")
    if not repository.is_dir():
        raise ModelRepositoryError(f"the model repository {repository} is not a directory: see --model-repository.")
    try:
        models = [path for path in repository.iterdir() if path.is_dir() and path.name[0] != "."]
    except OSError as error:
        raise ModelRepositoryError(f"the model repository {repository} can't be read ({error.strerror}).") from None
    if not any(_may_hold_a_model(path) for path in models):
        raise ModelRepositoryError(
            f"the model repository {repository} has no model in it: it needs "
            f"<model>/config.pbtxt and <model>/<version>/ with the model's file."
        )


def _may_hold_a_model(model: Path) -> bool:
    try:
        return (model / "config.pbtxt").exists() or bool(_versions(model))
    except OSError:
        return True  # what is wrong with it is told when it is to be shown to Triton


def _versions(model: Path) -> list[Path]:
    return [path for path in model.iterdir() if path.is_dir() and path.name.isdecimal()]
