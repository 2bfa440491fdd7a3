"""Keeps what is known of each served version: checked in a thread of its own, and again when its files change.

A version that can't be used is checked again with a growing backoff, and at once when a file changes.
One that could be used stays until two checks, a second apart, find it damaged: whoever takes a version
away or copies over one does it file by file, and Triton serves it until its next poll.
"""

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from contract.text_models import is_text_model
from contract.version_directory import GPU_GRAPH, INPUT_IDS, PROBABILITIES
from gateway.models.versions import (
    Contents,
    Fingerprint,
    UnusableVersionError,
    Version,
    check_configuration,
    fingerprint,
    read_contents,
    read_guarded,
)
from gateway.triton.client import ModelLimits
from gateway.triton.replica import ModelVersion
from gateway.triton.threads import in_thread

_CHECK_WAIT_SECONDS: Final = 5.0
"""Seconds until a check that goes on is waited for no longer; the next refresh sees what it found."""
_SUSPECT_SECONDS: Final = 1.0
"""For which a version that could be used stays when it is found damaged."""
_FIRST_BACKOFF: Final = 1.0
_LONGEST_BACKOFF: Final = 60.0
_SETTLING_SECONDS: Final = 60.0
"""From when changed files are seen here until Triton has certainly looked at them too (every few seconds; by default
every 15) and loaded them."""

_ANY: Final = ModelLimits(1, (INPUT_IDS,), (PROBABILITIES,), GPU_GRAPH)
"""What a version that can be used would have."""
_MOST_NOT_SERVED: Final = 4
"""Of one model: each that is whole keeps a tokenizer in memory."""
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")

Fault = tuple[str, str]
"""Of an `UnusableVersionError`: kind and sentence."""


@dataclass(frozen=True)
class _CheckResult:
    """What one check of a directory found."""

    fingerprint: Fingerprint | None
    contents: Contents | None = None
    fault: Fault | None = None


@dataclass
class _Entry:
    """One version, as far as it is known."""

    fingerprint: Fingerprint | None = None
    contents: Contents | None = None
    fault: Fault | None = None
    reading: int = 0
    """Of `contents`, see `Version`; 0 if there have never been any."""
    settled_at: float = 0.0
    suspect_since: float | None = None
    """When a version that could be used was first found damaged."""
    backoff: float = _FIRST_BACKOFF
    retry_at: float = 0.0
    check: asyncio.Future[_CheckResult] | None = None
    """Under way."""


class VersionReader:
    """Reads version directories. Lives in one event loop."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._listing: asyncio.Future[list[ModelVersion]] | None = None
        self._entries: dict[ModelVersion, _Entry] = {}
        self._readings = count(1)

    async def read(self, served: ModelVersion, limits: ModelLimits) -> Version:
        """The version, from memory if its directory has not changed.

        Raises:
            UnusableVersionError: the directory or the configuration is not what the gateway needs.
        """
        check_configuration(limits)
        entry = self._entries.setdefault(served, _Entry())
        wait_seconds = 0.0
        if entry.check is None:
            directory = self._repository / served.model / served.version
            due = asyncio.get_running_loop().time() >= entry.retry_at
            last = None if entry.suspect_since is not None or (entry.fault and due) else entry.fingerprint
            entry.check = in_thread(lambda: _check(directory, limits.graph, last))
            wait_seconds = _CHECK_WAIT_SECONDS
        await asyncio.wait({entry.check}, timeout=wait_seconds)
        if entry.check.done():
            check, entry.check = entry.check, None
            self._update(entry, check.result())
        if entry.contents is not None:
            card, tokenizer = entry.contents.card, entry.contents.tokenizer
            return Version(served, card, tokenizer, limits.max_batch_size, entry.reading, entry.settled_at)
        raise UnusableVersionError(*(entry.fault or ("check", "it is still being checked")))

    async def not_served(self, ready: Collection[ModelVersion]) -> list[ModelVersion]:
        """Versions in the repository that Triton should serve and does not, the newest few of each model.

        They are newer than the oldest that it serves; of a model that it does not serve at all any may be.
        """
        if self._listing is None:
            repository = self._repository
            self._listing = in_thread(lambda: _newer(repository, ready))
        await asyncio.wait({self._listing}, timeout=_CHECK_WAIT_SECONDS)
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
        self._entries = {row: entry for row, entry in self._entries.items() if row in served or entry.check is not None}

    def _update(self, entry: _Entry, result: _CheckResult) -> None:
        now = asyncio.get_running_loop().time()
        if result.contents is not None:
            entry.fingerprint, entry.contents, entry.fault = result.fingerprint, result.contents, None
            entry.suspect_since, entry.backoff = None, _FIRST_BACKOFF
            entry.settled_at = now + _SETTLING_SECONDS if entry.reading else 0.0
            entry.reading = next(self._readings)
        elif result.fault is None:
            # As it was.
            entry.suspect_since = None
        elif entry.contents is None or (
            result.fingerprint and entry.suspect_since and now - entry.suspect_since >= _SUSPECT_SECONDS
        ):
            entry.fingerprint, entry.contents, entry.fault = result.fingerprint, None, result.fault
            entry.suspect_since, entry.retry_at = None, now + entry.backoff
            entry.backoff = min(2 * entry.backoff, _LONGEST_BACKOFF)
        elif result.fingerprint and entry.suspect_since is None:
            # Not if the whole directory is gone: what has been read of it is still right.
            entry.suspect_since = now


def _newer(repository: Path, served: Collection[ModelVersion]) -> list[ModelVersion]:
    oldest: dict[str, int] = {}
    for row in served:
        oldest[row.model] = min(oldest.get(row.model, int(row.version)), int(row.version))
    found = []
    try:
        for model in sorted(path for path in repository.iterdir() if not is_text_model(path.name)):
            names = [path.name for path in model.iterdir() if path.is_dir()] if model.is_dir() else []
            numbers = sorted(int(name) for name in names if _VERSION.fullmatch(name))
            newer = [number for number in numbers if number > oldest.get(model.name, 0)]
            rows = [ModelVersion(model.name, str(number)) for number in newer]
            found += [row for row in rows if row not in served][-_MOST_NOT_SERVED:]
    except OSError:
        return []  # gone for a moment: what is served goes on being served
    return found


def _check(directory: Path, graph: str, last: Fingerprint | None) -> _CheckResult:
    seen = fingerprint(directory)
    if seen is None:
        return _CheckResult(None, fault=("file", f"{directory} can't be seen: is it there, and readable?"))
    if seen == last:
        return _CheckResult(seen)
    try:
        return _CheckResult(seen, contents=read_guarded(lambda: read_contents(directory, graph)))
    except UnusableVersionError as error:
        return _CheckResult(seen, fault=(error.kind, str(error)))
