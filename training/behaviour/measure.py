"""Asks a model for the suite and for every change, and keeps what it answered to each text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.behaviour.changes import Changed, all_changes
from training.behaviour.suite import Case

Answers = Callable[[list[str]], npt.NDArray[np.float32]]
"""A model's probabilities for texts, float32 `[texts, 6]`."""


@dataclass(frozen=True)
class Judged:
    """A text of the suite, the most probable label (an index into `EMOTIONS`) and its probability."""

    case: Case
    answered: int
    probability: float

    @property
    def good(self) -> bool:
        """Whether the most probable label is one of the acceptable ones."""
        return self.answered in self.case.labels


@dataclass(frozen=True)
class Moved:
    """A changed text, and the most probable label before and after the change."""

    changed: Changed
    before: int
    after: int

    @property
    def good(self) -> bool:
        """Whether the label is the same as before."""
        return self.before == self.after


@dataclass(frozen=True)
class Behaviour:
    """How a model behaves; two models that were asked the same texts have the same rows in the same order."""

    judged: list[Judged]
    moved: list[Moved]


def measure_behaviour(answers: Answers, cases: Sequence[Case], texts: Iterable[str]) -> Behaviour:
    """Ask a model for all cases, and for all changes of the texts.

    Args:
        answers: the model; it is asked once, for each different text once.
        cases: texts of the suite.
        texts: what is changed; their labels are not needed.
    """
    changes = all_changes(texts)
    asked = dict.fromkeys([case.text for case in cases] + [text for c in changes for text in (c.text, c.changed)])
    probabilities = answers(list(asked))
    top = dict(zip(asked, probabilities.argmax(axis=1).tolist(), strict=True))
    highest = dict(zip(asked, probabilities.max(axis=1).tolist(), strict=True))
    return Behaviour(
        [Judged(case, top[case.text], highest[case.text]) for case in cases],
        [Moved(change, top[change.text], top[change.changed]) for change in changes],
    )
