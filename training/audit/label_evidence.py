"""Label evidence: what models say about a data set's labels, each of a run, for the rows that it may judge.

- `out-of-fold`: a cross-validated run, for every row, by the model that did not train on it.
- `over-fitted`: a run trained far too long, for the rows it trained on: what it could not even
  learn by heart contradicts the rest of the data.
- `larger`: another model's validation errors: on dev, or on every row if it is cross-validated.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from cleanlab.multilabel_classification import get_label_quality_scores
from cleanlab.multilabel_classification.filter import find_label_issues

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.rows.combinations import CEDR, home_of
from training.data.rows.corrections import text_key
from training.data.rows.examples import Example, targets
from training.data.rows.own import short_name
from training.data.splits.folds import by_fold
from training.evaluate.predictions import predict_checkpoint
from training.measuring.metrics import check_measurable
from training.measuring.out_of_fold import OutOfFold, out_of_fold_examples
from training.runs.directory import check_measured_on, dataset_of, is_cross_validated, read_cross_validated

NO_EMOTION: Final = EMOTIONS.index("no_emotion")


@dataclass(frozen=True)
class LabelEvidence:
    """What one model says about the labels of a data set's rows, in the order of `by_fold`.

    `probabilities` is float32 `[rows, 6]`, NaN where the model may not judge; `quality`, float64
    `[rows]`, is cleanlab's score of the given labels (low is suspicious); `issues`, bool `[rows]`,
    says that the model contradicts them: cleanlab calls that a label issue.
    """

    name: str
    probabilities: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float64]
    issues: npt.NDArray[np.bool_]


def labels_of(probabilities: npt.NDArray[np.float32]) -> frozenset[int]:
    """What one row's probabilities say: all at 0.5 or above, or else the most probable; no emotion excludes others."""
    top = int(probabilities.argmax())
    labels = {int(label) for label in np.flatnonzero(probabilities >= 0.5)} | {top}
    return frozenset({top} if top == NO_EMOTION else labels - {NO_EMOTION})


def out_of_fold_evidence(run: Path, data_dir: Path | None, dataset: str = CEDR) -> LabelEvidence:
    """A cross-validated run; cleanlab's confident learning says which labels to doubt.

    Raises:
        TrainingError: the run is not cross-validated, or on other data.
    """
    out_of_fold, examples = read_out_of_fold_of(run, data_dir, dataset)
    confident = np.asarray(find_label_issues(_given(examples), out_of_fold.probabilities, n_jobs=1), np.bool_)
    return _evidence("out-of-fold", examples, np.arange(len(examples)), out_of_fold.probabilities, confident)


def over_fitted_evidence(run: Path, data_dir: Path | None, dataset: str = CEDR) -> LabelEvidence:
    """A run's predictions for the rows that it trained on: all but dev, and texts that dev has too."""
    check_home(run, dataset)
    examples, fold = by_fold(dataset, data_dir)
    in_dev = {text_key(example.text) for example, of in zip(examples, fold, strict=True) if of == 0}
    rows = np.array([row for row, example in enumerate(examples) if text_key(example.text) not in in_dev])
    return _evidence("over-fitted", examples, rows, predict_checkpoint(run, [examples[row] for row in rows]))


def larger_model_evidence(run: Path, data_dir: Path | None, dataset: str = CEDR) -> LabelEvidence:
    """Another model's validation errors."""
    if is_cross_validated(run):
        out_of_fold, examples = read_out_of_fold_of(run, data_dir, dataset)
        return _evidence("larger", examples, np.arange(len(examples)), out_of_fold.probabilities)
    check_home(run, dataset)
    examples, fold = by_fold(dataset, data_dir)
    rows = np.flatnonzero(fold == 0)
    return _evidence("larger", examples, rows, predict_checkpoint(run, [examples[row] for row in rows]))


def check_home(run: Path, dataset: str) -> None:
    """That a run held out folds of this data set: of another's rows it may have seen any.

    Raises:
        TrainingError: it didn't.
    """
    home, asked = (short_name(home_of(name)) for name in (dataset_of(run), dataset))
    if home != asked:
        raise TrainingError(f"{run} was trained with folds of {home} held out, not of {asked}: name its --dataset")


def read_out_of_fold_of(run: Path, data_dir: Path | None, dataset: str) -> tuple[OutOfFold, list[Example]]:
    """A run's out-of-fold predictions for a data set's rows, and these rows, in the same order.

    Raises:
        TrainingError: the run is not cross-validated, or on other data.
    """
    check_home(run, dataset)
    _, out_of_fold = read_cross_validated(run)
    examples = out_of_fold_examples(out_of_fold, data_dir, dataset)
    check_measured_on(run, "out_of_fold", examples)
    return out_of_fold, examples


def _given(examples: list[Example]) -> list[list[int]]:
    return [sorted(example.labels) for example in examples]


def _evidence(
    name: str,
    examples: list[Example],
    rows: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.float32],
    confident: npt.NDArray[np.bool_] | None = None,
) -> LabelEvidence:
    judged = [examples[row] for row in rows]
    try:
        check_measurable(targets(judged), predicted)
    except TrainingError as error:
        raise TrainingError(f"the {name} model cannot be used: {error}") from error
    contradicts = np.array([labels_of(p) != e.labels for p, e in zip(predicted, judged, strict=True)])
    probabilities = np.full((len(examples), len(EMOTIONS)), np.nan, dtype=np.float32)
    quality, issues = np.full(len(examples), np.nan), np.zeros(len(examples), dtype=np.bool_)
    probabilities[rows] = predicted
    quality[rows] = get_label_quality_scores(_given(judged), predicted)
    issues[rows] = contradicts if confident is None else contradicts & confident
    return LabelEvidence(name, probabilities, quality, issues)
