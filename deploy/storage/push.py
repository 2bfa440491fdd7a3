"""A local model repository into the bucket, in an order in which nobody ever loads half a version.

Files of a version, its card, then the configurations, which name it. What is removed goes the other way round.
"""

import re
import time
from pathlib import Path
from typing import Final

from contract.regular_files import read_file
from contract.text_models import is_text_model
from contract.version_directory import CARD, GPU_GRAPH, MOST_BYTES, TOKENIZER
from deploy.storage.bucket import Bucket, Report, StorageError
from deploy.storage.contents import CONFIGURATION, MOST_OTHER_BYTES, Contents, Model, is_file_name, read_listing
from deploy.storage.policy import chosen_versions, naming
from deploy.storage.version_fault import version_fault

_TEXT_FILES: Final = (TOKENIZER, CARD)
"""What the backend of text models reads of a version."""
_STORE_TICK_SECONDS: Final = 1.1
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")


def push(repository: Path, bucket: Bucket, report: Report, *, prune: bool) -> None:
    """Bring the bucket up to date with a repository.

    Args:
        repository: on this machine.
        bucket: where it goes.
        report: told of each thing done.
        prune: whether versions that no configuration names any more are removed.

    Raises:
        StorageError: the repository or the bucket is not what it must be. What was done so far harms nobody.
    """
    models = sorted(
        (path.parent for path in repository.glob(f"*/{CONFIGURATION}")), key=lambda path: _model_first(path.name)
    )
    if not models:
        raise StorageError(f"{repository} holds no model: name a model repository")
    before = read_listing(bucket.list())
    # Before the versions: one that is on trial must not answer all before its trial is known.
    for path in sorted(repository.glob("*.canary.json")):
        bucket.upload(path.name, read_file(path, MOST_OTHER_BYTES))
    named = {}
    for model in models:
        named[model.name] = _push_model(model, before.models.get(model.name, Model()), bucket, report)
    for name in before.trials:
        if not (repository / name).exists():
            bucket.remove(name)
    if prune:
        _prune(before, named, bucket, report)


def _push_model(model: Path, there: Model, bucket: Bucket, report: Report) -> set[str]:
    """Returns the versions that its configurations name now."""
    versions = [path.name for path in model.iterdir() if _VERSION.fullmatch(path.name)]
    configurations = {
        path.relative_to(model).as_posix(): read_file(path, MOST_OTHER_BYTES)
        for path in (*sorted(model.glob("configs/*.pbtxt")), model / CONFIGURATION)
        if is_file_name(path.name)
    }
    chosen: set[str] = set()
    for name, content in configurations.items():
        chosen |= chosen_versions(content, f"{model.name}/{name}", versions)
    if not chosen:
        raise StorageError(f"{model} has no version")
    written = [
        _push_version(model / number, there.versions.get(number, {}), bucket, report)
        for number in sorted(chosen, key=int)
    ]
    if any(written):
        # A store's times are whole seconds: a Triton that looked in this one would not see what else comes in it.
        time.sleep(_STORE_TICK_SECONDS)
    for name in sorted(name for name in _files(model) if not name.endswith(".pbtxt")):
        bucket.upload(f"{model.name}/{name}", read_file(model / name, MOST_OTHER_BYTES))
    for name, content in configurations.items():
        bucket.upload(f"{model.name}/{name}", naming(content, f"{model.name}/{name}", chosen))
    report(f"{model.name}: version {', '.join(sorted(chosen, key=int))} named in {bucket.address}")
    return chosen


def _push_version(version: Path, there: dict[str, tuple[int, str]], bucket: Bucket, report: Report) -> bool:
    """Returns whether something was written."""
    if fault := version_fault(version):
        raise StorageError(fault)
    prefix = f"{version.parent.name}/{version.name}"
    if CARD in there and bucket.read(f"{prefix}/{CARD}", MOST_BYTES[CARD]) != (version / CARD).read_bytes():
        raise StorageError(
            f"{bucket.address} has another version {version.name} of {version.parent.name}: a version never changes. "
            f"Publish yours under a new number, or push to another prefix"
        )
    names = _TEXT_FILES if is_text_model(version.parent.name) else _files(version)
    # One of another size was damaged since, or is not whole.
    missing = [
        name
        for name in names
        if CARD not in there or name not in there or there[name][0] != (version / name).stat().st_size
    ]
    # The card last, with which a version counts as whole; the graph for GPUs after its record.
    tags = {
        f"{prefix}/{name}": bucket.upload(f"{prefix}/{name}", version / name)
        for name in sorted(missing, key=lambda name: (name == CARD, name == GPU_GRAPH, name))
    }
    if not missing:
        return False
    found = bucket.list(prefix)
    if changed := [name for name, tag in tags.items() if tag and found.get(name, (0, ""))[1] != tag]:
        raise StorageError(
            f"{changed[0]} in {bucket.address} was changed by somebody else meanwhile: let one push at a time, remove "
            f"{prefix} there and push again"
        )
    report(f"{version.parent.name} version {version.name}: {', '.join(sorted(missing))} written")
    return True


def _files(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.is_file() and is_file_name(path.name)]


def _prune(before: Contents, named: dict[str, set[str]], bucket: Bucket, report: Report) -> None:
    for name in sorted(before.models, key=_model_first, reverse=True):
        for number, files in before.models[name].versions.items():
            if name not in named or number in named[name]:
                continue
            for file in sorted(files, key=lambda file: file != CARD):
                bucket.remove(f"{name}/{number}/{file}")
            report(f"{name} version {number} removed from {bucket.address}")


def _model_first(name: str) -> tuple[bool, str]:
    """A text model after its model: its versions wait for those in Triton."""
    return is_text_model(name), name
