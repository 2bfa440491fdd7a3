"""Rows that got different labels from two models, and which of them is right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.data.rows.examples import Example, targets
from training.measuring.differences import Answered
from training.measuring.metrics import Matrix


@dataclass(frozen=True)
class OfEmotion:
    """How many rows got this label from one model alone, and which model was right how often: always one of them."""

    rows: int
    before_right: int
    after_right: int


@dataclass(frozen=True)
class Row:
    """A row whose labels differ, and the probabilities that the models gave to the six emotions."""

    text: str
    given: frozenset[int]
    before: frozenset[int]
    after: frozenset[int]
    before_probabilities: dict[str, float]
    after_probabilities: dict[str, float]


@dataclass(frozen=True)
class Disagreements:
    """All rows that got different labels, those whose probabilities differ most first.

    A model is right about a row if it gives exactly the row's labels: only the one before is, only the one after,
    or neither.
    """

    by_emotion: dict[str, OfEmotion]
    before_right: list[Row]
    after_right: list[Row]
    neither_right: list[Row]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.before_right) + len(self.after_right) + len(self.neither_right)


def disagreements(examples: Sequence[Example], before: Answered, after: Answered) -> Disagreements:
    """Where two models' labels for the same rows differ."""
    truth = targets(examples).astype(np.bool_)
    differ = before.decisions != after.decisions
    after_right = differ & (after.decisions == truth)
    found = Disagreements(
        {
            emotion: OfEmotion(int(rows), int(rows - right), int(right))
            for emotion, rows, right in zip(EMOTIONS, differ.sum(axis=0), after_right.sum(axis=0), strict=True)
        },
        [],
        [],
        [],
    )
    distance = np.abs(after.probabilities - before.probabilities).max(axis=1)
    for place in np.argsort(-distance, kind="stable"):
        if not differ[place].any():
            continue
        example = examples[place]
        row = Row(
            example.text,
            example.labels,
            _labels(before.decisions[place]),
            _labels(after.decisions[place]),
            _by_emotion(before.probabilities[place]),
            _by_emotion(after.probabilities[place]),
        )
        if row.before == row.given:
            found.before_right.append(row)
        elif row.after == row.given:
            found.after_right.append(row)
        else:
            found.neither_right.append(row)
    return found


def _labels(decisions: npt.NDArray[np.bool_]) -> frozenset[int]:
    return frozenset(int(label) for label in np.flatnonzero(decisions))


def _by_emotion(probabilities: Matrix) -> dict[str, float]:
    return {emotion: round(float(value), 4) for emotion, value in zip(EMOTIONS, probabilities, strict=True)}
