"""What the last look at Triton found: versions served and left out, and what their cards promise of the texts."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contract.version_directory import Reference

_VERSION: Final = ("model", "version")
Named = tuple[str, str]
"""Model and version."""


class VersionMetrics(Collector):
    """Gauges that workers share, and, collected from the worker that is asked, the figures of the cards."""

    def __init__(self, registry: CollectorRegistry, started: float) -> None:
        """Begin with no look; `started` is when, in seconds since 1970."""
        self._ready = Gauge(
            "emotion_ready", "1 if requests can be answered", registry=registry, multiprocess_mode="livemin"
        )
        self._served = Gauge(
            "emotion_version_served",
            "1 if a version can be asked for; 0 if it is left out, or is served no more",
            _VERSION,
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._unusable = Gauge(
            "emotion_version_unusable",
            "1 if Triton serves a version and the gateway leaves it out; reason is card, tokenizer, graph, file, "
            "configuration or check",
            (*_VERSION, "reason"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._last_look = Gauge(
            "emotion_last_look_timestamp_seconds",
            "When the gateway last looked at what Triton serves and was told; its start if it never was. Of several "
            "workers the one that waits longest",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._last_look.set(started)
        self._known: set[Named] = set()
        self._left_out: set[tuple[str, str, str]] = set()
        self._references: Mapping[Named, Reference | None] = {}

    def ready(self, *, ready: bool) -> None:
        """Whether requests can be answered."""
        self._ready.set(ready)

    def looked(
        self, at: float, served: Mapping[Named, Reference | None], left_out: Collection[tuple[str, str, str]]
    ) -> list[Named]:
        """Triton has told what it serves; gives the versions that were not served before.

        Args:
            at: when it was asked, in seconds since 1970.
            served: versions that can be asked for, and the reference figures of their cards.
            left_out: those that can't, by model, version and reason.
        """
        self._last_look.set(at)
        now = {*served, *((model, version) for model, version, _ in left_out)}
        for version in self._known | now:
            self._served.labels(*version).set(version in served)
        new = [version for version in served if version not in self._references]
        for row in self._left_out.union(left_out):
            self._unusable.labels(*row).set(row in left_out)
        self._known |= now
        self._left_out.update(left_out)
        self._references = served
        return new

    def collect(self) -> Iterator[Metric]:
        """The figures of the cards that have some; called by prometheus_client."""
        shares = GaugeMetricFamily(
            "emotion_reference_share",
            "Share of texts with this most probable emotion among the rows that the version's thresholds come from",
            labels=(*_VERSION, "emotion"),
        )
        unknown = GaugeMetricFamily(
            "emotion_reference_unknown_share", "Share of unknown tokens among the tokens of these rows", labels=_VERSION
        )
        tokens = GaugeMetricFamily("emotion_reference_tokens", "Mean tokens of one of these rows", labels=_VERSION)
        for version, reference in self._references.items():
            if reference is None:
                continue
            for emotion, share in reference.predicted.items():
                shares.add_metric((*version, emotion), share)
            unknown.add_metric(version, reference.unknown_share)
            tokens.add_metric(version, reference.tokens)
        yield from (family for family in (shares, unknown, tokens) if family.samples)
