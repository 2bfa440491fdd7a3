"""Texts that were not computed, because an equal one was on its way or had been answered lately."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.telemetry.children import Children

_VERSION: Final = ("model", "version")


class RepeatMetrics:
    """Texts, or parts of texts; `version` is model and version."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._cached = Children(
            Counter(
                "emotion_texts_cached",
                "Texts, or parts of texts, that were answered with what an equal one was answered before",
                _VERSION,
                registry=registry,
            )
        )
        self._shared = Children(
            Counter(
                "emotion_texts_shared",
                "Texts, or parts of texts, that were computed together with an equal one which was on its way",
                _VERSION,
                registry=registry,
            )
        )
        self._bytes = Gauge(
            "emotion_answer_cache_bytes",
            "Memory of the answers that are kept, at most EMOTION_ANSWER_CACHE for each worker",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._evicted = Counter(
            "emotion_answer_cache_evicted",
            "Answers that are kept no longer, because others needed the room",
            registry=registry,
        )
        self._evicted_before = 0

    def found(self, version: tuple[str, str]) -> None:
        """A version is served from now on: its figures begin at zero."""
        self._cached.of(*version)
        self._shared.of(*version)

    def cached(self, version: tuple[str, str], texts: int) -> None:
        """So many were answered at once."""
        self._cached.of(*version).inc(texts)

    def shared(self, version: tuple[str, str], texts: int) -> None:
        """So many wait for a row that another one waits for, too."""
        self._shared.of(*version).inc(texts)

    def cache(self, held_bytes: int, evicted: int) -> None:
        """What the cache holds now, and how many answers it has ever let go."""
        self._bytes.set(held_bytes)
        if evicted > self._evicted_before:
            self._evicted.inc(evicted - self._evicted_before)
            self._evicted_before = evicted
