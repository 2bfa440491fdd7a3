"""A run: the directory that training writes and that evaluation, audit and publishing read.

Its home is the data set whose folds it holds out: CEDR, or the user's own rows that it is trained on.
Beside the checkpoint itself (`config.json`, `model.safetensors`, `tokenizer.json`) it holds
`metrics.json`, an object whose `recipe` is how the run was made, whose `dev` are the figures of
`training.measuring.metrics.evaluate` on the held-out fold, and whose `five_folds`, only where each fold was
held out once, are their means over the folds; `measured_on` names the rows of these figures by a digest. Then there is
`out_of_fold.npz` too, the predictions from which thresholds are tuned. `folds/<fold>.npz` are the predictions for one
fold's rows each. `out_of_fold_brighter_rus.npz` are those for BRIGHTER's Russian rows, if the run held out its folds
too. `origin.json` and `folds/<fold>.json` tie all these to the weights: `training.runs.origin`.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError
from training.common.files import write_whole
from training.data.rows.combinations import CEDR, home_of
from training.data.rows.examples import Example, rows_digest
from training.data.rows.own import short_name
from training.data.splits.folds import BRIGHTER
from training.measuring.out_of_fold import OutOfFold, OutOfFoldSets
from training.runs.origin import check_origin

METRICS: Final = "metrics.json"
OUT_OF_FOLD: Final = "out_of_fold.npz"

Probabilities = npt.NDArray[np.float32]
"""`[rows, 6]`, as is the truth beside them, 0/1."""


def checkpoint_directory(run: Path, fold: int) -> Path:
    """Where a run keeps the checkpoint that never saw a fold: fold 0's, the dev split's, in the run itself."""
    return run if fold == 0 else run / f"fold{fold}"


def fold_file(run: Path, fold: int, elsewhere: str | None = None) -> Path:
    """Where the predictions for one fold's rows are, once there is a model that didn't see them.

    `elsewhere` names a data set whose folds are held out beside the home's.
    """
    return run / "folds" / (f"{fold}.npz" if elsewhere is None else f"{elsewhere}.{fold}.npz")


def write_fold(
    run: Path,
    fold: int,
    truth: npt.NDArray[np.float32],
    probabilities: npt.NDArray[np.float32],
    elsewhere: str | None = None,
) -> None:
    """Write one fold's truth and probabilities, float32 `[rows, 6]` each."""
    fold_file(run, fold).parent.mkdir(exist_ok=True)
    _write_arrays(fold_file(run, fold, elsewhere), truth=truth, probabilities=probabilities)


def read_fold(
    run: Path, fold: int, elsewhere: str | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """One fold's truth and probabilities, float32 `[rows, 6]` each."""
    with np.load(fold_file(run, fold, elsewhere)) as kept:
        return kept["truth"], kept["probabilities"]


def write_metrics(run: Path, metrics: dict[str, Any]) -> None:
    """Write `metrics.json`."""
    write_whole(run / METRICS, json.dumps(metrics, indent=2).encode())


def out_of_fold_file(run: Path, elsewhere: str | None = None) -> Path:
    """Where the out-of-fold predictions of the home's rows are, or of another data set's."""
    return run / (OUT_OF_FOLD if elsewhere is None else f"out_of_fold_{elsewhere}.npz")


def write_out_of_fold(run: Path, predictions: OutOfFold, elsewhere: str | None = None) -> None:
    """Write the out-of-fold predictions of the home's rows, or another data set's."""
    _write_arrays(
        out_of_fold_file(run, elsewhere),
        truth=predictions.truth, probabilities=predictions.probabilities, fold=predictions.fold,
    )  # fmt: skip


def read_out_of_fold(run: Path, elsewhere: str | None = None) -> OutOfFold | None:
    """The out-of-fold predictions of the home's rows, or another data set's; None where the run has none.

    Raises:
        TrainingError: the file is damaged.
    """
    path = out_of_fold_file(run, elsewhere)
    return _read_predictions(path) if path.is_file() else None


def _read_predictions(path: Path) -> OutOfFold:
    try:
        with np.load(path) as kept:
            return OutOfFold(kept["truth"], kept["probabilities"], kept["fold"])
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> TrainingError:
    return TrainingError(f"{path} is damaged ({error}): copy the run again, or train it again")


def _write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_whole(path, content.getvalue())


def is_cross_validated(run: Path) -> bool:
    """Whether each fold was held out once when these weights were trained."""
    return "five_folds" in read_metrics(run)


def read_cross_validated(run: Path) -> tuple[dict[str, Any], OutOfFold]:
    """The metrics and the out-of-fold predictions of a run in which each fold was held out once.

    Raises:
        TrainingError: a file is missing or damaged, or the predictions are of an earlier run, or of another.
    """
    for name in (METRICS, OUT_OF_FOLD):
        if not (run / name).is_file():
            raise TrainingError(f"{run} has no {name}: train it with --cross-validate")
    try:
        metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(run / METRICS, error) from error
    predictions = _read_predictions(run / OUT_OF_FOLD)
    if "five_folds" not in metrics:
        # The predictions there are of an earlier run, not of these weights.
        raise TrainingError(f"{run} was trained again without --cross-validate: train it with it")
    check_origin(run)
    return metrics, predictions


def read_out_of_fold_sets(run: Path) -> OutOfFoldSets:
    """The out-of-fold predictions of all data sets whose folds the run held out, by their names, the home's first.

    Raises:
        TrainingError: as `read_cross_validated`.
    """
    sets = {short_name(home_of(dataset_of(run))): read_cross_validated(run)[1]}
    brighter = read_out_of_fold(run, BRIGHTER)
    return sets if brighter is None else {**sets, BRIGHTER: brighter}


def read_metrics(run: Path) -> dict[str, Any]:
    """A run's `metrics.json`; empty where there is none, as beside a checkpoint from elsewhere.

    Raises:
        TrainingError: it is damaged.
    """
    path = run / METRICS
    try:
        metrics = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise _damaged(path, error) from error
    return metrics if isinstance(metrics, dict) else {}


def dataset_of(run: Path) -> str:
    """The training set of a run, as it was named: a combination, or `mine=DIR`; `cedr` where it doesn't say.

    Raises:
        TrainingError: its metrics.json is damaged.
    """
    return str(read_metrics(run).get("recipe", {}).get("dataset", CEDR))


def check_measured_on(run: Path, which: str, examples: Sequence[Example]) -> None:
    """That rows are those which a run's figures or predictions are of. Runs from before digests pass.

    Args:
        run: its directory.
        which: `dev` or `out_of_fold`, or another key of `measured_on`.
        examples: the rows that are asked about.

    Raises:
        TrainingError: they are others; says by how much.
    """
    kept = read_metrics(run).get("measured_on", {}).get(which)
    if kept is not None:
        check_same_rows(kept, examples, f"the {which.replace('_', '-')} rows of {run}")


def check_same_rows(kept: Mapping[str, Any], examples: Sequence[Example], what: str) -> None:
    """That rows have a digest that `training.data.rows.examples.measured_rows` wrote down.

    Raises:
        TrainingError: they are others.
    """
    digest = rows_digest(examples)
    if kept["sha256"] != digest:
        raise TrainingError(
            f"these are not {what}: they were {kept['rows']} rows of {kept['dataset']} with the SHA-256"
            f" {kept['sha256'][:12]}…, and these are {len(examples)} with {digest[:12]}…. Name the data that it was"
            " trained on with --data-dir or --dataset NAME=DIRECTORY, or train it again"
        )


def check_output(output: Path) -> None:
    """That results may go there, asked before hours are spent on them.

    Raises:
        TrainingError: it is a file, or a run, whose own metrics.json must stay.
    """
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file: name a directory with --output")
    if "recipe" in read_metrics(output):
        raise TrainingError(
            f"{output} holds the {METRICS} of a run: name another directory, such as {output}/evaluation"
        )
