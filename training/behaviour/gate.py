"""Whether a model behaves worse than the one it follows, on the same texts.

Each of the two has its open half of the suite and its changes, text by text. What the one got right and the other
wrong is counted both ways, and an exact sign test (McNemar's) says whether that can be chance. The suite as a whole
and the changes as a whole are each held to 5 %; single groups and kinds, of which there are many, share another 5 %,
so that a version as good as the last is seldom refused. The hidden half is not looked at: nothing may be decided on it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import Final

from training.behaviour.changes import CHANGES
from training.behaviour.measure import Behaviour
from training.behaviour.suite import GROUPS
from training.command import TrainingError

LEVEL: Final = 0.05
_PARTS: Final = len(GROUPS) + len(CHANGES)


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
        (old.case.group, old.right, new.right)
        for old, new in zip(before.judged, after.judged, strict=True)
        if _same(old.case, new.case) and old.case.half == "open"
    ]
    changes = [
        (old.changed.kind, not old.moved, not new.moved)
        for old, new in zip(before.moved, after.moved, strict=True)
        if _same(old.changed, new.changed)
    ]
    found = [
        _fall("the suite's right labels", [pair[1:] for pair in suite], LEVEL),
        _fall("labels that stay under changes that mean nothing", [pair[1:] for pair in changes], LEVEL),
    ]
    for what, rows in ("the suite's group", suite), ("labels that stay under", changes):
        for part in dict.fromkeys(row[0] for row in rows):
            pairs = [row[1:] for row in rows if row[0] == part]
            found.append(_fall(f"{what} {part}", pairs, LEVEL / _PARTS))
    return [fall for fall in found if fall is not None]


def check_behaviour(before: Behaviour, after: Behaviour, follows: str) -> None:
    """That a version behaves no worse than `follows`, the one it is to replace.

    Raises:
        TrainingError: it does; the message says where.
    """
    found = falls(before, after)
    if found:
        sentences = "; ".join(fall.sentence for fall in found)
        raise TrainingError(f"it behaves worse than {follows}, beyond chance: {sentences}")


def _fall(what: str, pairs: Iterable[tuple[bool, bool]], level: float) -> Fall | None:
    rows = list(pairs)
    lost = sum(old and not new for old, new in rows)
    won = sum(new and not old for old, new in rows)
    probability = at_least(lost, lost + won)
    return Fall(what, len(rows), lost, won, probability) if probability <= level else None


def at_least(heads: int, tosses: int) -> float:
    """The chance of so many heads or more in tosses of a fair coin."""
    return sum(comb(tosses, count) for count in range(heads, tosses + 1)) / 2**tosses


def _same(old: object, new: object) -> bool:
    if old != new:
        raise ValueError(f"asked different texts: {old} and {new}")
    return True
