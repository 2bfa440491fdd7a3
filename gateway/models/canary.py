"""Which models have a canary: a newest version on trial, while the one before answers by default.

The trial is what `EMOTION_CANARY` says, or what was written with the version (`contract.canary`). `off` from either
ends it; otherwise the setting goes before the file. A version that repeats an older one is never on trial: who rolls
back wants it to answer.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from contract.canary import OFF, CanaryError, Trial, read_trials
from gateway.models.versions import Version
from gateway.triton.replica import ModelVersion
from gateway.triton.threads import in_thread

logger = logging.getLogger("gateway")

_READ_WAIT_SECONDS: Final = 5.0
"""Until what was read before goes on to hold; a file system may hang."""
_CHARACTERS_READ: Final = 1000
_DIGEST_BYTES: Final = 8
_DIGESTS: Final = float(1 << 8 * _DIGEST_BYTES)


@dataclass(frozen=True)
class Canary:
    """Two versions of one model."""

    default: Version
    """The one before, which answers by default."""
    challenger: Version
    """The newest."""
    trial: Trial
    """Its kind is `share` or `shadow`."""

    def takes(self, texts: Sequence[str]) -> bool:
        """Whether the challenger is to answer a request.

        A hash of the beginning of its first text says so: who asks the same again gets the same version's answer, from
        any worker and gateway. Each challenger draws other texts.
        """
        if not self.trial.share:
            return False
        start = texts[0][:_CHARACTERS_READ].encode("utf-8", "surrogatepass")
        digest = blake2b(start, digest_size=_DIGEST_BYTES, key=self.challenger.version.encode())
        return int.from_bytes(digest.digest()) < self.trial.share * _DIGESTS


class CanaryReader:
    """Reads the trials of the versions that are served. Lives in one event loop."""

    def __init__(self, repository: Path, setting: Trial | None) -> None:
        """Begin with nothing read.

        Args:
            repository: where the files are.
            setting: the trial of every newest version; None if the files say it.
        """
        self._repository = repository
        self._setting = setting
        self._reading: asyncio.Future[dict[str, dict[str, Trial] | CanaryError]] | None = None
        self._trials: dict[str, dict[str, Trial] | CanaryError] = {}

    async def read(
        self, models: Mapping[str, Sequence[Version]], left_out: Collection[ModelVersion]
    ) -> dict[str, Canary]:
        """The canary of each model that has one.

        Args:
            models: usable versions by model, newest first.
            left_out: versions that can't be used.
        """
        candidates = {
            model: versions for model, versions in models.items() if _may_have_canary(model, versions, left_out)
        }
        if self._setting == OFF or not candidates:
            return {}
        await self._read_files(list(candidates))
        canaries = {}
        for model, (newest, before, *_) in candidates.items():
            trial = self._trial(model, newest.version)
            if trial is not None and trial.under_way:
                canaries[model] = Canary(before, newest, trial)
        return canaries

    def _trial(self, model: str, version: str) -> Trial | None:
        trials = self._trials.get(model, {})
        if isinstance(trials, CanaryError):
            return None
        written = trials.get(version)
        return written if written == OFF or self._setting is None else self._setting

    async def _read_files(self, models: list[str]) -> None:
        if self._reading is None:
            self._reading = in_thread(lambda: {model: _read(self._repository, model) for model in models})
        await asyncio.wait({self._reading}, timeout=_READ_WAIT_SECONDS)
        if not self._reading.done():
            return
        reading, self._reading = self._reading, None
        before, self._trials = self._trials, reading.result()
        for model, trials in self._trials.items():
            if isinstance(trials, CanaryError) and str(trials) != str(before.get(model)):
                logger.warning("model %s has no canary, its newest version answers by default: %s", model, trials)


def report_canaries(before: Mapping[str, Canary], now: Mapping[str, Canary]) -> None:
    """Log what has changed."""
    for model, canary in now.items():
        if _described(canary) != _described(before.get(model)):
            logger.info("model %s: %s", model, _described(canary))
    for model in before.keys() - now.keys():
        logger.info("model %s: no canary any more, its newest usable version answers by default", model)


def _described(canary: Canary | None) -> str:
    if canary is None:
        return ""
    part = "is asked too (shadow)" if canary.trial.kind == "shadow" else f"answers {canary.trial} of such requests"
    return f"version {canary.default.version} answers by default, version {canary.challenger.version} {part}"


def _may_have_canary(model: str, versions: Sequence[Version], left_out: Collection[ModelVersion]) -> bool:
    newest = versions[0]
    return (
        len(versions) > 1
        and newest.card.repeats is None
        and not any(row.model == model and int(row.version) > int(newest.version) for row in left_out)
    )


def _read(repository: Path, model: str) -> dict[str, Trial] | CanaryError:
    try:
        return read_trials(repository, model)
    except CanaryError as error:
        return error
