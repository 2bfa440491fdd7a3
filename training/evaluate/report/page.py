"""The pages of an evaluation: of one set of rows, and the overview of several."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from training.common.page import inline, write_page
from training.evaluate.breakdown.errors import GROUPINGS
from training.evaluate.report.plots import (
    confusion,
    precision_recall_curves,
    reliability,
    roc_curves,
    threshold_plot,
)
from training.measuring.metrics import Matrix
from training.measuring.thresholds import PROFILES

TITLES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "f1_macro": "F1, class and rest",
    "precision_macro": "precision, class and rest",
    "recall_macro": "recall, class and rest",
    "f1": "F1 of the class",
    "precision": "precision of the class",
    "recall": "recall of the class",
    "calibration_error": "calibration error",
}
_GROUPS: Final = 20


def write_report(path: Path, content: Mapping[str, Any], truth: Matrix, probabilities: Matrix) -> None:
    """Write the page of one set of rows.

    Args:
        path: where to.
        content: what `metrics.json` holds, as `training.evaluate.results` makes it; the page shows nothing else.
        truth: 0/1, `[rows, 6]`, for the plots.
        probabilities: `[rows, 6]`, for the plots.
    """
    plots = (roc_curves, precision_recall_curves, confusion, reliability)
    groups = content["errors"]["groups"]
    write_page(
        path,
        "training.evaluate.report",
        "evaluation.html.j2",
        titles=TITLES,
        purposes=PROFILES,
        groupings=GROUPINGS,
        largest={by: list(islice((group for group in groups if group["by"] == by), _GROUPS)) for by in GROUPINGS},
        standing_out=sorted(
            (group for group in groups if group["stands_out"]), key=lambda group: (-group["lift"], -group["errors"])
        )[:_GROUPS],
        threshold_plot=inline(threshold_plot(content["curves"], content["profile_thresholds"])),
        plots=[inline(draw(truth, probabilities)) for draw in plots],
        **content,
    )


def write_overview(path: Path, sets: Mapping[str, Mapping[str, Any]], pages: Mapping[str, str]) -> None:
    """Write the page that shows several sets of rows beside each other.

    Args:
        path: where to.
        sets: by set of rows, what its `metrics.json` holds.
        pages: by set of rows, the address of its own page.
    """
    beside: Sequence[bool] = ["beside" in content for content in sets.values()]
    write_page(path, "training.evaluate.report", "overview.html.j2", sets=sets, pages=pages, beside=any(beside))
