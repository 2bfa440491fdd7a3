"""The same run with several seeds: how much of a figure is the recipe, and how much is luck."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from training.common.output import as_json, write_result
from training.runs.directory import METRICS
from training.train.settings import Settings

Figures = dict[str, Any]


def write_spread(settings: Settings) -> None:
    """Print and write mean and spread of every figure of the runs of `settings`, which are all done.

    The parent folder's metrics.json has `mean` and `spread` (the standard deviation between seeds, n - 1), each with
    the places that the runs' own files have, and `runs`, the folder of each seed.

    Raises:
        TrainingError: the disk is full, or not writable.
    """
    each = [json.loads((run.folder / METRICS).read_text(encoding="utf-8")) for run in settings.runs]
    figures = [{name: part for name, part in metrics.items() if name != "recipe"} for metrics in each]
    mean, spread = _joined(figures, _mean), _joined(figures, _deviation)
    written = {
        "recipe": {name: value for name, value in settings.recipe.items() if name != "seed"},
        "runs": {str(run.seed): run.folder.name for run in settings.runs},
        "mean": mean,
        "spread": spread,
    }
    print(f"{len(each)} seeds, mean ± standard deviation between them:")
    for part, found in (("dev split", ("dev", "mean")), ("five folds", ("five_folds",))):
        means, deviations = mean, spread
        for name in found:
            means, deviations = means.get(name, {}), deviations.get(name, {})
        if means:
            print(f"{part}: " + ", ".join(f"{name} {means[name]:.4f} ± {deviations[name]:.4f}" for name in means))
    path = write_result(settings.folder, METRICS, as_json(written))
    print(f"wrote {path}; to publish one of the runs, name its folder", flush=True)


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)


def _deviation(values: Sequence[float]) -> float:
    return round(float(np.std(values, ddof=1)), 4)


def _joined(figures: Sequence[Figures], join: Any) -> Figures:
    """One object with the numbers of all, joined place by place; what is no number in each is left out."""
    joined: Figures = {}
    for name, first in figures[0].items():
        values = [of.get(name) for of in figures]
        if isinstance(first, dict) and all(isinstance(value, dict) for value in values):
            joined[name] = _joined([value for value in values if value is not None], join)
        elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            joined[name] = join(values)
    return joined
