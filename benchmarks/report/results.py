"""What a run gave, as it is kept in JSON, and medians, spreads and paired ratios of it."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.command import BenchmarkError
from benchmarks.parts.rounds import Failure, Measurement
from benchmarks.report.machine import Machine


class Results(BaseModel):
    """One run of `make bench` or `make bench-gpu`; `remarks` are sentences that the report must show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    started: datetime
    command: str
    machine: Machine
    model: dict[str, Any]
    tokens: dict[str, float]
    rounds: int
    remarks: list[str]
    measurements: list[Measurement]
    failures: list[Failure]

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            BenchmarkError: it isn't there, or isn't that.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BenchmarkError(f"{path} holds no results of a benchmark: {str(error).splitlines()[0]}") from None


class Key(NamedTuple):
    """What was measured: a subject in one case."""

    part: str
    subject: str
    case: str


@dataclass(frozen=True)
class Summary:
    """One figure over the rounds."""

    median: float
    lowest: float
    highest: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a share of the median."""
        return (self.highest - self.lowest) / self.median if self.median else 0.0


def by_round(measurements: Iterable[Measurement], key: Key, figure: str) -> dict[int, float]:
    """A figure in each round that has it."""
    return {
        one.round: one.figures[figure]
        for one in measurements
        if (one.part, one.subject, one.case) == key and figure in one.figures
    }


def summary(measurements: Iterable[Measurement], key: Key, figure: str) -> Summary | None:
    """Median and range of a figure; None if no round has it."""
    values = list(by_round(measurements, key, figure).values())
    return Summary.of(values) if values else None


def paired_ratio(measurements: Sequence[Measurement], ours: Key, theirs: Key, figure: str) -> Summary | None:
    """Ours divided by theirs, round by round: what drifts between rounds is in neither. None without a common round."""
    a, b = by_round(measurements, ours, figure), by_round(measurements, theirs, figure)
    ratios = [a[number] / b[number] for number in sorted(a.keys() & b.keys()) if b[number]]
    return Summary.of(ratios) if ratios else None


def best(measurements: Sequence[Measurement], keys: Iterable[Key], figure: str, *, highest: bool = True) -> Key | None:
    """The one whose median is highest (or lowest); None if none was measured."""
    medians = {key: found.median for key in keys if (found := summary(measurements, key, figure)) is not None}
    if not medians:
        return None
    return (max if highest else min)(medians, key=medians.__getitem__)


def keys(measurements: Iterable[Measurement]) -> list[Key]:
    """Everything that was measured, in the order it first came."""
    return list(dict.fromkeys(Key(one.part, one.subject, one.case) for one in measurements))
