"""Which models and versions are served: asked from Triton, again and again.

Triton says what answers, the version directories say how to feed it, and are checked first. A
version that Triton has loaded since is found by the next refresh, which comes once an interval, and
at once when a request needs it. What is wrong with one version costs that version alone.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc

from gateway.errors import problems
from gateway.errors.triton_errors import TritonError
from gateway.models.canary import Canary, CanaryReader, report_canaries
from gateway.models.version_reader import VersionReader
from gateway.models.versions import UnusableVersionError, Version
from gateway.telemetry.metrics import Metrics
from gateway.triton.client import Index, Triton
from gateway.triton.replica import ModelVersion

logger = logging.getLogger("gateway")

MODEL_PREFIX: Final = "emotion_"
REFRESH_TIMEOUT: Final = 5.0
"""Seconds. Triton answers nothing about its repository while it loads a model."""
MAX_AGE: Final = 0.1
"""Seconds for which a refresh is recent enough, so that a flood of requests for a model that does
not exist is no flood of calls to Triton."""


@dataclass(frozen=True)
class UnusableVersion:
    """A version that Triton serves and the gateway can't use."""

    served: ModelVersion
    kind: str
    reason: str


@dataclass(frozen=True)
class ServedModels:
    """What one refresh found. Replaced as a whole, never changed."""

    models: Mapping[str, tuple[Version, ...]] = field(default_factory=dict)
    """Usable versions by model, newest first."""
    unusable: tuple[UnusableVersion, ...] = ()
    down: frozenset[str] = frozenset()
    """Models of Triton's repository of which no version answers at the moment."""
    canaries: Mapping[str, Canary] = field(default_factory=dict)
    """Of the models whose newest version is on trial."""

    def model_name(self, name: str) -> str | None:
        """The served model meant by a name with or without `emotion_`."""
        return next((full for full in (name, MODEL_PREFIX + name) if full in self.models), None)

    def find(self, model: str, version: str | None, *, by_default: bool = False) -> Version:
        """The version asked for, or the newest; the one before, while the newest is on trial.

        Args:
            model: with or without `emotion_`.
            version: None for the one that answers by default.
            by_default: whether the gateway chose the model, and not the client.

        Raises:
            Problem: 404, no such model or version; says which there are. 503, there is
                none at all, as while Triton starts or stops, or the model is there and
                does not answer at the moment: no client can mend that, and trying again may.
        """
        if not self.models:
            raise problems.unavailable("Triton serves no model that the gateway can use.")
        full_name = self.model_name(model)
        if full_name is None:
            if by_default or not self.down.isdisjoint((model, MODEL_PREFIX + model)):
                raise problems.unavailable(f"Model {model[:80]!r} is not served at the moment: try again.")
            known = ", ".join(sorted(self.models))
            raise problems.not_found(f"There is no model {model[:80]!r}. Served: {known}.")
        versions = self.models[full_name]
        if version is None:
            return self.default_version(full_name)
        for candidate in versions:
            if candidate.version == version:
                return candidate
        known = ", ".join(candidate.version for candidate in versions)
        raise problems.not_found(f"Model {full_name} has no version {version[:80]!r}. Served: {known}.")

    def default_version(self, model: str) -> Version:
        """Which version of a served model answers by default."""
        canary = self.canaries.get(model)
        return canary.default if canary is not None else self.models[model][0]


class Catalogue:
    """The current `ServedModels`, and how it is kept current."""

    def __init__(self, triton: Triton, reader: VersionReader, canaries: CanaryReader, metrics: Metrics) -> None:
        self._triton = triton
        self._reader = reader
        self._canaries = canaries
        self._metrics = metrics
        self._refresh_under_way: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")
        """When the last refresh that succeeded was begun, on the event loop's clock."""
        self.served = ServedModels()
        """What the last refresh that succeeded found."""

    async def find(self, model: str, version: str | None, *, by_default: bool = False) -> Version:
        """The version asked for, asking Triton anew if it isn't known; see `ServedModels.find`.

        Raises:
            Problem: 404, Triton serves no such thing; 503, not at the moment.
            TritonError: it isn't known, and Triton can't be asked.
        """
        try:
            return self.served.find(model, version, by_default=by_default)
        except problems.Problem:
            await self.refresh()
            return self.served.find(model, version, by_default=by_default)

    async def refresh(self, max_age: float = MAX_AGE) -> None:
        """Ask Triton what it serves; callers at the same time share one refresh.

        Args:
            max_age: seconds; a refresh begun no longer ago is enough. 0 begins a new one.

        Raises:
            TritonError: Triton is not there or does not answer; what is known stays.
        """
        begun_by = asyncio.get_running_loop().time() - max_age
        while self._refreshed_at < begun_by:
            if self._refresh_under_way is None or self._refresh_under_way.done():
                self._refresh_under_way = asyncio.create_task(self._refresh())
                # Whoever waits gets the exception; nobody has to.
                self._refresh_under_way.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.shield(self._refresh_under_way)

    async def close(self) -> None:
        """End a refresh under way."""
        if self._refresh_under_way is not None:
            self._refresh_under_way.cancel()
            await asyncio.wait([self._refresh_under_way])

    async def _refresh(self) -> None:
        begun_at, looked_at = asyncio.get_running_loop().time(), time.time()
        try:
            found = await self._query_triton()
        except TritonError as error:
            if not error.may_be_unloaded:
                raise
            # A version may have gone between the list and the question about it.
            found = await self._query_triton()
        self._report(found, looked_at)
        self.served = found
        self._refreshed_at = begun_at

    async def _query_triton(self) -> ServedModels:
        index = await self._triton.index(REFRESH_TIMEOUT)
        ready = [*index.ready, *await self._still_ready(index)]
        found = await asyncio.gather(*map(self._read, ready))
        others = await self._reader.not_served(ready)
        damaged = [
            UnusableVersion(row, damage.kind, str(damage))
            for row, damage in zip(others, await asyncio.gather(*map(self._reader.damage, others)), strict=True)
            if damage is not None
        ]
        self._reader.keep_only([*ready, *others])
        usable: dict[str, list[Version]] = {}
        for version in found:
            if isinstance(version, Version):
                usable.setdefault(version.model, []).append(version)
        models = {
            model: tuple(sorted(versions, key=_number, reverse=True)) for model, versions in sorted(usable.items())
        }
        unusable = (*(version for version in found if isinstance(version, UnusableVersion)), *damaged)
        canaries = await self._canaries.read(models, [version.served for version in unusable])
        return ServedModels(models, unusable, index.down, canaries)

    async def _still_ready(self, index: Index) -> list[ModelVersion]:
        """Versions that the index lacks and that answer nevertheless.

        Triton makes the index from its model repository, and where that is a bucket, an empty one makes an empty index
        while everything is served.
        """
        known = [version.served for versions in self.served.models.values() for version in versions]
        lost = [row for row in known if row not in index.ready]
        answers = await asyncio.gather(*(self._triton.is_ready(row, REFRESH_TIMEOUT) for row in lost))
        return [row for row, is_ready in zip(lost, answers, strict=True) if is_ready]

    async def _read(self, row: ModelVersion) -> Version | UnusableVersion:
        try:
            limits = await self._triton.model_limits(row, REFRESH_TIMEOUT)
            return await self._reader.read(row, limits)
        except UnusableVersionError as error:
            return UnusableVersion(row, error.kind, str(error))
        except TritonError as error:
            if error.may_be_unloaded or error.code == grpc.StatusCode.DEADLINE_EXCEEDED:
                # That is Triton's state, and no version's.
                raise
            return UnusableVersion(row, "configuration", "Triton does not tell its configuration")

    def _report(self, found: ServedModels, looked_at: float) -> None:
        for entry in found.unusable:
            if entry not in self.served.unusable:
                model, version = entry.served.model, entry.served.version
                logger.warning("model %s version %s is left out: %s", model, version, entry.reason)
        for model, versions in found.models.items():
            before = {version.version for version in self.served.models.get(model, ())}
            new = [version.version for version in versions if version.version not in before]
            if new:
                logger.info("model %s: version %s found", model, ", ".join(new))
        report_canaries(self.served.canaries, found.canaries)
        self._metrics.looked(
            looked_at,
            {version.name: version.card.reference for versions in found.models.values() for version in versions},
            {(row.served.model, row.served.version, row.kind) for row in found.unusable},
        )


def _number(version: Version) -> int:
    return int(version.version)
