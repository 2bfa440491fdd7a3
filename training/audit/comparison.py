"""What retraining with corrections changed: figures, the corrected rows, and other answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.audit.label_evidence import check_home, labels_of, read_out_of_fold_of
from training.common.command import TrainingError
from training.data.rows.combinations import CEDR, home_of
from training.data.rows.corrections import Correction, apply_corrections, text_key
from training.data.rows.examples import Example, targets
from training.data.rows.own import short_name
from training.data.splits.folds import by_fold
from training.evaluate.predictions import predict_checkpoint
from training.measuring.bootstrap import paired_intervals
from training.measuring.figures import dev_of
from training.measuring.metrics import evaluate
from training.measuring.out_of_fold import rows_of
from training.runs.directory import is_cross_validated

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CorrectedRow:
    """A correction, and both models' probabilities of its labels, before and after."""

    text: str
    given: frozenset[int]
    corrected: frozenset[int] | None
    given_probability: tuple[float, float]
    corrected_probability: tuple[float, float] | None
    trained_on: bool


@dataclass(frozen=True)
class ChangedRow:
    """A row without a correction whose labels are others than before."""

    text: str
    given: frozenset[int]
    before: frozenset[int]
    after: frozenset[int]


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same rows.

    `changes` has figures `as_given` and `as_corrected`: `rows`, `before`, `after` and `rise_95`,
    the paired 95 % interval of the rise. `changed` is sorted by how far the probabilities moved.
    """

    rows: str
    changes: dict[str, Any]
    corrected: list[CorrectedRow]
    changed: list[ChangedRow]


def compare(
    before: Path, after: Path, corrections: Sequence[Correction], data_dir: Path | None, dataset: str = CEDR
) -> Comparison:
    """Compare two runs, out of fold if both are cross-validated, otherwise on dev.

    Raises:
        TrainingError: a run cannot be loaded, a correction is about no row of the data set, or no figure
            is defined on the corrected labels.
    """
    if not corrections:
        raise TrainingError("the corrections file corrects nothing: fill in its column `corrected`")
    for run in (before, after):
        check_home(run, dataset)
    examples, fold = by_fold(dataset, data_dir)
    name = short_name(home_of(dataset))
    # Raises where a correction is about no row there.
    apply_corrections(examples, corrections)
    if is_cross_validated(before) and is_cross_validated(after):
        rows, measured = f"{rows_of([name])}, out of fold", np.ones(len(examples), dtype=np.bool_)
        predictions = [read_out_of_fold_of(run, data_dir, dataset)[0].probabilities for run in (before, after)]
    else:
        rows, measured = dev_of(name), fold == 0
        predictions = [predict_checkpoint(run, examples) for run in (before, after)]
    by_key = {(text_key(c.text), c.given): c for c in corrections}
    found = [by_key.get((text_key(example.text), example.labels)) for example in examples]
    return Comparison(
        rows,
        _changes(examples, measured, found, predictions),
        [_corrected_row(c, not measured[row], [p[row] for p in predictions]) for row, c in enumerate(found) if c],
        _changed_rows(examples, measured, found, predictions),
    )


def _changes(
    examples: list[Example],
    measured: npt.NDArray[np.bool_],
    found: list[Correction | None],
    predictions: list[Probabilities],
) -> dict[str, Any]:
    given = targets(examples)
    corrected = given.copy()
    included = measured.copy()
    for row, correction in enumerate(found):
        if correction is None:
            continue
        if correction.corrected is None:
            included[row] = False
        else:
            corrected[row] = targets([Example(correction.text, correction.corrected, "")])[0]
    return {
        "as_given": _change(given[measured], *(p[measured] for p in predictions)),
        "as_corrected": _change(corrected[included], *(p[included] for p in predictions)),
    }


def _change(truth: npt.NDArray[np.float32], before: Probabilities, after: Probabilities) -> dict[str, Any]:
    return {
        "rows": len(truth),
        "before": evaluate(truth, before),
        "after": evaluate(truth, after),
        "rise_95": paired_intervals(truth, before, after),
    }


def _corrected_row(correction: Correction, trained_on: bool, predictions: list[Probabilities]) -> CorrectedRow:
    def lowest(labels: frozenset[int]) -> tuple[float, float]:
        before, after = (min(float(row[label]) for label in labels) for row in predictions)
        return before, after

    corrected = lowest(correction.corrected) if correction.corrected else None
    given = lowest(correction.given)
    return CorrectedRow(correction.text, correction.given, correction.corrected, given, corrected, trained_on)


def _changed_rows(
    examples: list[Example],
    measured: npt.NDArray[np.bool_],
    found: list[Correction | None],
    predictions: list[Probabilities],
) -> list[ChangedRow]:
    before, after = predictions
    moved = np.abs(after - before).max(axis=1)
    rows = []
    for row in np.argsort(-moved, kind="stable"):
        labels = labels_of(before[row]), labels_of(after[row])
        if measured[row] and found[row] is None and labels[0] != labels[1]:
            rows.append(ChangedRow(examples[row].text, examples[row].labels, *labels))
    return rows
