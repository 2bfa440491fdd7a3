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
    models = [path for path in repository.iterdir() if path.is_dir() and path.name[0] != "."]
    if not any((path / "config.pbtxt").exists() or _versions(path) for path in models):
        raise ModelRepositoryError(
            f"the model repository {repository} has no model in it: it needs "
            f"<model>/config.pbtxt and <model>/<version>/ with the model's file."
        )


def _versions(model: Path) -> list[Path]:
    return [path for path in model.iterdir() if path.is_dir() and path.name.isdecimal()]
