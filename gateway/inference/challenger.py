"""Asks a model's challenger, in place of its default version or beside it, so that no client is worse off for it.

Where the challenger is to answer, it has half of the time that is left, and the default version answers what it fails.
As a shadow it is asked once the answer is known, in a task that no client waits for. A challenger that failed is left
alone for a while, so that one that hangs costs a client half of its time now and then, and not always.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from contract.labels import EMOTIONS
from contract.version_directory import DEFAULT_PROFILE
from gateway.errors.problems import Problem
from gateway.errors.triton_errors import TritonError
from gateway.inference.query import Query
from gateway.inference.version_inference import InferenceResult, VersionInference
from gateway.models.canary import Canary
from gateway.models.versions import Version
from gateway.telemetry.canary_metrics import CanaryMetrics, Role
from gateway.telemetry.request_record import RequestRecord
from gateway.triton.replica import ModelVersion

logger = logging.getLogger("gateway")

_REST_SECONDS: Final = 10.0
"""For which a challenger that failed is not asked."""
_SHADOW_SECONDS: Final = 5.0
"""After which an answer to a shadow's call is not waited for; the call itself goes on, as every one does."""
_MOST_SHADOW_ROWS: Final = 256
"""Texts, or parts of texts, under way at once in this process. More of them mean that Triton can't keep up with both
versions."""


class ChallengerCalls:
    """The calls to challengers that are under way. Lives in one event loop."""

    def __init__(self, inference: VersionInference, metrics: CanaryMetrics) -> None:
        self._inference = inference
        self._metrics = metrics
        self._rests_until: dict[ModelVersion, float] = {}
        self._shadows: set[asyncio.Task[None]] = set()
        self._shadow_rows = 0

    async def answer(
        self, canary: Canary, query: Query, deadline: float, record: RequestRecord
    ) -> InferenceResult | None:
        """The challenger's answer, or None if the default version is to answer.

        Args:
            canary: of the query's model.
            query: that names no version.
            deadline: on the event loop's clock.
            record: told what is learnt.
        """
        challenger = canary.challenger
        if not (canary.takes(query.texts) and _have_profile(canary, query) and not self._rests(challenger)):
            return None
        now = asyncio.get_running_loop().time()
        until = now + (deadline - now) / 2
        record.role = "canary"
        try:
            # The same deadline twice, so that giving up does not wait for calls that carry its rows.
            async with asyncio.timeout_at(until):
                result = await self._inference.infer(challenger, query, until, record)
        except (TritonError, Problem, TimeoutError) as error:
            if _is_failure(error):
                self._failed(challenger, "canary", error)
            return None
        self._metrics.request(challenger.name, "canary")
        return result

    def answered_by_default(self, canary: Canary, query: Query, answered: InferenceResult) -> None:
        """The default version has answered: the challenger is asked too, where it is a shadow, and not waited for."""
        self._metrics.request(answered.version.name, "default")
        challenger = canary.challenger
        if canary.trial.kind != "shadow" or not _have_profile(canary, query):
            return
        if answered.version.served == challenger.served:
            return  # The default version has just been unloaded.
        rows = answered.rows
        if self._rests(challenger) or (self._shadow_rows and self._shadow_rows + rows > _MOST_SHADOW_ROWS):
            self._metrics.dropped(challenger.name)
            return
        self._shadow_rows += rows
        task = asyncio.create_task(self._shadow(challenger, query, answered))
        self._shadows.add(task)
        task.add_done_callback(lambda task: self._shadow_ended(task, rows))

    async def close(self) -> None:
        """Wait for no shadow any more; for when the calls themselves have ended."""
        for task in self._shadows:
            task.cancel()
        if self._shadows:
            await asyncio.wait(self._shadows)

    async def _shadow(self, challenger: Version, query: Query, answered: InferenceResult) -> None:
        name = challenger.name
        until = asyncio.get_running_loop().time() + _SHADOW_SECONDS
        record = RequestRecord(endpoint="", method="", id="")  # that nobody reads: this is no request of a client
        try:
            async with asyncio.timeout_at(until):
                asked = replace(query, truncate=True, admit_parts=None)
                result = await self._inference.infer(challenger, asked, until, record)
        except (TritonError, Problem, TimeoutError) as error:
            if _is_failure(error):
                self._failed(challenger, "shadow", error)
            else:
                self._metrics.dropped(name)
            return
        self._metrics.request(name, "shadow")
        profile = query.profile or DEFAULT_PROFILE
        self._metrics.compared(name, *_compare(answered, result, profile), len(query.texts))

    def _shadow_ended(self, task: asyncio.Task[None], rows: int) -> None:
        self._shadows.discard(task)
        self._shadow_rows -= rows
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its own words may hold the client's.
            logger.error("a bug in a call to a shadow: %s", type(error).__qualname__)

    def _rests(self, challenger: Version) -> bool:
        return self._rests_until.get(challenger.served, 0.0) > asyncio.get_running_loop().time()

    def _failed(self, challenger: Version, role: Role, error: Exception) -> None:
        self._metrics.failed(challenger.name, role)
        if self._rests(challenger):
            return  # One of several that were under way.
        why = "it was too late" if isinstance(error, TimeoutError) else str(error)
        logger.warning(
            "model %s version %s failed as %s and is left alone for %g s: %s",
            *(challenger.model, challenger.version, role, _REST_SECONDS, why),
        )
        self._rests_until[challenger.served] = asyncio.get_running_loop().time() + _REST_SECONDS


def _is_failure(error: Exception) -> bool:
    """Whether the challenger is at fault: what is too long for it, or has too many parts, may be short enough for the
    default version."""
    return not (isinstance(error, Problem) and error.status < 500)


def _have_profile(canary: Canary, query: Query) -> bool:
    versions = (canary.default, canary.challenger)
    return query.profile is None or all(query.profile in version.card.profiles for version in versions)


def _compare(
    answered: InferenceResult, challenged: InferenceResult, profile: str
) -> tuple[list[int], int, list[float]]:
    """For each label the texts with the same decision; texts with the same most probable label; for each label the
    sum of absolute differences."""
    agreed, differences, top_agreed = [0] * len(EMOTIONS), [0.0] * len(EMOTIONS), 0
    ours, theirs = (_thresholds(result.version, profile) for result in (answered, challenged))
    for one, other in zip(answered.probabilities, challenged.probabilities, strict=True):
        top_agreed += one.index(max(one)) == other.index(max(other))
        for label in range(len(EMOTIONS)):
            agreed[label] += (one[label] >= ours[label]) == (other[label] >= theirs[label])
            differences[label] += abs(one[label] - other[label])
    return agreed, top_agreed, differences


def _thresholds(version: Version, profile: str) -> Sequence[float]:
    thresholds = version.card.profiles[profile].thresholds
    return [thresholds[emotion] for emotion in EMOTIONS]
