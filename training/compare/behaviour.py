"""How two models behave on the same texts: right labels in the suite, and labels that stay under changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.behaviour.measure import Behaviour, Judged, Moved
from training.measuring.differences import Difference, difference_of_means, difference_of_shares

Good = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SuiteText:
    """A text of the suite about whose most probable label the models disagree, and one of them is right."""

    group: str
    text: str
    right: frozenset[int]
    before: str
    after: str


@dataclass(frozen=True)
class BehaviourDifference:
    """Shares of right labels and of labels that stay, by the model before and the one after.

    `suite` is of all texts, `groups` of each group; `changes` is the mean over the texts of the share of changes
    after which the label stays, `kinds` that share for each kind of change. More is better everywhere.
    """

    texts: int
    suite: Difference
    groups: dict[str, Difference]
    changes: Difference
    kinds: dict[str, Difference]
    before_right: list[SuiteText]
    after_right: list[SuiteText]


def behaviour_difference(before: Behaviour, after: Behaviour) -> BehaviourDifference:
    """Compare how two models behave; both were asked the same texts."""
    judged = (_good(before.judged), _good(after.judged))
    stayed = (_good(before.moved), _good(after.moved))
    groups = [each.case.group for each in before.judged]
    kinds = [each.changed.kind for each in before.moved]
    texts = [each.changed.text for each in before.moved]
    pairs = list(zip(before.judged, after.judged, strict=True))
    return BehaviourDifference(
        texts=len(groups),
        suite=difference_of_shares(*judged),
        groups=_by_name(groups, *judged),
        # Of a text's changes, which are no independent cases, the mean counts.
        changes=difference_of_means(_mean_by_text(texts, stayed[0]), _mean_by_text(texts, stayed[1])),
        kinds=_by_name(kinds, *stayed),
        before_right=[_text(old, new) for old, new in pairs if old.good and not new.good],
        after_right=[_text(old, new) for old, new in pairs if new.good and not old.good],
    )


def _text(old: Judged, new: Judged) -> SuiteText:
    return SuiteText(old.case.group, old.case.text, old.case.labels, EMOTIONS[old.answered], EMOTIONS[new.answered])


def _good(rows: Sequence[Judged] | Sequence[Moved]) -> Good:
    return np.array([row.good for row in rows], dtype=np.bool_)


def _by_name(names: Sequence[str], before: Good, after: Good) -> dict[str, Difference]:
    of = np.array(names)
    return {name: difference_of_shares(before[of == name], after[of == name]) for name in dict.fromkeys(names)}


def _mean_by_text(texts: Sequence[str], good: Good) -> npt.NDArray[np.float64]:
    _, text = np.unique(texts, return_inverse=True)
    return np.asarray(np.bincount(text, good) / np.bincount(text), dtype=np.float64)
