"""The calls to Triton: what waits for one, what is under way, how long they take, and how they fail."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.telemetry.children import Children

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Buckets of every duration."""
_VERSION: Final = ("model", "version")
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64)
_USUAL_FAILURES: Final = ("DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE")
"""Codes that count from zero: of a series that begins at one, Prometheus sees no increase."""


class TritonMetrics:
    """Calls that carry texts; `version` is model and version. Questions about Triton itself are not among them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Children(
            Histogram("emotion_triton_seconds", "One call to Triton", _VERSION, buckets=SECONDS, registry=registry)
        )
        self._rows = Children(
            Histogram("emotion_batch_rows", "Texts in one call to Triton", _VERSION, buckets=_ROWS, registry=registry)
        )
        self._waiting = Children(
            Gauge(
                "emotion_texts_waiting",
                "Texts, or parts of texts, that no call to Triton carries yet",
                _VERSION,
                registry=registry,
                multiprocess_mode="livesum",
            )
        )
        self._in_flight = Children(
            Gauge(
                "emotion_triton_calls_in_flight",
                "Calls to Triton under way, those that nobody waits for any more included",
                _VERSION,
                registry=registry,
                multiprocess_mode="livesum",
            )
        )
        self._failures = Children(
            Counter(
                "emotion_triton_failures",
                "Calls to Triton that failed, by gRPC status; those that were then made to another Triton included",
                (*_VERSION, "code"),
                registry=registry,
            )
        )
        self._refused = Children(
            Counter(
                "emotion_answers_refused",
                "Answers of Triton with numbers that are no probabilities; each is asked for once more",
                _VERSION,
                registry=registry,
            )
        )

    def found(self, version: tuple[str, str]) -> None:
        """A version is served from now on: what may go wrong with it counts from zero."""
        for code in _USUAL_FAILURES:
            self._failures.of(*version, code)
        self._refused.of(*version)
        self._waiting.of(*version)
        self._in_flight.of(*version)

    def queue(self, version: tuple[str, str], waiting: int, in_flight: int) -> None:
        """What waits for a version now: texts that no call carries, and calls under way."""
        self._waiting.of(*version).set(waiting)
        self._in_flight.of(*version).set(in_flight)

    def answered(self, version: tuple[str, str], rows: int, seconds: float) -> None:
        """One call that was answered."""
        self._seconds.of(*version).observe(seconds)
        self._rows.of(*version).observe(rows)

    def failed(self, version: tuple[str, str], code: str) -> None:
        """One call that was not; `code` is the name of its gRPC status."""
        self._failures.of(*version, code).inc()

    def refused(self, version: tuple[str, str]) -> None:
        """Triton answered numbers that are not finite, or not between 0 and 1."""
        self._refused.of(*version).inc()
