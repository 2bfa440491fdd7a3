"""The version directories of a model: found, checked, added, repeated and removed.

Triton polls the repository while this happens, and others may publish at the same time: whatever
appears or disappears in it does so with one rename, and no number is ever given twice.
"""

import errno
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from contract.canary import Trial
from contract.regular_files import read_file
from contract.version_directory import CARD, GPU_GRAPH, GPU_RECORD, MOST_GRAPH_BYTES, Card, CardError, read_card
from training.common.command import TrainingError
from training.common.staging import explained, move, staged, write_file
from training.export.integrity import damage
from training.export.text_models import follow_versions, forget_version, refuse_text_model
from training.export.triton_config import CONFIGURATIONS, LABELS_FILE, VERSIONS_SERVED, write_model_directory
from training.publish.trials import write_trial
from training.publish.triton.rules import entries, next_number, obstacles

MODEL_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER: Final = re.compile(r"[1-9][0-9]*")
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST)


def versions_of(model_directory: Path) -> list[Path]:
    """Version directories, oldest first; none if there is no such model.

    Raises:
        TrainingError: the model's directory cannot be read.
    """
    found = [path for path in entries(model_directory) if _NUMBER.fullmatch(path.name) and os.path.isdir(path)]
    return sorted(found, key=lambda path: int(path.name))


def find_version(repository: Path, model: str, version: str) -> Path:
    """A version's directory.

    Raises:
        TrainingError: there is none; says which there are.
    """
    versions = versions_of(repository / model)
    if not versions:
        raise TrainingError(f"{repository} holds no version of a model {model!r}")
    for directory in versions:
        if directory.name == version:
            return directory
    known = ", ".join(path.name for path in versions)
    raise TrainingError(f"{model} has no version {version!r}; there are: {known}")


def check_can_add(repository: Path, model: str) -> None:
    """That a version could be added, and served, before the work of making one.

    Raises:
        TrainingError: the name is no model's, the repository cannot be written, or something in it would keep
            Triton from serving one more version.
    """
    check_writable(repository, model)
    model_directory = repository / model
    if found := obstacles(model_directory, added=next_number(model_directory)):
        raise TrainingError(
            f"NVIDIA's Triton would not serve a version added to {model}: "
            f"{'; '.join(each.sentence for each in found)}. It counts damaged versions too, and serves none that it "
            f"chooses together with one. Nothing was changed. Take the damage out with "
            f"`python -m training.publish quarantine --model {model}`, or with --quarantine here"
        )


def check_writable(repository: Path, model: str) -> None:
    """That a model's directory can be changed.

    Raises:
        TrainingError: the name is no model's, or the repository cannot be written.
    """
    if not MODEL_NAME.fullmatch(model):
        raise TrainingError(f"{model!r} is no model name: use letters, digits and _")
    refuse_text_model(model)
    place = repository.resolve() / model
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise TrainingError(f"{place} is a file: name another repository or model")
    if not os.access(place, os.W_OK | os.X_OK):
        raise TrainingError(f"{place} is not writable: publish as a user, and to a disk, that may change it")


def add_version(repository: Path, model: str, finished: Path, trial: Trial | None = None) -> Path:
    """Move a finished directory in as the model's next version, and give it to the text model; returns where it is.

    A model that is not there yet comes whole, with its configuration, in the same rename.

    Args:
        repository: the model repository; made if it is not there.
        model: the model's name.
        finished: the version's files, staged beside the repository.
        trial: what it gets of the requests that name no version; None leaves that to the gateway's setting.

    Raises:
        TrainingError: the repository cannot be written.
    """
    added = _move_in(repository, model, finished, trial)
    follow_versions(repository, model)
    return added


def _move_in(repository: Path, model: str, finished: Path, trial: Trial | None) -> Path:
    model_directory = repository / model
    with explained(repository):
        repository.mkdir(parents=True, exist_ok=True)
    new = finished.parent / "model"
    write_model_directory(new, model)
    if not model_directory.exists():
        first = new / "1"
        move(finished, first)
        try:
            move(new, model_directory)
            return model_directory / "1"
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            finished = first  # Another publish made the model meanwhile.
    _put_missing_files(new, model_directory)
    while True:
        target = model_directory / str(next_number(model_directory))
        # Before it is there, so that it is on trial from the first moment.
        write_trial(repository, model, target.name, trial)
        try:
            move(finished, target)
            return target
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            # Another publish took the number first; take the next.


def _put_missing_files(new: Path, model_directory: Path) -> None:
    with explained(model_directory):
        for name in (*CONFIGURATIONS, LABELS_FILE):
            target = model_directory / name
            if not os.path.lexists(target):
                target.parent.mkdir(exist_ok=True)
                os.replace(new / name, target)


def find_repeatable(repository: Path, model: str, version: str) -> Path:
    """The directory of an older version that can be published again.

    Raises:
        TrainingError: there is no such version, it is damaged or the newest already, or the repository cannot
            be written.
    """
    check_writable(repository, model)
    source = find_version(repository, model, version)
    if wrong := damage(source):
        raise TrainingError(f"{model} {version} is damaged and is not published again: {'; '.join(wrong)}")
    if source == versions_of(repository / model)[-1]:
        raise TrainingError(f"{model} {version} is the newest version already")
    return source


def roll_back(repository: Path, model: str, version: str) -> Path:
    """Publish an older version's files again, under the next number, with a card that says so.

    Raises:
        TrainingError: there is no such version, it is damaged or the newest already, the repository cannot
            be written, or something in it would keep Triton from serving one more version.
    """
    source = find_repeatable(repository, model, version)
    check_can_add(repository, model)
    with staged(repository.resolve().parent) as directory:
        try:
            card = read_card(source)
            gpu = (GPU_GRAPH, GPU_RECORD) if os.path.lexists(source / GPU_GRAPH) else ()
            contents = ((name, read_file(source / name, MOST_GRAPH_BYTES)) for name in (*card.files, *gpu))
            for name, content in contents:
                write_file(directory / name, content)
        except (CardError, OSError) as error:
            raise TrainingError(f"{model} {version} was taken away while it was read ({error})") from error
        write_card(directory, card.model_copy(update={"repeats": version, "published": now()}))
        if wrong := damage(directory):
            raise TrainingError(f"{model} {version} changed while it was read: {'; '.join(wrong)}")
        return add_version(repository, model, directory)


def prune(repository: Path, model: str, keep: int) -> list[Path]:
    """Remove old versions, and what killed publishes left; returns the directories removed.

    The newest `keep` whole versions stay, and everything newer than the oldest of them: a damaged
    version never pushes a whole one out.

    Raises:
        TrainingError: `keep` is less than what Triton serves, there is no such model, or the
            repository cannot be written.
    """
    if keep < VERSIONS_SERVED:
        raise TrainingError(f"{keep} versions are too few to keep: Triton serves the newest {VERSIONS_SERVED}")
    check_writable(repository, model)
    versions = versions_of(repository / model)
    if not versions:
        raise TrainingError(f"{repository} holds no version of a model {model!r}")
    whole = [directory for directory in versions if not damage(directory)]
    old_ones = versions[: versions.index(whole[-keep])] if len(whole) >= keep else []
    removed = []
    # Entering it also removes the leftovers; moving a version there takes it away at once.
    with staged(repository.resolve().parent) as directory:
        for old in old_ones:
            forget_version(repository, model, old.name)
            try:
                move(old, directory / old.name)
            except FileNotFoundError:
                continue  # Another prune was faster.
            removed.append(old)
    return removed


def write_card(directory: Path, card: Card) -> None:
    """Write `card.json`."""
    write_file(directory / CARD, (card.model_dump_json(indent=2, exclude_none=True) + "\n").encode())


def now() -> datetime:
    """The time, to the second, in UTC: a card's `published`."""
    return datetime.now(UTC).replace(microsecond=0)
