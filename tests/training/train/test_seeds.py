"""Several seeds: runs of their own, and mean and spread of their figures."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.support.fine_tuning_runs import write_bert, write_rows
from training.common.command import TrainingError
from training.runs.settings import read_settings
from training.train.__main__ import main
from training.train.settings import Settings

pytestmark = pytest.mark.usefixtures("one_thread")


def read(path: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def test_each_seed_has_a_run_and_the_parent_their_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_bert(tmp_path / "bert", write_rows(tmp_path, each=20), dropout=0.1)
    flags = ["--train-model", "--base-model", str(base), "--data-dir", str(tmp_path), "--epochs", "1", "--lr", "3e-3"]
    place = ["--weights-dir", str(tmp_path / "weights"), "--seed", "5", "--seeds", "2", "--resume"]
    monkeypatch.setattr(sys, "argv", ["train", *flags, *place])
    main()
    parent = tmp_path / "weights" / "bert_cedr_1epochs_2seeds"
    runs = [parent / f"bert_cedr_1epochs_seed{seed}" for seed in (5, 6)]
    assert {path.name for path in parent.iterdir()} == {"metrics.json", *(run.name for run in runs)}
    each, spread = [read(run) for run in runs], read(parent)
    assert [metrics["recipe"]["seed"] for metrics in each] == [5, 6]
    assert "seed" not in spread["recipe"]
    assert spread["runs"] == {"5": runs[0].name, "6": runs[1].name}
    for figure in each[0]["dev"]["mean"]:
        values = [metrics["dev"]["mean"][figure] for metrics in each]
        assert spread["mean"]["dev"]["mean"][figure] == pytest.approx(np.mean(values), abs=1e-4)
        assert spread["spread"]["dev"]["mean"][figure] == pytest.approx(abs(values[0] - values[1]) / 2**0.5, abs=1e-4)
    assert any(value > 0 for value in spread["spread"]["dev"]["mean"].values()), "so equal runs would say nothing"
    assert "2 seeds, mean ± standard deviation between them:" in capsys.readouterr().out

    main()
    assert capsys.readouterr().out.count("is done already") == 2


def test_seeds_are_about_training() -> None:
    with pytest.raises(TrainingError, match="--seeds is about training: give --train-model too"):
        read_settings(Settings, "training.train", None, ["--evaluate-devset", "--seeds", "3"])
    with pytest.raises(TrainingError, match="--seeds '0': input should be greater than or equal to 1"):
        read_settings(Settings, "training.train", None, ["--train-model", "--seeds", "0"])
