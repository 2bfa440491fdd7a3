"""The page of one model's behaviour: shares by group and kind, and the texts behind them."""

from pathlib import Path
from typing import Any, Final

from contract.labels import EMOTIONS
from training.behaviour.changes import CHANGES
from training.behaviour.measure import Behaviour, Moved
from training.behaviour.suite import GROUPS
from training.common.page import write_page

_EXAMPLES: Final = 5  # Of each kind of change.


def write_behaviour_page(path: Path, model: str, changed: str, behaviour: Behaviour, figures: dict[str, Any]) -> None:
    """Write the page; of the hidden half it shows shares only, for who has read a text decides by it."""
    wrong = [each for each in behaviour.judged if not each.good and each.case.half == "open"]
    write_page(
        path,
        "training.evaluate.report",
        "behaviour.html.j2",
        model=model,
        changed=changed,
        figures=figures,
        groups=GROUPS,
        kinds={change.name: change.description for change in CHANGES},
        emotions=EMOTIONS,
        wrong=wrong,
        moved=_first_of_each_kind([each for each in behaviour.moved if not each.good]),
    )


def _first_of_each_kind(moved: list[Moved]) -> list[Moved]:
    by_kind: dict[str, list[Moved]] = {}
    for each in moved:
        by_kind.setdefault(each.changed.kind, []).append(each)
    return [each for found in by_kind.values() for each in found[:_EXAMPLES]]
