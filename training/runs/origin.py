"""Ties a run's predictions to the weights they came from, by SHA-256, so that no other run's are taken for them.

`folds/<fold>.json`, written with a fold's predictions, has the digests of these, of the checkpoint that made them where
one is kept (fold 0's is the run's own), and of `run.json`, which says how the run was begun and on which rows.
`origin.json`, written when a run finishes, has those of the run's weights, its out-of-fold predictions and its
`metrics.json`. Who copies a file from another run, or changes the weights, is told. Runs from before have neither.
"""

import json
from pathlib import Path
from typing import Any, Final

from contract.regular_files import sha256
from training.common.command import TrainingError
from training.common.files import write_whole
from training.runs.record import RECORD

ORIGIN: Final = "origin.json"
_WEIGHTS: Final = "model.safetensors"
_METRICS: Final = "metrics.json"
_FOLDS: Final = "folds"


def record_fold(run: Path, fold: int, checkpoint: Path) -> None:
    """Write down what a fold's predictions, which are there already, came from.

    Args:
        run: the run's directory.
        fold: which fold.
        checkpoint: where the checkpoint that never saw the fold is, if it is kept.
    """
    predictions = [path.name for path in (run / _FOLDS).glob("*.npz") if path.stem.rpartition(".")[2] == f"{fold}"]
    written = {
        "predictions": {name: sha256(run / _FOLDS / name) for name in sorted(predictions)},
        "weights": _digest(checkpoint / _WEIGHTS),
        "begun": _digest(run / RECORD),
    }
    write_whole(run / _FOLDS / f"{fold}.json", _as_json(written))


def check_folds(run: Path, folds: list[int]) -> bool:
    """That folds' predictions are this run's; False if an earlier release predicted one, which wrote nothing down.

    Raises:
        TrainingError: they came from other weights, or another run.
    """
    known = [fold for fold in folds if (run / _FOLDS / f"{fold}.json").is_file()]
    for fold in known:
        written = _read(run / _FOLDS / f"{fold}.json")
        now = {name: _digest(run / _FOLDS / name) for name in written["predictions"]}
        if now != written["predictions"] or written["begun"] != _digest(run / RECORD):
            raise _foreign(run, f"{_FOLDS}/{fold}.npz")
        if fold == 0 and written["weights"] != _digest(run / _WEIGHTS):
            raise _foreign(run, f"{_FOLDS}/0.npz")
    return known == folds


def seal(run: Path, known: bool = True) -> None:
    """Write down that a finished run's out-of-fold predictions and metrics belong to its weights, if that is known."""
    if not known:
        (run / ORIGIN).unlink(missing_ok=True)
        return
    names = [_METRICS, *sorted(path.name for path in run.glob("out_of_fold*.npz"))]
    write_whole(run / ORIGIN, _as_json({"weights": _digest(run / _WEIGHTS), "files": _digests(run, names)}))


def check_origin(run: Path) -> bool:
    """That a run's out-of-fold predictions and metrics came from its weights; False if nothing was written down.

    Raises:
        TrainingError: they came from other weights.
    """
    if not (run / ORIGIN).is_file():
        return False
    written = _read(run / ORIGIN)
    there = sorted(path.name for path in run.glob("out_of_fold*.npz"))
    for name in [_METRICS, *there]:
        if written["files"].get(name) != _digest(run / name):
            raise _foreign(run, name)
    if written["weights"] is not None and not (run / _WEIGHTS).is_file():
        raise TrainingError(f"{run} has no {_WEIGHTS}: copy the whole run again")
    if written["weights"] != _digest(run / _WEIGHTS):
        raise _foreign(run, " and ".join(there) or _METRICS)
    return True


def _foreign(run: Path, name: str) -> TrainingError:
    return TrainingError(
        f"{run}: {name} did not come from the weights in {_WEIGHTS}: by their SHA-256, a file is damaged, or was copied"
        " here from another run, or changed since. Copy the whole run again, or train it again with --cross-validate"
    )


def _digests(run: Path, names: list[str]) -> dict[str, str | None]:
    return {name: _digest(run / name) for name in names}


def _digest(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def _as_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _read(path: Path) -> dict[str, Any]:
    try:
        written: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise TrainingError(f"{path} is damaged ({error}): copy the run again, or train it again") from error
    return written
