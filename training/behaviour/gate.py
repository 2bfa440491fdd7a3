"""In what a model behaves worse than the one it follows, on the same texts, and how likely each is by chance.

Text by text: on how many is the new model worse, on how many better, and can that be chance? An exact sign test
(McNemar's) says so: of the suite as a whole, of the changes as a whole, of each group and of each kind of change. A
group or kind may lose less than a twentieth of its texts: a label that moves for 2 % of texts in small letters is no
reason to refuse a version that is better in all. The hidden half is not looked at: nothing may be decided on it.
The gate of publishing judges all these tests together, with those of the figures.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import Final

from training.behaviour.measure import Behaviour

TOLERATED: Final = 0.05
"""Share of a group's or kind's texts that may be lost, in all."""

Row = tuple[str, str, int]
"""A group or kind, a text, and by how much the model is better on it: -1, 0 or 1."""


@dataclass(frozen=True)
class Fall:
    """Texts that became worse and better, of how many; `tolerated` if that is too few to be a reason."""

    what: str
    texts: int
    lost: int
    won: int
    tolerated: bool

    @property
    def sentence(self) -> str:
        """What is worse, in figures."""
        return f"{self.what}: of {self.texts} texts {self.lost} became worse and {self.won} better"

    @property
    def probability(self) -> float:
        """The chance of so many that became worse, or more, if the two models are equally good."""
        return 1.0 if self.tolerated else at_least(self.lost, self.lost + self.won)

    @property
    def lowest(self) -> float:
        """The least that this chance could be: no text became better."""
        return float(0.5 ** (self.lost + self.won))


def falls(before: Behaviour, after: Behaviour) -> list[Fall]:
    """How `after` behaves beside `before`, in all and in each part; both must have been asked the same texts.

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
        *_falls("right labels in the suite", suite),
        *_falls("labels that stay under changes that mean nothing", changes),
    ]


def _falls(what: str, rows: list[Row]) -> list[Fall]:
    """Of all rows, and of each group or kind."""
    by_part: dict[str, list[Row]] = {}
    for row in rows:
        by_part.setdefault(row[0], []).append(row)
    parts = [_fall(f"{what}, {part}", of, TOLERATED) for part, of in by_part.items()]
    return [_fall(what, rows, 0.0), *parts]


def _fall(what: str, rows: Iterable[Row], tolerated: float) -> Fall:
    """Rows of one text count once: its changes are no independent cases."""
    rises: Counter[str] = Counter()
    for _, text, rise in rows:
        rises[text] += rise
    lost, won = sum(rise < 0 for rise in rises.values()), sum(rise > 0 for rise in rises.values())
    return Fall(what, len(rises), lost, won, lost - won < tolerated * len(rises))


def at_least(heads: int, tosses: int) -> float:
    """The chance of so many heads or more in tosses of a fair coin."""
    return float(sum(comb(tosses, count) for count in range(heads, tosses + 1)) / 2**tosses)


def _same(old: object, new: object) -> bool:
    if old != new:
        raise ValueError(f"asked different texts: {old} and {new}")
    return True
