"""A second model beside the first: the same figures of the same rows, and how far apart they are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.evaluate.breakdown.slices import slices
from training.evaluate.evaluation import Evaluation

_SLICED = ("roc_auc", "f1_macro", "f1", "flagged")


def side_by_side(first: Evaluation, second: Evaluation) -> dict[str, Any]:
    """The second model's figures, and the second's less the first's, on the same rows.

    Returns:
        `model` and `figures`, the second's; `difference`, by `mean` and emotion, of the figures at 0.5, and
        `tuned_difference` of those at tuned thresholds, None unless both have them; `slices`, each with the
        `first`'s and the `second`'s figures and their `difference`; `decided_by` of the two; and `same_labels`, the
        share of rows that get the same labels from both.

    Raises:
        TrainingError: the two were measured on different rows.
    """
    if first.examples != second.examples:
        raise TrainingError(f"{first.model} and {second.model} were measured on different rows")
    pairs = zip(_slices(first), _slices(second), strict=True)
    return {
        "model": second.model,
        "figures": second.figures,
        "decided_by": {"first": first.decided_by, "second": second.decided_by},
        "difference": _difference(first.figures, second.figures),
        "tuned_difference": (
            _difference(first.figures["tuned"], second.figures["tuned"])
            if "tuned" in first.figures and "tuned" in second.figures
            else None
        ),
        "slices": [
            {
                **{name: one[name] for name in ("by", "slice", "rows")},
                "first": {name: one[name] for name in _SLICED},
                "second": {name: other[name] for name in _SLICED},
                "difference": _less(one, other, _SLICED),
            }
            for one, other in pairs
        ],
        "same_labels": round(float(np.all(first.decisions == second.decisions, axis=1).mean()), 4),
    }


def _slices(evaluation: Evaluation) -> list[dict[str, Any]]:
    return slices(evaluation.examples, evaluation.probabilities, evaluation.decisions)


def _difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {row: _less(first[row], second[row], tuple(first[row])) for row in ("mean", *EMOTIONS)}


def _less(first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float | None]:
    return {
        name: None if first[name] is None or second[name] is None else round(second[name] - first[name], 4)
        for name in names
    }
