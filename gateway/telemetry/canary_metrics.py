"""How a canary does: what it was asked, what it failed, and how far it agrees with the version that answers."""

from collections.abc import Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter

from contract.labels import EMOTIONS

Role = Literal["default", "canary", "shadow"]
_VERSION: Final = ("model", "version")


class CanaryMetrics:
    """Counted only while a model has a canary. The version is the challenger's, but for requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "emotion_canary_requests",
            "Requests that named no version, by who read them: default or canary answered, shadow was asked too",
            (*_VERSION, "role"),
            registry=registry,
        )
        self._failures = Counter(
            "emotion_canary_failures",
            "Requests that the challenger failed or was too late for; the default version answered them",
            (*_VERSION, "role"),
            registry=registry,
        )
        self._dropped = Counter(
            "emotion_shadow_dropped",
            "Requests that were not asked a second time: too much was under way, or the challenger had just failed",
            _VERSION,
            registry=registry,
        )
        self._texts = Counter("emotion_shadow_texts", "Texts that both versions have read", _VERSION, registry=registry)
        self._agreed = Counter(
            "emotion_shadow_agreed",
            "Of these, texts for which both decide alike about an emotion, at the profile's thresholds",
            (*_VERSION, "emotion"),
            registry=registry,
        )
        self._top_agreed = Counter(
            "emotion_shadow_top_agreed",
            "Of these, texts with the same most probable emotion",
            _VERSION,
            registry=registry,
        )
        self._difference = Counter(
            "emotion_shadow_difference",
            "Absolute differences of both versions' probabilities, added up over these texts",
            (*_VERSION, "emotion"),
            registry=registry,
        )

    def request(self, version: tuple[str, str], role: Role) -> None:
        """A request read by a version; `version` is model and version."""
        self._requests.labels(*version, role).inc()

    def failed(self, version: tuple[str, str], role: Role) -> None:
        """The challenger did not answer one."""
        self._failures.labels(*version, role).inc()

    def dropped(self, version: tuple[str, str]) -> None:
        """The challenger was not asked, though it should have been."""
        self._dropped.labels(*version).inc()

    def compared(
        self,
        version: tuple[str, str],
        agreed: Sequence[int],
        top_agreed: int,
        differences: Sequence[float],
        texts: int,
    ) -> None:
        """One request's texts read by both versions.

        Args:
            version: the challenger's model and version.
            agreed: for each label, texts with the same decision.
            top_agreed: texts with the same most probable emotion.
            differences: for each label, the sum of absolute differences.
            texts: how many.
        """
        self._texts.labels(*version).inc(texts)
        self._top_agreed.labels(*version).inc(top_agreed)
        for emotion, same, difference in zip(EMOTIONS, agreed, differences, strict=True):
            self._agreed.labels(*version, emotion).inc(same)
            self._difference.labels(*version, emotion).inc(difference)
