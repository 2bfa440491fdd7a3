"""What a comparison leaves: a table and a verdict in the terminal, comparison.json, and a page."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from training.behaviour.changes import CHANGES
from training.behaviour.suite import GROUPS
from training.common.output import as_json, write_result
from training.common.page import write_page
from training.compare.models import Comparison
from training.measuring.differences import Difference

RESULT: Final = "comparison.json"
PAGE: Final = "comparison.html"
FIGURES: Final = {"roc_auc": "ROC AUC", "average_precision": "average precision", "f1_macro": "F1"}
"""The figures that the page shows; `f1_macro` is that of class and rest, at each model's thresholds."""
_EXAMPLES: Final = 25  # Of each kind on the page; comparison.json has all.


def as_object(comparison: Comparison) -> dict[str, Any]:
    """What comparison.json holds: docs/evaluation.md explains it."""
    return {
        "before": {"model": comparison.before, "labels": comparison.decided_by[0]},
        "after": {"model": comparison.after, "labels": comparison.decided_by[1]},
        "rows": {"name": comparison.rows, "rows": len(comparison.examples), "sha256": comparison.digest},
        "verdict": comparison.verdict,
        "differences": {
            row: {name: asdict(each) for name, each in figures.items()}
            for row, figures in comparison.differences.items()
        },
        "slices": [asdict(part) for part in comparison.slices],
        "disagreements": asdict(comparison.disagreements),
        "behaviour": None if comparison.behaviour is None else asdict(comparison.behaviour),
    }


def table(comparison: Comparison) -> str:
    """The two models, the means' differences, what is worse or better in part, and the verdict."""
    lines = [
        f"A: {comparison.before}; labels {comparison.decided_by[0]}",
        f"B: {comparison.after}; labels {comparison.decided_by[1]}",
        f"on {comparison.rows}, {len(comparison.examples):,} rows with SHA-256 {comparison.digest[:12]}…",
        "",
        f"{'':34}{'A':>8}{'B':>8}{'B - A':>9}  {'95 % interval':19} B is",
    ]
    mean = comparison.differences["mean"]
    rows = [(f"mean {title}", mean[name]) for name, title in FIGURES.items()]
    if comparison.behaviour is not None:
        rows.append(("right labels in the suite", comparison.behaviour.suite))
        rows.append(("labels that stay under changes", comparison.behaviour.changes))
    lines += [_line(title, each) for title, each in rows]
    for verdict in ("better", "worse"):
        found = [where for where, each in _parts(comparison) if each.verdict == verdict]
        if found:
            lines.append(f"{verdict} in part: {'; '.join(found)}")
    apart = comparison.disagreements
    lines += [
        f"{apart.rows:,} rows get other labels: A alone is right about {len(apart.before_right)} of them,"
        f" B alone about {len(apart.after_right)}",
        f"{sentence(comparison)}",
    ]
    return "\n".join(lines)


def sentence(comparison: Comparison) -> str:
    """The verdict."""
    if comparison.verdict != "mixed":
        said = {"better": "B is better than A", "worse": "B is worse than A", "no difference": "no difference"}
        return f"{said[comparison.verdict]}, by mean ROC AUC and mean F1 on these rows"
    mean = comparison.differences["mean"]
    return "; ".join(f"B is {mean[name].verdict} in mean {FIGURES[name]}" for name in ("roc_auc", "f1_macro"))


def _line(title: str, each: Difference) -> str:
    low, high = each.interval_95
    interval = f"{low:+.4f} to {high:+.4f}"
    return f"{title:34}{each.before:8.4f}{each.after:8.4f}{each.rise:+9.4f}  {interval:19} {each.verdict}"


def _parts(comparison: Comparison) -> Iterator[tuple[str, Difference]]:
    """Classes, and slices' means; of each the leading figures."""
    for row, figures in comparison.differences.items():
        if row != "mean":
            yield from ((f"{row} ({FIGURES[name]})", figures[name]) for name in ("roc_auc", "f1_macro"))
    for part in comparison.slices:
        if part.differences:
            mean = part.differences["mean"]
            yield from ((f"{part.name} ({FIGURES[name]})", mean[name]) for name in ("roc_auc", "f1_macro"))


def write_comparison(comparison: Comparison, output: Path) -> None:
    """Write comparison.json and comparison.html.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    write_page(
        output / PAGE,
        "training.compare",
        "comparison.html.j2",
        comparison=comparison,
        verdict=sentence(comparison),
        titles=FIGURES,
        groups=GROUPS,
        kinds={change.name: change.description for change in CHANGES},
        most=_EXAMPLES,
    )
    write_result(output, RESULT, as_json(as_object(comparison)))
