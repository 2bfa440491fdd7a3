"""What Triton is shown of the model repository: a directory of links, without the versions that can't be loaded.

Triton loads the versions of a model that its policy chooses together: if one of them fails, none that was
to be loaded with it is served, and `latest: 2` counts the damaged ones. So one that failed is taken out of
the view, and its neighbours are served. It is shown again when its files change, and otherwise after pauses
that grow, because what was wrong may have been the machine.

A version that is a link to another model's version is shown only while that one is, and once Triton runs only when it
has loaded that one: a text model can't answer without the version that it asks.
"""

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.messages import not_loaded, report
from server.repository.check import model_directories
from server.repository.configurations import CONFIGS, ConfigurationChoice

FIRST_PAUSE: Final = 10.0
LONGEST_PAUSE: Final = 600.0
CONFIGURATION: Final = "config.pbtxt"
_VERSION: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_NUMBER_TO_TRITON: Final = re.compile(r"\s*[+-]?[0-9]")
"""It reads a directory's name up to where it is no number any more, and ends if that is more than 64 bits hold."""
_State = tuple[tuple[str, int, int, int], ...]


@dataclass
class _LeftOut:
    reason: str
    state: _State
    pause: float
    again_at: float


class RepositoryView:
    """A directory of links into a model repository, kept like it."""

    def __init__(
        self,
        repository: Path,
        directory: Path,
        clock: Callable[[], float] = time.monotonic,
        configuration: ConfigurationChoice | None = None,
    ) -> None:
        """Nothing is shown before the first `update`.

        Args:
            repository: what is served.
            directory: where the links are to be; made here, removed by whoever owns its parent.
            clock: seconds, from any moment on.
            configuration: which configuration of each model is shown; None: all.
        """
        self.directory = directory
        self._repository = repository.absolute()
        self._configuration = configuration
        self._clock = clock
        self._left_out: dict[tuple[str, str], _LeftOut] = {}
        self._loaded: set[tuple[str, str]] = set()
        self._asked: dict[tuple[str, str], tuple[str, str]] = {}
        """Of each version that is shown and is a link to another model's version, that one."""
        directory.mkdir()

    def update(self) -> None:
        """Show what is in the repository now.

        What can't be read, the whole repository too, stays as it was shown: it may be back in a moment.
        """
        try:
            models = {path.name: path for path in model_directories(self._repository)}
        except OSError:
            return
        # Where both are gone, a text model goes before its model.
        for name in sorted(set(os.listdir(self.directory)) - models.keys(), reverse=True):
            self._hide_model(name)
        for name, path in models.items():  # a model before its text model
            try:
                self._update_model(path)
            except FileNotFoundError:
                continue  # removed or moved away between two looks: the next update knows
            except OSError as error:
                self._note(name, "", f"{path} can't be read ({error.strerror})")
        self._forget_what_is_gone()

    def leave_out(self, model: str, version: str, reason: str) -> None:
        """Take a version out of the view because Triton could not load it."""
        self._note(model, version, reason)
        self._hide(model, version)

    def shows_anything(self) -> bool:
        """Whether Triton sees a version at all."""
        return any(_is_version(path.name) for path in self.directory.glob("*/*"))

    def loaded(self, model: str, version: str) -> None:
        """Triton serves a version: forget what was wrong with it.

        Not of one that is left out: Triton answers from memory until it has loaded another in its place.
        """
        if self.is_shown(model, version):
            self._left_out.pop((model, version), None)
            self._loaded.add((model, version))

    def is_shown(self, model: str, version: str) -> bool:
        """Whether Triton sees a version now."""
        return (self.directory / model / version).is_symlink()

    def shown_versions(self, model: str) -> list[str]:
        """The versions of a model that Triton sees now."""
        return [path.name for path in (self.directory / model).glob("*") if _is_version(path.name)]

    def reasons(self) -> dict[tuple[str, str], str]:
        """Why each version that is left out is, by model and version."""
        return {key: entry.reason for key, entry in self._left_out.items()}

    def _update_model(self, model: Path) -> None:
        if not _is_utf8(model.name):  # Triton's index, which names it, can then be read by nobody
            self._note(model.name, "", f"the name of {model} is not UTF-8: rename it")
            return
        shown = self.directory / model.name
        entries = [path for path in model.iterdir() if path.name[0] != "." and not self._is_left_out(model, path)]
        faults = {path: fault for path in entries if (fault := _fault(path))}
        asked = {path.name: other for path in entries if (other := self._other_version(path))}
        wanted = {path.name for path in entries if path not in faults and self._can_be_asked(asked.get(path.name))}
        of_the_model = [path for path in faults if not _is_numbered(path)]
        # Of a model's own files only one that leads nowhere can be left out alone: who opens another may wait for ever.
        can_be_shown = any(map(_is_version, wanted)) and not any(map(os.path.exists, of_the_model))
        chosen = self._configuration.of(model) if self._configuration and can_be_shown else None
        model.stat()  # if it was moved away meanwhile, nothing of what was found is so
        for path, fault in faults.items():
            self._note(model.name, path.name if _is_numbered(path) else "", fault)
        if not of_the_model:
            self._left_out.pop((model.name, ""), None)
        if not can_be_shown:
            self._hide_model(model.name)
            return
        if not shown.exists():
            self._show_model(model, wanted, chosen)
        else:
            self._link(model, wanted, chosen, shown)
        self._asked = {link: other for link, other in self._asked.items() if link[0] != model.name}
        self._asked |= {(model.name, name): other for name, other in asked.items()}
        for name in set(os.listdir(shown)) - wanted - ({CONFIGS} if self._configuration else set()):
            if _is_version(name):
                self._hide(model.name, name)
            elif name != CONFIGURATION:  # as below: while it is being replaced, Triton goes on as it is
                (shown / name).unlink()

    def _show_model(self, model: Path, wanted: set[str], chosen: Path | None) -> None:
        """A model that is not shown yet, as a whole: where Triton finds no `configs` yet, it takes `config.pbtxt`."""
        aside = self.directory.with_name(".unfinished")
        if aside.exists():  # of one for which there was no room
            shutil.rmtree(aside)
        aside.mkdir()
        self._link(model, wanted, chosen, aside)
        aside.rename(self.directory / model.name)

    def _link(self, model: Path, wanted: set[str], chosen: Path | None, directory: Path) -> None:
        """Add what is wanted of a model to a directory of links, versions last."""
        if self._configuration is not None:
            wanted = wanted - {CONFIGS}
            self._show_configuration(self._configuration.name, chosen, directory / CONFIGS)
        for name in sorted(wanted - set(os.listdir(directory)), key=_is_version):
            (directory / name).symlink_to(model / name)

    def _show_configuration(self, name: str, chosen: Path | None, directory: Path) -> None:
        """Of a model's named configurations, show the one that is chosen, under the name that Triton looks for."""
        link = directory / f"{name}.pbtxt"
        if chosen is None:
            link.unlink(missing_ok=True)
        elif not link.is_symlink() or link.readlink() != chosen:
            directory.mkdir(exist_ok=True)
            aside = directory / ".unfinished"
            aside.unlink(missing_ok=True)
            aside.symlink_to(chosen)
            aside.rename(link)  # without a moment in which Triton would find none, and take config.pbtxt

    def _is_left_out(self, model: Path, path: Path) -> bool:
        """Whether an entry was left out, has not changed since, and is not to be tried again yet."""
        known = self._left_out.get((model.name, path.name))
        return known is not None and self._clock() < known.again_at and _state(model, path) == known.state

    def _can_be_asked(self, other: tuple[str, str] | None) -> bool:
        """Whether a version that is asked by another model's can be, if there is one."""
        # At its start Triton has loaded nothing, and gets all at once.
        return other is None or (self.is_shown(*other) and (not self._loaded or other in self._loaded))

    def _other_version(self, path: Path) -> tuple[str, str] | None:
        """The other model and its version that an entry is a link to; None if it is something of its own."""
        if not (_is_version(path.name) and path.is_symlink()):
            return None
        # Path.resolve fails where links lead round in a circle; and a model's directory may be a link itself.
        directory, version = os.path.split(os.path.realpath(path))
        others = (model for model in model_directories(self._repository) if model.name != path.parent.name)
        found = [model.name for model in others if os.path.realpath(model) == directory]
        # Beside links to the whole directory it is itself that is asked.
        return (min(found, key=lambda name: name != os.path.basename(directory)), version) if found else None

    def _hide_model(self, model: str) -> None:
        for version in self.shown_versions(model):
            self._hide(model, version)
        if (directory := self.directory / model).exists():
            shutil.rmtree(directory)

    def _hide(self, model: str, version: str) -> None:
        # What can't answer without this one goes first: Triton's index is never to name it alone, as if it could.
        asking = [link for link, other in self._asked.items() if other == (model, version)]
        for name, number in (*asking, (model, version)):
            self._asked.pop((name, number), None)
            self._loaded.discard((name, number))
            directory = self.directory / name
            (directory / number).unlink(missing_ok=True)
            if directory.exists() and not any(map(_is_version, os.listdir(directory))):
                shutil.rmtree(directory)  # of a model without versions Triton complains at every look

    def _note(self, model: str, version: str, reason: str) -> None:
        path = self._repository / model / version
        state = _state(self._repository / model, path)
        known = self._left_out.get((model, version))
        again = known is not None and known.state == state
        pause = min(known.pause * 2, LONGEST_PAUSE) if known and again else FIRST_PAUSE
        self._left_out[model, version] = _LeftOut(reason, state, pause, self._clock() + pause)
        if not (known and again and known.reason == reason):
            report(f"warning: {not_loaded(model, version, reason)} It is left out: mend or remove it.")

    def _forget_what_is_gone(self) -> None:
        for model, version in list(self._left_out):
            if not os.path.lexists(self._repository / model / version):
                del self._left_out[model, version]


def _is_utf8(name: str) -> bool:
    try:
        os.fsencode(name).decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_version(name: str) -> bool:
    return _VERSION.fullmatch(name) is not None


def _is_numbered(path: Path) -> bool:
    """Whether an entry is a version, or a directory that Triton may take for one or die of."""
    return _is_version(path.name) or (_NUMBER_TO_TRITON.match(path.name) is not None and path.is_dir())


def _fault(path: Path) -> str | None:
    """Why Triton must not be shown an entry of a model's directory; None if it may see it."""
    if _is_numbered(path) and not _is_version(path.name):
        return f"{path} has no version's name: rename it to a whole number"
    # Triton gives up a whole model in which an entry leads nowhere. It should, if that is a configuration: without one
    # it would load the model anew.
    if path.is_symlink() and not os.path.exists(path) and path.suffix != ".pbtxt":
        return f"{path} leads nowhere: remove it"
    special = _special_file(path)
    return f"{special} is no regular file: remove it" if special else None


def _files(path: Path) -> Iterator[Path]:
    yield path
    for directory, directories, names in os.walk(path):
        yield from (Path(directory) / name for name in (*directories, *names))


def _state(model: Path, version: Path) -> _State:
    """What changes when somebody mends a version, or its model's configuration: sizes, times and places of files."""
    watched = list(_files(version))
    for directory in (model, model / CONFIGS):
        with contextlib.suppress(OSError):  # what can't be read is absent from the state, too
            watched += (path for path in directory.iterdir() if path.suffix == ".pbtxt")
    found = []
    for path in watched:
        try:
            status = path.stat()
        except OSError:
            continue  # a link to nowhere, or gone meanwhile: its absence is in the state too
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        found.append((str(path), status.st_ino, size, status.st_ctime_ns))
    return tuple(sorted(found))


def _special_file(path: Path) -> Path | None:
    """A FIFO, device or socket among a version's files: whoever opened it might wait for ever."""
    for file in _files(path):
        try:
            mode = file.stat().st_mode
        except OSError:
            continue  # whoever needs it says so
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return file
    return None
