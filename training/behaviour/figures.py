"""The figures of a model's behaviour, as behaviour.json and a card hold them.

    {"suite": {"open": {"texts": 457, "right": 0.75, "interval_95": [0.71, 0.79],
                        "groups": {"sarcasm": {"texts": 10, "right": 0.4}, …}}},
     "changes": {"texts": 417, "changed": 0.08, "kinds": {"greeting": {"texts": 417, "changed": 0.03}, …}}}

`right` is the share of texts whose most probable label is acceptable. `changed` is the share of changes after which
it is another one: of a kind, and the mean of all kinds. `suite` has an entry for each half that was asked.
"""

from collections.abc import Sequence
from typing import Any, Final

from training.behaviour.measure import Behaviour, Judged
from training.behaviour.suite import HALVES

_Z_95: Final = 1.96  # Two-sided 95 % quantile of the normal distribution.


def behaviour_figures(behaviour: Behaviour) -> dict[str, Any]:
    """The object described above."""
    halves = {half: [each for each in behaviour.judged if each.case.half == half] for half in HALVES}
    kinds: dict[str, list[bool]] = {}
    for each in behaviour.moved:
        kinds.setdefault(each.changed.kind, []).append(not each.good)
    shares = {kind: {"texts": len(moved), "changed": _share(moved)} for kind, moved in kinds.items()}
    return {
        "suite": {half: _suite(judged) for half, judged in halves.items() if judged},
        "changes": {
            "texts": len({each.changed.text for each in behaviour.moved}),
            "changed": round(sum(share["changed"] for share in shares.values()) / max(len(shares), 1), 4),
            "kinds": shares,
        },
    }


def behaviour_table(figures: dict[str, Any]) -> str:
    """The figures in lines: of each group of each half, and of each kind of change."""
    rows = []
    for half, suite in figures["suite"].items():
        low, high = suite["interval_95"]
        rows.append(f"{f'suite, {half} half: right':34} {suite['right']:7.1%}  ({low:.1%} to {high:.1%})")
        rows += [f"  {name:32} {group['right']:7.1%}" for name, group in suite["groups"].items()]
    changes = figures["changes"]
    rows.append(f"{'label changed, mean of the kinds':34} {changes['changed']:7.1%}")
    rows += [f"  {kind:32} {share['changed']:7.1%}" for kind, share in changes["kinds"].items()]
    return "\n".join(rows)


def _suite(judged: Sequence[Judged]) -> dict[str, Any]:
    groups: dict[str, list[bool]] = {}
    for each in judged:
        groups.setdefault(each.case.group, []).append(each.good)
    right = [each.good for each in judged]
    return {
        "texts": len(right),
        "right": _share(right),
        "interval_95": _wilson(sum(right), len(right)),
        "groups": {group: {"texts": len(rights), "right": _share(rights)} for group, rights in groups.items()},
    }


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 4)


def _wilson(successes: int, trials: int) -> list[float]:
    """Wilson's score interval of a proportion."""
    share = successes / trials
    centre = share + _Z_95**2 / (2 * trials)
    spread = _Z_95 * (share * (1 - share) / trials + _Z_95**2 / (4 * trials**2)) ** 0.5
    return [round((centre + sign * spread) / (1 + _Z_95**2 / trials), 4) for sign in (-1, 1)]
