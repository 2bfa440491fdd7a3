"""A local copy of the bucket's model repository, in which nobody ever sees half a version.

A version is downloaded beside the directory, checked against its card (SHA-256 of every file) and renamed in; the
configuration, which makes Triton load it, follows. Whatever is wrong with the bucket, what is here stays.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contract.canary import CanaryError, canary_file, read_trials
from contract.text_models import SUFFIX, is_text_model
from contract.version_directory import (
    GPU_GRAPH,
    MOST_BYTES,
    MOST_GRAPH_BYTES,
)
from deploy.storage.bucket import Bucket, Report, StorageError
from deploy.storage.contents import CONFIGURATION, MOST_OTHER_BYTES, Contents, read_listing
from deploy.storage.policy import chosen_versions, naming
from deploy.storage.version_fault import version_fault

_AGAIN_SECONDS: Final = 600.0
"""Until a version that was damaged is downloaded again, if its objects have not changed."""


class LocalCopy:
    """The directory, and what is known of it. One process at a time keeps it."""

    def __init__(self, directory: Path, bucket: Bucket, keep_seconds: float) -> None:
        """Nothing is read or written yet.

        Args:
            directory: of the copy; what is new is made in the one it lies in.
            bucket: whose copy it is.
            keep_seconds: for which a version stays that no configuration wants any more.
        """
        self._directory = directory.absolute()
        self._bucket = bucket
        self._keep_seconds = keep_seconds
        self._staging_prefix = f".{self._directory.name}.fetching-"
        self._models: dict[str, list[str]] = {}
        """Names of configurations by model, but for text models."""
        self._read: dict[str, tuple[str, bytes]] = {}
        """Small objects by name, with the entity tag that they had."""
        self._checked: set[Path] = set()
        """Version directories that were found whole."""
        self._damaged: dict[Path, tuple[object, float, str]] = {}
        """What was downloaded damaged: the listing of its files, when, and what was wrong."""
        self._unwanted: dict[Path, float] = {}
        """Since when nothing wants a directory."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from keeping the same directory; what a killed process left is removed.

        Raises:
            StorageError: another process does, or the place can't be written.
        """
        place = self._directory.parent
        path = place / f".{self._directory.name}.lock"
        with _explained(place):
            self._directory.mkdir(parents=True, exist_ok=True)
            # Versions that the bucket lacks are removed here: they must have come from it.
            if not path.exists() and (there := os.listdir(self._directory)):
                raise StorageError(
                    f"{self._directory} holds what was not fetched, such as {min(there)}: name a directory that is "
                    f"empty, or is none yet"
                )
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"another process keeps {self._directory} already") from None
        else:
            for leftover in os.listdir(place):
                if leftover.startswith(self._staging_prefix):
                    shutil.rmtree(place / leftover, ignore_errors=True)
            yield
        finally:
            os.close(lock)

    def update(self, report: Report) -> list[str]:
        """Bring the copy up to date; returns a sentence for each thing that is wrong.

        Raises:
            StorageError: the bucket can't be listed.
        """
        contents = read_listing(self._bucket.list())
        if not contents.models:
            return [f"{self._bucket.address} holds no model: is the prefix right? Nothing is changed here"]
        with _explained(self._directory):
            self._directory.mkdir(exist_ok=True)  # somebody may have removed it
        problems = []
        if contents.foreign:
            problems.append(
                f"{len(contents.foreign)} objects are no part of a repository, such as "
                f"{contents.foreign[0][:100]!r}; they are left out"
            )
        models = sorted(contents.models, key=lambda name: (is_text_model(name), name))
        self._models = {name: contents.models[name].configurations for name in models if not is_text_model(name)}
        wanted: set[Path] = set()
        for name in models:
            try:
                problems += self._update_model(name, contents, wanted, report)
            except StorageError as error:
                problems.append(str(error))
                wanted |= self._versions_here(name)
        return problems + self._remove_unwanted(wanted, report)

    def lacking(self) -> str | None:
        """What keeps the copy from being served; None if every model has a whole version."""
        if not self._models:
            return "no model was found"
        for name, configurations in self._models.items():
            directory = self._directory / name
            if not any(directory.glob("[1-9]*/card.json")):
                return f"{name} has no whole version"
            if lacking := [file for file in configurations if not (directory / file).is_file()]:
                return f"{name} has no {lacking[0]}"
        return None

    def _versions_here(self, name: str) -> set[Path]:
        """A model's directory and those of its versions: all stay if they are wanted."""
        return {self._directory / name, *(self._directory / name).glob("[1-9]*")}

    def _copy_trial(self, name: str, contents: Contents, leaving: set[str]) -> None:
        """Bring a model's trials; those of versions that are leaving stay, since Triton may still serve them."""
        path = canary_file(self._directory, name)
        known = contents.trials.get(path.name)
        content = self._small(path.name, known[1]) if known else b"{}"
        with contextlib.suppress(CanaryError), _explained(path):  # the gateway says what is wrong
            if stay := {key: each for key, each in read_trials(self._directory, name).items() if key in leaving}:
                with self._staged() as staging:
                    (staging / path.name).write_bytes(content)
                    trials = stay | read_trials(staging, name)
                content = json.dumps({key: str(each) for key, each in trials.items()}).encode()
        if known or content != b"{}":
            self._write(path, content)
        else:
            with _explained(path):
                path.unlink(missing_ok=True)

    def _update_model(self, name: str, contents: Contents, wanted: set[Path], report: Report) -> list[str]:
        directory, model = self._directory / name, contents.models[name]
        if directory.is_symlink():
            raise StorageError(f"{directory} is a link, and nothing is written where it leads: remove it")
        if CONFIGURATION not in model.files:
            raise StorageError(f"{name} has no {CONFIGURATION} in {self._bucket.address}: is it being pushed?")
        files = {file: self._small(f"{name}/{file}", tag) for file, (_, tag) in model.files.items()}
        finished = model.finished()
        chosen: set[str] = set()
        for file in model.configurations:
            chosen |= chosen_versions(files[file], f"{name}/{file}", finished)
        wanted |= {directory, *(directory / number for number in chosen)}
        # Before the versions: one that is on trial must not answer all before its trial is known.
        self._copy_trial(name, contents, {path.name for path in self._versions_here(name)} - chosen)
        problems, here = [], set()
        for number in sorted(chosen, key=int):
            try:
                if is_text_model(name):
                    self._link(directory, number)
                else:
                    self._bring(directory, number, model.versions.get(number, {}), finished, report)
            except StorageError as error:
                problems.append(str(error))
            else:
                here.add(number)
        if not here:
            wanted |= self._versions_here(name)
            return problems or [f"{name} has no version in the bucket"]
        if here != chosen:
            if all((directory / file).exists() for file in model.configurations):
                wanted |= self._versions_here(name)
                return problems  # the configuration that is here goes on choosing what is here
            files |= {file: naming(files[file], f"{name}/{file}", here) for file in model.configurations}
        # Configurations last: with them Triton loads what they choose.
        for file in sorted(files, key=lambda file: (file.endswith(".pbtxt"), file == CONFIGURATION)):
            self._write(directory / file, files[file])
        return problems

    def _bring(
        self,
        model: Path,
        number: str,
        files: dict[str, tuple[int, str]],
        finished: list[str],
        report: Report,
    ) -> None:
        """See that a version is here, and whole.

        Raises:
            StorageError: it can't be had.
        """
        target = model / number
        if not target.exists():
            self._checked.discard(target)
        elif target not in self._checked:
            if version_fault(target) is None:
                self._checked.add(target)
            else:
                report(f"{target} is damaged and fetched anew")
        if number not in finished:
            if target in self._checked:
                return
            raise StorageError(f"{model.name} version {number} is not whole in {self._bucket.address}: it has no card")
        new = files.keys() - set(os.listdir(target)) if target in self._checked else files.keys()
        if not new:
            return
        listing, since, fault = self._damaged.get(target, (None, 0.0, ""))
        if listing == files and time.monotonic() - since < _AGAIN_SECONDS:
            raise StorageError(fault)
        with self._staged() as staging:
            self._download(f"{model.name}/{number}", files, staging)
            if found := version_fault(staging):
                fault = f"{model.name} version {number} in {self._bucket.address} is not what its card says: " + found
                fault = fault.replace(f"{staging}/", "")
                self._damaged[target] = files, time.monotonic(), fault
                raise StorageError(fault)
            with _explained(target):
                if target in self._checked:
                    # The graph for GPUs, made later; its record says which it must be.
                    for file in sorted(new, key=lambda file: file == GPU_GRAPH):
                        os.replace(staging / file, target / file)
                else:
                    model.mkdir(exist_ok=True)
                    if target.exists():
                        os.rename(target, staging.parent / "old")
                    os.rename(staging, target)
        self._damaged.pop(target, None)
        self._checked.add(target)
        report(f"{model.name} version {number}: {', '.join(sorted(new))} fetched from {self._bucket.address}")

    def _link(self, directory: Path, number: str) -> None:
        """A text model's version is a link to its model's.

        Raises:
            StorageError: that is not here.
        """
        model = directory.name.removesuffix(SUFFIX)
        if not (self._directory / model / number).exists():
            raise StorageError(f"{directory.name} version {number} waits for that of {model}")
        path = directory / number
        with _explained(path):
            directory.mkdir(exist_ok=True)
            if not path.exists():
                path.unlink(missing_ok=True)
                path.symlink_to(Path("..", model, number))

    def _download(self, prefix: str, files: dict[str, tuple[int, str]], staging: Path) -> None:
        for file, (size, _) in sorted(files.items()):
            most = MOST_BYTES.get(file, MOST_GRAPH_BYTES)
            if size > most:
                raise StorageError(f"{prefix}/{file} has {size} bytes, and {most} are the most that it may have")
            self._bucket.download(f"{prefix}/{file}", staging / file, most)

    def _small(self, name: str, tag: str) -> bytes:
        known = self._read.get(name)
        if known is None or not tag or known[0] != tag:
            known = self._read[name] = tag, self._bucket.read(name, MOST_OTHER_BYTES)
        return known[1]

    def _write(self, path: Path, content: bytes) -> None:
        with _explained(path):
            if path.is_file() and path.read_bytes() == content:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._staged() as staging:
                (staging / "file").write_bytes(content)
                os.replace(staging / "file", path)

    def _remove_unwanted(self, wanted: set[Path], report: Report) -> list[str]:
        """Returns a sentence for each that can't be removed. What links lead to is left alone."""
        here = [path for path in self._directory.iterdir() if path.is_dir() and not path.is_symlink()]
        for model in tuple(here):
            # Text models' links go before what they lead to.
            here += [path for path in model.iterdir() if path.name.isdigit()]
        unwanted = {
            path for path in here if path not in wanted and not (path.parent in wanted and not path.name.isdigit())
        }
        now = time.monotonic()
        self._unwanted = {path: self._unwanted.get(path, now) for path in unwanted}
        problems = []
        for path, since in sorted(self._unwanted.items(), key=lambda item: not is_text_model(item[0].parent.name)):
            if now - since < self._keep_seconds or not os.path.lexists(path):
                continue
            try:
                with _explained(path), self._staged() as staging:
                    os.rename(path, staging / path.name)
            except StorageError as error:
                problems.append(str(error))
                continue
            self._checked.discard(path)
            report(f"{path} removed: nothing has wanted it for {self._keep_seconds:g} s")
        return problems

    @contextlib.contextmanager
    def _staged(self) -> Iterator[Path]:
        """An empty directory on the same file system; what is left in it, or beside it, goes."""
        with _explained(self._directory.parent):
            own = Path(tempfile.mkdtemp(prefix=self._staging_prefix, dir=self._directory.parent))
        try:
            staging = own / "new"
            staging.mkdir(mode=0o755)
            yield staging
        finally:
            shutil.rmtree(own, ignore_errors=True)


@contextlib.contextmanager
def _explained(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{error.filename or where} can't be written: {error.strerror}") from error
