"""Measures subjects side by side: several rounds, every other one in reverse order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from benchmarks.command import BenchmarkError

Figures = dict[str, float]


class Record(Protocol):
    """Takes the figures of one case; a subject that measures several side by side names the one that they are of."""

    def __call__(self, case: str, figures: Figures, *, of: str | None = None) -> None:
        """Keep them."""


class Measurement(BaseModel):
    """What one subject reached in one case in one round; units are in the figures' names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: str
    subject: str
    case: str
    round: int
    figures: Figures


class Failure(BaseModel):
    """A subject that could not be measured in one round, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: str
    subject: str
    round: int
    reason: str


@dataclass(frozen=True)
class Subject:
    """Something to measure. `measure` calls what it is given once for each case, with the case's name and figures."""

    part: str
    name: str
    measure: Callable[[Record], None]


@dataclass(frozen=True)
class Measured:
    """Everything that several rounds gave."""

    measurements: list[Measurement]
    failures: list[Failure]


def run_rounds(subjects: Sequence[Subject], rounds: int, say: Callable[[str], None]) -> Measured:
    """Measure every subject in every round. What fails is kept as a failure, and the others go on."""
    measurements: list[Measurement] = []
    failures: list[Failure] = []
    for number in range(1, rounds + 1):
        for subject in subjects if number % 2 else reversed(subjects):
            say(f"round {number} of {rounds}: {subject.part}: {subject.name}")

            def record(
                case: str, figures: Figures, *, of: str | None = None, subject: Subject = subject, number: int = number
            ) -> None:
                name = of or subject.name
                measurements.append(
                    Measurement(part=subject.part, subject=name, case=case, round=number, figures=figures)
                )
                shown = ", ".join(f"{figure} {value:,.4g}" for figure, value in figures.items())
                say(f"  {case}{f', {of}' if of else ''}: {shown}")

            try:
                subject.measure(record)
            except BenchmarkError as error:
                failures.append(Failure(part=subject.part, subject=subject.name, round=number, reason=str(error)))
                say(f"  failed: {error}")
    return Measured(measurements, failures)
