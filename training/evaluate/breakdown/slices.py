"""Figures of parts of the rows: by where the texts were taken from, and by their length."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, roc_auc_score

from contract.labels import EMOTIONS
from training.data.rows.examples import Example, targets
from training.measuring.metrics import Decisions, Matrix
from training.measuring.slices import slices_of

ALL: Final = "all rows"
_EMOTIONAL: Final = np.array([emotion != "no_emotion" for emotion in EMOTIONS])


def slices(examples: Sequence[Example], probabilities: Matrix, decisions: Decisions) -> list[dict[str, Any]]:
    """Figures of all rows, of each source if there are several, and of each length.

    Args:
        examples: the rows.
        probabilities: `[rows, 6]`.
        decisions: the labels given, bool `[rows, 6]`.

    Returns:
        Of each slice: `by` and `slice`, its names; `rows`; `roc_auc`, `f1_macro` and `f1`, means over the classes
        that some of its rows have and some have not, None if there is no such class; `undefined`, the other
        classes; and `flagged`, the share of rows that get an emotion.
    """
    truth = targets(examples)
    found = [_slice("rows", ALL, np.ones(len(examples), dtype=np.bool_), truth, probabilities, decisions)]
    found += [_slice(part.by, part.name, part.rows, truth, probabilities, decisions) for part in slices_of(examples)]
    return found


def _slice(
    by: str, name: str, here: npt.NDArray[np.bool_], truth: Matrix, probabilities: Matrix, decisions: Decisions
) -> dict[str, Any]:
    truth, probabilities, decisions = truth[here], probabilities[here], decisions[here]
    defined = [index for index, column in enumerate(truth.T) if column.any() and not column.all()]
    columns = [(truth[:, index], probabilities[:, index], decisions[:, index]) for index in defined]
    values = {
        "roc_auc": [roc_auc_score(given, answers) for given, answers, _ in columns],
        "f1_macro": [f1_score(given, labels, average="macro", zero_division=0) for given, _, labels in columns],
        "f1": [f1_score(given, labels, zero_division=0) for given, _, labels in columns],
    }
    return {
        "by": by,
        "slice": name,
        "rows": len(truth),
        **{figure: round(float(np.mean(each)), 4) if each else None for figure, each in values.items()},
        "undefined": [emotion for index, emotion in enumerate(EMOTIONS) if index not in defined],
        "flagged": round(float(decisions[:, _EMOTIONAL].any(axis=1).mean()), 4),
    }
