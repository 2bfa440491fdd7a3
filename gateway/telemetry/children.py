"""A metric's children by their labels: finding one costs prometheus_client more than counting with it."""

from typing import Generic, TypeVar

from prometheus_client import Counter, Gauge, Histogram

Kind = TypeVar("Kind", Counter, Gauge, Histogram)


class Children(Generic[Kind]):
    """Those of one metric that have been asked for."""

    def __init__(self, metric: Kind) -> None:
        self._metric: Kind = metric
        self._found: dict[tuple[str, ...], Kind] = {}

    def of(self, *labels: str) -> Kind:
        """The child with these labels, in the metric's order; made, at zero, if there is none."""
        child = self._found.get(labels)
        if child is None:
            child = self._found[labels] = self._metric.labels(*labels)
        return child
