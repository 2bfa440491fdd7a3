"""Predictions and the weights they came from: what a run writes down, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.common.command import TrainingError
from training.measuring.out_of_fold import OutOfFold
from training.runs.directory import read_cross_validated, write_fold, write_metrics, write_out_of_fold
from training.runs.origin import ORIGIN, check_folds, check_origin, record_fold, seal


def finished_run(run: Path, name: str, recipe: str = "") -> Path:
    """A run with as many bytes as matter: weights, five folds' predictions, and all that they leave."""
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"recipe": recipe or name}))
    (run / "model.safetensors").write_text(f"weights of {name}")
    probabilities = np.full((2, 6), len(name) / 100, dtype=np.float32)
    truth = np.zeros((2, 6), dtype=np.float32)
    for fold in range(5):
        write_fold(run, fold, truth, probabilities)
        record_fold(run, fold, run if fold == 0 else run / f"fold{fold}")
    write_out_of_fold(run, OutOfFold.joined([truth] * 5, [probabilities] * 5))
    write_metrics(run, {"recipe": {}, "five_folds": {"roc_auc": len(name) / 10}})
    return run


def test_a_finished_run_is_known(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", "good")
    assert not check_origin(run), "nothing is written down yet"
    assert check_folds(run, [0, 1, 2, 3, 4])
    seal(run)
    assert check_origin(run)
    assert read_cross_validated(run)[0]["five_folds"] == {"roc_auc": 0.4}
    moved = tmp_path / "elsewhere"
    shutil.move(run, moved)
    assert check_origin(moved)


@pytest.mark.parametrize(
    "copied",
    [
        ("folds", "metrics.json", "out_of_fold.npz"), ("out_of_fold.npz",), ("metrics.json",),
        ("folds", "metrics.json", "out_of_fold.npz", ORIGIN), ("model.safetensors",),
    ],
)  # fmt: skip
def test_files_of_another_run_are_refused(tmp_path: Path, copied: tuple[str, ...]) -> None:
    good, bad = finished_run(tmp_path / "good", "better"), finished_run(tmp_path / "bad", "bad")
    seal(good)
    seal(bad)
    for name in copied:
        if (good / name).is_dir():
            shutil.copytree(good / name, bad / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(good / name, bad / name)
    with pytest.raises(TrainingError, match=r"did not come from the weights in model\.safetensors.*Copy the whole run"):
        read_cross_validated(bad)


def test_folds_of_another_run_are_refused_before_they_are_joined(tmp_path: Path) -> None:
    folds = [0, 1, 2, 3, 4]
    good, bad = finished_run(tmp_path / "good", "better", "same"), finished_run(tmp_path / "bad", "bad", "same")
    shutil.rmtree(bad / "folds")
    shutil.copytree(good / "folds", bad / "folds")
    with pytest.raises(TrainingError, match=r"folds/0\.npz did not come from the weights"):
        check_folds(bad, folds)
    # Only the predictions, beside what this run wrote of its own.
    third = finished_run(tmp_path / "third", "third", "same")
    shutil.copyfile(good / "folds" / "3.npz", third / "folds" / "3.npz")
    with pytest.raises(TrainingError, match=r"folds/3\.npz did not come"):
        check_folds(third, folds)
    # A run that was begun otherwise.
    fourth = finished_run(tmp_path / "fourth", "fourth", "another")
    for name in ("3.npz", "3.json"):
        shutil.copyfile(good / "folds" / name, fourth / "folds" / name)
    with pytest.raises(TrainingError, match=r"folds/3\.npz did not come"):
        check_folds(fourth, folds)


def test_a_run_that_an_earlier_release_began_is_not_sealed(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", "old")
    (run / "folds" / "2.json").unlink()
    assert not check_folds(run, [0, 1, 2, 3, 4])
    seal(run)
    seal(run, known=False)
    assert not check_origin(run)
    assert read_cross_validated(run)[0]["five_folds"]


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", "good")
    seal(run)
    (run / ORIGIN).write_text("{")
    with pytest.raises(TrainingError, match=r"origin\.json is damaged .*: copy the run again"):
        check_origin(run)
