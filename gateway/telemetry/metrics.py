"""What the gateway counts and times, for Prometheus.

Stages are those of a request: tokenization, the call to Triton (which carries the rows of
several requests), and the whole. Triton's own metrics tell queue and computation.
"""

import time
from collections.abc import Collection, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from contract.labels import EMOTIONS
from contract.version_directory import Reference
from gateway.telemetry.canary_metrics import CanaryMetrics
from gateway.telemetry.children import Children
from gateway.telemetry.process_metrics import (
    ProcessMetrics,
    are_shared,
    forget_dead_workers,
    reserve_room,
    worker_restarts,
)
from gateway.telemetry.repeat_metrics import RepeatMetrics
from gateway.telemetry.triton_metrics import SECONDS, TritonMetrics
from gateway.telemetry.version_metrics import VersionMetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_TOKENS: Final = (4, 8, 16, 32, 64, 128, 256)
_VERSION: Final = ("model", "version")
_ANSWERED: Final = 200


class Metrics:
    """One process's figures; made once."""

    def __init__(self, version: str = "0", revision: str = "unknown") -> None:
        """Begin at zero.

        Args:
            version: of the package.
            revision: what it was built from.

        Raises:
            NoRoomError: workers have no room for their figures.
        """
        if are_shared():
            forget_dead_workers(own=True)
            reserve_room()
        self._registry = registry = CollectorRegistry()
        self._requests = Children(
            Counter("emotion_requests", "Requests answered", ("endpoint", *_VERSION, "status"), registry=registry)
        )
        self._seconds = Children(
            Histogram(
                "emotion_request_seconds",
                "From the first byte of a request's head to its answer",
                ("endpoint",),
                buckets=SECONDS,
                registry=registry,
            )
        )
        self._key_requests = Children(
            Counter(
                "emotion_key_requests",
                "Requests answered, by the API key that was shown; those without a known one are together",
                ("key", "status"),
                registry=registry,
            )
        )
        self._key_texts = Children(
            Counter("emotion_key_texts", "Texts of requests answered with 200, by API key", ("key",), registry=registry)
        )
        self._tokenization = Children(
            Histogram(
                "emotion_tokenization_seconds",
                "Tokenizing all texts of a request",
                _VERSION,
                buckets=SECONDS,
                registry=registry,
            )
        )
        self._tokens = Children(
            Histogram("emotion_text_tokens", "Tokens of one text", _VERSION, buckets=_TOKENS, registry=registry)
        )
        self._truncated = Children(
            Counter("emotion_texts_truncated", "Texts cut to the model's length", _VERSION, registry=registry)
        )
        self._unknown = Children(
            Counter(
                "emotion_tokens_unknown",
                "Tokens of which the model knows nothing: signs and scripts that its vocabulary lacks",
                _VERSION,
                registry=registry,
            )
        )
        self._predicted = Children(
            Counter(
                "emotion_predicted",
                "Texts by their most probable emotion; a drift shows here",
                (*_VERSION, "emotion"),
                registry=registry,
            )
        )
        self._in_flight = Gauge(
            "emotion_requests_in_flight", "Requests being answered", registry=registry, multiprocess_mode="livesum"
        )
        worker_restarts(registry)  # Zero here: the workers' parent counts.
        self.canary = CanaryMetrics(registry)
        self.triton = TritonMetrics(registry)
        self.repeats = RepeatMetrics(registry)
        self._versions = VersionMetrics(registry, time.time())
        self._collected = (self._versions, ProcessMetrics(version, revision))
        """What is not counted but read, by the worker that is asked."""
        if not are_shared():
            for collector in self._collected:
                registry.register(collector)

    def request(self, endpoint: str, version: tuple[str, str], status: int, seconds: float) -> None:
        """One request answered; `version` is model and version, empty if it came to none."""
        self._requests.of(endpoint, *version, str(status)).inc()
        self._seconds.of(endpoint).observe(seconds)

    def key_used(self, key: str, status: int, texts: int) -> None:
        """One request of a key's owner answered; `key` is what figures call it, `texts` how many it had."""
        self._key_requests.of(key, str(status)).inc()
        if texts and status == _ANSWERED:
            self._key_texts.of(key).inc(texts)

    def tokenized(
        self, version: tuple[str, str], tokens: list[int], truncated: int, unknown: int, seconds: float
    ) -> None:
        """The texts of one request, by their tokens, of which so many are unknown."""
        self._tokenization.of(*version).observe(seconds)
        observe = self._tokens.of(*version).observe
        for count in tokens:
            observe(count)
        if truncated:
            self._truncated.of(*version).inc(truncated)
        if unknown:
            self._unknown.of(*version).inc(unknown)

    def predicted(self, version: tuple[str, str], probabilities: list[list[float]]) -> None:
        """What a request's texts came to."""
        for row in probabilities:
            self._predicted.of(*version, EMOTIONS[row.index(max(row))]).inc()

    def in_flight(self, number: int) -> None:
        """Requests being answered now."""
        self._in_flight.set(number)

    def ready(self, *, ready: bool) -> None:
        """Whether requests can be answered."""
        self._versions.ready(ready=ready)

    def looked(
        self,
        at: float,
        served: Mapping[tuple[str, str], Reference | None],
        left_out: Collection[tuple[str, str, str]],
    ) -> None:
        """Triton has told what it serves: see `VersionMetrics.looked`."""
        for version in self._versions.looked(at, served, left_out):
            # From zero: a share needs all six, and of a series that begins at one Prometheus sees no increase.
            for emotion in EMOTIONS:
                self._predicted.of(*version, emotion)
            self._unknown.of(*version)
            self.triton.found(version)
            self.repeats.found(version)

    def text(self) -> bytes:
        """All figures of all workers, in Prometheus's text format."""
        if not are_shared():
            return generate_latest(self._registry)
        forget_dead_workers()
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        for collector in self._collected:
            registry.register(collector)
        return generate_latest(registry)
