"""What the gateway counts and times, for Prometheus.

Stages are those of a request: tokenization, the call to Triton (which carries the rows of
several requests), and the whole. Triton's own metrics tell queue and computation.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from contract.labels import EMOTIONS
from gateway.telemetry.canary_metrics import CanaryMetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Directory in which prometheus_client's processes meet; read by it when it is imported."""
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64)
_TOKENS: Final = (4, 8, 16, 32, 64, 128, 256)
_VERSION: Final = ("model", "version")


class Metrics:
    """One process's figures; made once."""

    def __init__(self) -> None:
        _forget_dead_workers()
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "emotion_requests", "Requests answered", ("endpoint", *_VERSION, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "emotion_request_seconds",
            "From the first byte of a request's head to its answer",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._tokenization = Histogram(
            "emotion_tokenization_seconds",
            "Tokenizing all texts of a request",
            _VERSION,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._triton = Histogram(
            "emotion_triton_seconds", "One call to Triton", _VERSION, buckets=_SECONDS, registry=self._registry
        )
        self._rows = Histogram(
            "emotion_batch_rows", "Texts in one call to Triton", _VERSION, buckets=_ROWS, registry=self._registry
        )
        self._tokens = Histogram(
            "emotion_text_tokens", "Tokens of one text", _VERSION, buckets=_TOKENS, registry=self._registry
        )
        self._truncated = Counter(
            "emotion_texts_truncated", "Texts cut to the model's length", _VERSION, registry=self._registry
        )
        self._unknown = Counter(
            "emotion_tokens_unknown",
            "Tokens of which the model knows nothing: signs and scripts that its vocabulary lacks",
            _VERSION,
            registry=self._registry,
        )
        self._predicted = Counter(
            "emotion_predicted",
            "Texts by their most probable emotion; a drift shows here",
            (*_VERSION, "emotion"),
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "emotion_requests_in_flight",
            "Requests being answered",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._ready = Gauge(
            "emotion_ready",
            "1 if requests can be answered",
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self._unusable = Gauge(
            "emotion_version_unusable",
            "1 if Triton serves a version and the gateway leaves it out; reason is card, tokenizer, graph, file, "
            "configuration or check",
            (*_VERSION, "reason"),
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._refused = Counter(
            "emotion_answers_refused",
            "Answers of Triton with numbers that are no probabilities; each is asked for once more",
            _VERSION,
            registry=self._registry,
        )
        self.canary = CanaryMetrics(self._registry)
        self._left_out: set[tuple[str, str, str]] = set()
        # By their labels: finding a child costs prometheus_client more than counting with it.
        self._counters: dict[tuple[str, ...], Counter] = {}
        self._histograms: dict[tuple[str, ...], Histogram] = {}

    def request(self, endpoint: str, version: tuple[str, str], status: int, seconds: float) -> None:
        """One request answered; `version` is model and version, empty if it came to none."""
        self._counter(self._requests, endpoint, *version, str(status)).inc()
        self._histogram(self._seconds, "seconds", endpoint).observe(seconds)

    def tokenized(
        self, version: tuple[str, str], tokens: list[int], truncated: int, unknown: int, seconds: float
    ) -> None:
        """The texts of one request, by their tokens, of which so many are unknown."""
        self._histogram(self._tokenization, "tokenization", *version).observe(seconds)
        observe = self._histogram(self._tokens, "tokens", *version).observe
        for count in tokens:
            observe(count)
        if truncated:
            self._truncated.labels(*version).inc(truncated)
        if unknown:
            self._unknown.labels(*version).inc(unknown)

    def triton_call(self, model: str, version: str, rows: int, seconds: float) -> None:
        """One call to Triton that was answered."""
        self._histogram(self._triton, "triton", model, version).observe(seconds)
        self._histogram(self._rows, "rows", model, version).observe(rows)

    def answer_refused(self, model: str, version: str) -> None:
        """Triton answered numbers that are not finite, or not between 0 and 1."""
        self._refused.labels(model, version).inc()

    def unusable(self, left_out: Iterable[tuple[str, str, str]]) -> None:
        """Which versions are left out now, by model, version and reason."""
        now = set(left_out)
        for mended in self._left_out - now:
            self._unusable.labels(*mended).set(0)
        for row in now:
            self._unusable.labels(*row).set(1)
        self._left_out |= now

    def predicted(self, version: tuple[str, str], probabilities: list[list[float]]) -> None:
        """What a request's texts came to."""
        for row in probabilities:
            self._counter(self._predicted, *version, EMOTIONS[row.index(max(row))]).inc()

    def in_flight(self, number: int) -> None:
        """Requests being answered now."""
        self._in_flight.set(number)

    def ready(self, *, ready: bool) -> None:
        """Whether requests can be answered."""
        self._ready.set(ready)

    def text(self) -> bytes:
        """All figures of all workers, in Prometheus's text format."""
        if MULTIPROCESS_DIRECTORY not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _histogram(self, histogram: Histogram, name: str, *labels: str) -> Histogram:
        key = (name, *labels)
        found = self._histograms.get(key)
        if found is None:
            found = self._histograms[key] = histogram.labels(*labels)
        return found

    def _counter(self, counter: Counter, *labels: str) -> Counter:
        found = self._counters.get(labels)
        if found is None:
            found = self._counters[labels] = counter.labels(*labels)
        return found


def _forget_dead_workers() -> None:
    """What a worker was doing when it died, it does no more; what it has counted stays."""
    if MULTIPROCESS_DIRECTORY not in os.environ:
        return
    for file in Path(os.environ[MULTIPROCESS_DIRECTORY]).glob("gauge_live*_*.db"):
        worker = int(file.stem.rpartition("_")[2])
        if not Path("/proc", str(worker)).exists():
            mark_process_dead(worker)  # type: ignore[no-untyped-call]
