"""Whether a model behaves worse than the one it follows, on the same texts.

Text by text: on how many is the new model worse, on how many better, and can that be chance? An exact sign test
(McNemar's) says so. The suite as a whole and the changes as a whole are each held to 5 %. The groups share another
5 %, and so do the kinds: there are many of them, and a version as good as the last must seldom be refused. A group or
kind may also lose less than a twentieth of its texts: a label that moves for 2 % of texts in small letters is no reason
to refuse a version that is better in all. A group that was right throughout and is wrong throughout is refused all the
same. The hidden half is not looked at: nothing may be decided on it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import Final

from training.behaviour.changes import CHANGES
from training.behaviour.measure import Behaviour
from training.behaviour.suite import GROUPS
from training.common.command import TrainingError

LEVEL: Final = 0.05
TOLERATED: Final = 0.05
"""Share of a group's or kind's texts that may be lost, in all."""

Row = tuple[str, str, int]
"""A group or kind, a text, and by how much the model is better on it: -1, 0 or 1."""


@dataclass(frozen=True)
class Fall:
    """Something that became worse beyond chance: texts lost and won, of how many, and the chance of that."""

    what: str
    texts: int
    lost: int
    won: int
    probability: float

    @property
    def sentence(self) -> str:
        """What is worse, in figures."""
        return f"{self.what}: of {self.texts} texts {self.lost} became worse and {self.won} better"


def falls(before: Behaviour, after: Behaviour) -> list[Fall]:
    """What is worse in `after` than in `before`, beyond chance; both must have been asked the same texts.

    Raises:
        ValueError: they were asked different texts.
    """
    suite = [
        (old.case.group, old.case.text, new.good - old.good)
        for old, new in zip(before.judged, after.judged, strict=True)
        if _same(old.case, new.case) and old.case.half == "open"
    ]
    changes = [
        (old.changed.kind, old.changed.text, new.good - old.good)
        for old, new in zip(before.moved, after.moved, strict=True)
        if _same(old.changed, new.changed)
    ]
    return [
        *_falls("right labels in the suite", suite, len(GROUPS)),
        *_falls("labels that stay under changes that mean nothing", changes, len(CHANGES)),
    ]


def check_behaviour(before: Behaviour, after: Behaviour, follows: str) -> None:
    """That a version behaves no worse than `follows`, the one it is to replace.

    Raises:
        TrainingError: it does; the message says where.
    """
    found = falls(before, after)
    if found:
        sentences = "; ".join(fall.sentence for fall in found)
        raise TrainingError(f"it behaves worse than {follows}, beyond chance: {sentences}")


def _falls(what: str, rows: list[Row], parts: int) -> list[Fall]:
    """Of all rows, and of each of so many groups or kinds."""
    whole = _fall(what, rows, LEVEL)
    found = [] if whole is None else [whole]
    for part in dict.fromkeys(row[0] for row in rows):
        fall = _fall(f"{what}, {part}", [row for row in rows if row[0] == part], LEVEL / parts)
        if fall is not None and fall.lost - fall.won >= TOLERATED * fall.texts:
            found.append(fall)
    return found


def _fall(what: str, rows: Iterable[Row], level: float) -> Fall | None:
    """Rows of one text count once: its changes are no independent cases."""
    rises: Counter[str] = Counter()
    for _, text, rise in rows:
        rises[text] += rise
    lost, won = sum(rise < 0 for rise in rises.values()), sum(rise > 0 for rise in rises.values())
    probability = at_least(lost, lost + won)
    return Fall(what, len(rises), lost, won, probability) if probability <= level else None


def at_least(heads: int, tosses: int) -> float:
    """The chance of so many heads or more in tosses of a fair coin."""
    return float(sum(comb(tosses, count) for count in range(heads, tosses + 1)) / 2**tosses)


def _same(old: object, new: object) -> bool:
    if old != new:
        raise ValueError(f"asked different texts: {old} and {new}")
    return True
