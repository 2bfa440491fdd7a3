"""Takes what is damaged out of a model's directory, whole, into a directory beside the repository."""

import os
from pathlib import Path
from typing import Final

from contract.text_models import text_model
from training.common.command import TrainingError
from training.common.staging import explained, move
from training.export.text_models import forget_version
from training.publish.triton.index import DEFAULT_URL, wait_until_gone
from training.publish.triton.rules import Obstacle, counted_versions, obstacles, version_obstacles
from training.publish.versions import check_writable, find_version, versions_of

_SUFFIX: Final = ".quarantine"


def quarantine_damaged(repository: Path, model: str, newest_only: bool = False) -> list[tuple[Obstacle, Path]]:
    """Take out every version that is damaged, and what else Triton trips over.

    Args:
        repository: the model repository.
        model: the model's name.
        newest_only: only what would keep Triton from serving one more version.

    Returns:
        What was taken out, and where it is now.

    Raises:
        TrainingError: there is no such model, the repository cannot be written, or a configuration is
            damaged, which is mended and not taken out.
    """
    model_directory = repository / model
    check_writable(repository, model)
    if not model_directory.is_dir():
        raise TrainingError(f"{repository} holds no model {model!r}")
    found = obstacles(model_directory, added=_above_all(model_directory))
    if not newest_only:
        found += [
            each for number in counted_versions(model_directory) for each in version_obstacles(model_directory, number)
        ]
    taken, seen = [], set()
    for obstacle in found:
        if obstacle.path in seen:
            continue
        seen.add(obstacle.path)
        if obstacle.path.is_file() and obstacle.path.suffix in (".pbtxt", ".txt"):
            raise TrainingError(
                f"{obstacle.sentence}; restore it, or delete it and publish or roll back, which writes it"
            )
        taken.append((obstacle, _take_out(repository, model, obstacle.path)))
    return taken


def quarantine_blocking(repository: Path, model: str) -> None:
    """Take out what would keep Triton from serving one more version, and say so."""
    if (repository / model).is_dir():
        for obstacle, target in quarantine_damaged(repository, model, newest_only=True):
            print(f"moved {obstacle.path} to {target}: {obstacle.sentence}", flush=True)


def quarantine_version(repository: Path, model: str, version: str, url: str = DEFAULT_URL) -> Path:
    """Take out one version, damaged or not; returns where it is now.

    Its text model's comes first, and a Triton that answers at `url` gets the time to notice: that one asks the
    version, which may be served.

    Raises:
        TrainingError: there is no such version, it is the last one, or the repository cannot be written.
    """
    check_writable(repository, model)
    directory = find_version(repository, model, version)
    if len(versions_of(repository / model)) == 1:
        raise TrainingError(
            f"{model} {version} is the only version: publish another one first, or nothing would answer"
        )
    forget_version(repository, model, version)
    wait_until_gone(url, text_model(model), version)
    return _take_out(repository, model, directory)


def _above_all(model_directory: Path) -> int:
    return max([0, *counted_versions(model_directory)]) + 1


def _take_out(repository: Path, model: str, path: Path) -> Path:
    place = repository.resolve().parent / f"{repository.resolve().name}{_SUFFIX}" / model
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
    forget_version(repository, model, path.name)
    count = 0
    while True:
        count += 1
        target = place / (path.name if count == 1 else f"{path.name}-{count}")
        if os.path.lexists(target):
            continue
        try:
            move(path, target)
        except FileNotFoundError as error:
            raise TrainingError(f"{path} was taken away by somebody else") from error
        return target
