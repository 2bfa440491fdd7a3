"""Out-of-fold predictions of two data sets in one run's directory."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.support.rows import keyword_rows, write_brighter, write_lines
from training.common.command import TrainingError
from training.data.rows.examples import targets
from training.data.splits.folds import brighter_by_fold
from training.measuring.out_of_fold import OutOfFold, out_of_fold_examples
from training.runs.directory import (
    METRICS,
    check_output,
    is_cross_validated,
    out_of_fold_file,
    read_out_of_fold,
    write_out_of_fold,
)
from training.runs.record import RECORD, read_record


def predictions(seed: int) -> OutOfFold:
    random = np.random.default_rng(seed)
    truth = (random.random((20, 6)) < 0.3).astype(np.float32)
    return OutOfFold(truth, random.random((20, 6), dtype=np.float32), np.arange(20) // 4)


def test_each_data_set_has_its_own_file(tmp_path: Path) -> None:
    assert read_out_of_fold(tmp_path) is None
    write_out_of_fold(tmp_path, predictions(1))
    assert read_out_of_fold(tmp_path, "brighter_rus") is None
    write_out_of_fold(tmp_path, predictions(2), "brighter_rus")
    for seed, dataset in ((1, None), (2, "brighter_rus")):
        read, written = read_out_of_fold(tmp_path, dataset), predictions(seed)
        assert read is not None
        assert np.array_equal(read.truth, written.truth)
        assert np.array_equal(read.probabilities, written.probabilities)
        assert np.array_equal(read.fold, written.fold)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write_out_of_fold(tmp_path, predictions(1), "brighter_rus")
    path = out_of_fold_file(tmp_path, "brighter_rus")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"out_of_fold_brighter_rus\.npz is damaged"):
        read_out_of_fold(tmp_path, "brighter_rus")


def test_damaged_json_is_named(tmp_path: Path) -> None:
    for name in (METRICS, RECORD):
        (tmp_path / name).write_text('{"recipe": ', encoding="utf-8")
    for read, name in (
        (lambda: is_cross_validated(tmp_path), METRICS),
        (lambda: check_output(tmp_path), METRICS),
        (lambda: read_record(tmp_path / RECORD), RECORD),
    ):
        with pytest.raises(TrainingError, match=f"{name} is damaged"):
            read()


def test_predictions_of_other_rows_are_noticed(tmp_path: Path) -> None:
    rows = keyword_rows(12)
    write_lines(tmp_path, "cedr", "train", rows[:30])
    write_brighter(tmp_path, "rus", "train", rows[30:])
    examples, fold = brighter_by_fold(tmp_path)
    kept = OutOfFold(targets(examples), np.zeros((len(examples), 6), np.float32), fold)
    assert out_of_fold_examples(kept, tmp_path, "brighter_rus") == examples
    write_brighter(tmp_path, "rus", "train", [*rows[30:-1], rows[-1] | {"labels": [4]}])
    with pytest.raises(TrainingError, match="not of this brighter_rus train and dev split: its rows or labels differ"):
        out_of_fold_examples(kept, tmp_path, "brighter_rus")
