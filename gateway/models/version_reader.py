"""Keeps what is known of each served version: checked in a thread of its own, and again when its files change.

A version that can't be used is looked at again with growing pauses, and at once when a file changes.
One that could be used stays until two looks, a second apart, find it damaged: whoever takes a version
away or copies over one does it file by file, and Triton serves it until its next poll.
"""

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.version_directory import GPU_GRAPH, INPUT_IDS, PROBABILITIES
from gateway.models.versions import (
    Contents,
    Stamp,
    UnusableVersionError,
    Version,
    check_limits,
    read_contents,
    stamp,
    without_surprises,
)
from gateway.triton.client import ModelLimits
from gateway.triton.replica import ModelVersion
from gateway.triton.threads import in_thread

_PATIENCE: Final = 5.0
"""Seconds until a check that goes on is waited for no longer; the next look sees what it found."""
_DOUBT_SECONDS: Final = 1.0
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0

_ANY: Final = ModelLimits(1, (INPUT_IDS,), (PROBABILITIES,), GPU_GRAPH)
"""What a version that can be used would have."""
_MOST_NOT_SERVED: Final = 4
"""Of one model: each that is whole keeps a tokenizer in memory."""
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")

Wrong = tuple[str, str]
"""Of an `UnusableVersionError`: kind and sentence."""


@dataclass(frozen=True)
class _Look:
    """What one look at a directory found."""

    stamp: Stamp | None
    contents: Contents | None = None
    wrong: Wrong | None = None


@dataclass
class _Known:
    """One version, as far as it is known."""

    stamp: Stamp | None = None
    contents: Contents | None = None
    wrong: Wrong | None = None
    doubted_at: float | None = None
    """When a version that could be used was first found damaged."""
    pause: float = _FIRST_PAUSE
    again_at: float = 0.0
    look: asyncio.Future[_Look] | None = None
    """Under way."""


class VersionReader:
    """Reads version directories. Lives in one event loop."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._listing: asyncio.Future[list[ModelVersion]] | None = None
        self._known: dict[ModelVersion, _Known] = {}

    async def read(self, served: ModelVersion, limits: ModelLimits) -> Version:
        """The version, from memory if its directory has not changed.

        Raises:
            UnusableVersionError: the directory or the configuration is not what the gateway needs.
        """
        check_limits(limits)
        known = self._known.setdefault(served, _Known())
        patience = 0.0
        if known.look is None:
            directory = self._repository / served.model / served.version
            due = asyncio.get_running_loop().time() >= known.again_at
            last = None if known.doubted_at is not None or (known.wrong and due) else known.stamp
            known.look = in_thread(lambda: _look(directory, limits.graph, last))
            patience = _PATIENCE
        await asyncio.wait({known.look}, timeout=patience)
        if known.look.done():
            look, known.look = known.look, None
            self._learn(known, look.result())
        if known.contents is not None:
            return Version(served, known.contents.card, known.contents.tokenizer, limits.max_batch_size)
        raise UnusableVersionError(*(known.wrong or ("check", "it is still being checked")))

    async def not_served(self, ready: Collection[ModelVersion]) -> list[ModelVersion]:
        """Versions in the repository that Triton should serve and does not, the newest few of each model.

        They are newer than the oldest that it serves; of a model that it does not serve at all any may be.
        """
        if self._listing is None:
            repository = self._repository
            self._listing = in_thread(lambda: _newer(repository, ready))
        await asyncio.wait({self._listing}, timeout=_PATIENCE)
        if not self._listing.done():
            return []
        listing, self._listing = self._listing, None
        return listing.result()

    async def damage(self, version: ModelVersion) -> UnusableVersionError | None:
        """What is wrong with the directory of a version that is not served, as far as can be told from outside."""
        try:
            await self.read(version, _ANY)
        except UnusableVersionError as error:
            return None if error.kind == "check" else error
        return None

    def keep_only(self, served: Collection[ModelVersion]) -> None:
        """Forget the versions that are no longer served; a tokenizer takes tens of MB."""
        self._known = {row: known for row, known in self._known.items() if row in served or known.look is not None}

    def _learn(self, known: _Known, look: _Look) -> None:
        now = asyncio.get_running_loop().time()
        if look.contents is not None:
            known.stamp, known.contents, known.wrong = look.stamp, look.contents, None
            known.doubted_at, known.pause = None, _FIRST_PAUSE
        elif look.wrong is None:
            # As it was.
            known.doubted_at = None
        elif known.contents is None or (look.stamp and known.doubted_at and now - known.doubted_at >= _DOUBT_SECONDS):
            known.stamp, known.contents, known.wrong = look.stamp, None, look.wrong
            known.doubted_at, known.again_at = None, now + known.pause
            known.pause = min(2 * known.pause, _LONGEST_PAUSE)
        elif look.stamp and known.doubted_at is None:
            # Not if the whole directory is gone: what has been read of it is still right.
            known.doubted_at = now


def _newer(repository: Path, served: Collection[ModelVersion]) -> list[ModelVersion]:
    oldest: dict[str, int] = {}
    for row in served:
        oldest[row.model] = min(oldest.get(row.model, int(row.version)), int(row.version))
    found = []
    try:
        for model in sorted(repository.iterdir()):
            names = [path.name for path in model.iterdir() if path.is_dir()] if model.is_dir() else []
            numbers = sorted(int(name) for name in names if _VERSION.fullmatch(name))
            newer = [number for number in numbers if number > oldest.get(model.name, 0)]
            rows = [ModelVersion(model.name, str(number)) for number in newer]
            found += [row for row in rows if row not in served][-_MOST_NOT_SERVED:]
    except OSError:
        return []  # gone for a moment: what is served goes on being served
    return found


def _look(directory: Path, graph: str, last: Stamp | None) -> _Look:
    seen = stamp(directory)
    if seen is None:
        return _Look(None, wrong=("file", f"{directory} can't be seen: is it there, and readable?"))
    if seen == last:
        return _Look(seen)
    try:
        return _Look(seen, contents=without_surprises(lambda: read_contents(directory, graph)))
    except UnusableVersionError as error:
        return _Look(seen, wrong=(error.kind, str(error)))
