"""The model repository, at first sight: whether there is a model in it to serve."""

import os
from pathlib import Path

from server.errors import ModelRepositoryError


def check_repository(repository: Path) -> None:
    """Check that there is a model to serve.

    Raises:
        ModelRepositoryError: nothing there, not a directory, or no model in it.
    """
    try:
        models = model_directories(repository)
    except FileNotFoundError:
        raise ModelRepositoryError(f"the model repository {repository} is not there: see --model-repository.") from None
    except NotADirectoryError:
        raise ModelRepositoryError(
            f"the model repository {repository} is not a directory: see --model-repository."
        ) from None
    except OSError as error:
        raise ModelRepositoryError(f"the model repository {repository} can't be read ({error.strerror}).") from None
    if not any(_may_hold_a_model(path) for path in models):
        raise ModelRepositoryError(
            f"the model repository {repository} has no model in it: it needs "
            f"<model>/config.pbtxt and <model>/<version>/ with the model's file."
        )


def model_directories(repository: Path) -> list[Path]:
    """The directories of a repository, by name, but for the hidden ones: each may be a model.

    Raises:
        OSError: it can't be read.
    """
    # Not `Path.is_dir` of each: where the repository is moved away meanwhile, none would be one.
    with os.scandir(repository) as entries:
        return sorted(Path(entry) for entry in entries if entry.name[0] != "." and _is_directory(entry))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return True  # as below


def _may_hold_a_model(model: Path) -> bool:
    try:
        return (model / "config.pbtxt").exists() or bool(_versions(model))
    except OSError:
        return True  # what is wrong with it is told when it is to be shown to Triton


def _versions(model: Path) -> list[Path]:
    return [path for path in model.iterdir() if path.is_dir() and path.name.isdecimal()]
