"""Both ways of training live the same life: begun, interrupted between folds, resumed, finished."""

import contextlib
import importlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.training.support.fine_tuning_runs import write_bert, write_rows
from training.common.command import TrainingError
from training.common.progress import Progress
from training.runs import life
from training.runs.directory import read_cross_validated
from training.runs.origin import check_origin
from training.scratch.fast_training.trainer import _State
from training.scratch.state import save_state

pytestmark = pytest.mark.usefixtures("one_thread")


class Way(NamedTuple):
    """A command that trains, the flags that say on what, and the flag that names where."""

    module: str
    flags: tuple[str, ...]
    place: str
    folder: str


FINE_TUNING = Way("training.train", ("--train-model", "--epochs", "1"), "--weights-dir", "bert_cedr_1epochs")
# Without the thousands of written texts, which say nothing about resuming.
MULTITASK = Way(
    "training.scratch.multitask",
    ("--datasets", "--as-emotions", "--epochs", "1", "--batch-size", "32"),
    "--output",
    "",
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    write_bert(directory / "bert", write_rows(directory, each=20), dropout=0.1)
    return directory


@pytest.fixture(params=[FINE_TUNING, MULTITASK], ids=["fine-tuning", "multi-task"])
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


def train(way: Way, data_dir: Path, place: Path, *more: str, base: str = "bert", lr: str = "3e-3") -> str:
    """What the command prints; in this process, because PyTorch takes seconds to load."""
    flags = ["--base-model", str(data_dir / base), "--data-dir", str(data_dir), way.place, str(place), "--lr", lr]
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", [way.module, *way.flags, *flags, *more]), contextlib.redirect_stdout(printed):
        importlib.import_module("training.train.__main__" if way.module == "training.train" else way.module).main()
    return printed.getvalue()


def test_interrupted_between_folds_it_goes_on_to_the_same_end(
    way: Way, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(way, data_dir, tmp_path / "whole", "--cross-validate")
    write_fold = life.write_fold

    def interrupted(run: Path, fold: int, *arrays: Any) -> None:
        if fold == 2:
            raise KeyboardInterrupt
        write_fold(run, fold, *arrays)

    run = tmp_path / "broken" / way.folder
    with monkeypatch.context() as patch:
        patch.setattr(life, "write_fold", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(way, data_dir, tmp_path / "broken", "--cross-validate")
    assert f"{run} keeps what is done: go on with --resume" in capsys.readouterr().err
    assert sorted(path.name for path in (run / "folds").iterdir()) == ["0.json", "0.npz", "1.json", "1.npz"]
    assert not (run / "metrics.json").exists()

    with pytest.raises(TrainingError, match=r"broken.* holds a run already: go on with it by --resume, or name"):
        train(way, data_dir, tmp_path / "broken", "--cross-validate")
    with pytest.raises(TrainingError, match=r"was begun otherwise: lr was 0\.003, is 0\.001; seed was 0, is 4\. Go on"):
        train(way, data_dir, tmp_path / "broken", "--cross-validate", "--resume", "--seed", "4", lr="1e-3")

    printed = train(way, data_dir, tmp_path / "broken", "--cross-validate", "--resume")
    assert "fold 1 is done already" in printed
    assert "fold 2 is done already" not in printed
    assert check_origin(run)
    metrics, predictions = read_cross_validated(run)
    expected_metrics, expected = read_cross_validated(tmp_path / "whole" / way.folder)
    assert metrics == expected_metrics
    assert np.array_equal(predictions.probabilities, expected.probabilities)
    assert np.array_equal(predictions.truth, expected.truth)
    assert not list(run.glob("checkpoints*"))


def test_a_finished_run_trains_nothing_and_keeps_its_five_folds(way: Way, data_dir: Path, tmp_path: Path) -> None:
    """`--resume` may always be given; without --cross-validate it takes nothing away."""
    printed = train(way, data_dir, tmp_path, "--cross-validate", "--resume")
    assert "is done already" not in printed
    before = (tmp_path / way.folder / "metrics.json").read_bytes()
    printed = train(way, data_dir, tmp_path, "--resume")
    assert printed.count("is done already") == 1
    assert (tmp_path / way.folder / "metrics.json").read_bytes() == before


def test_a_base_model_that_does_not_exist_leaves_nothing(way: Way, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="could not load"):
        train(way, data_dir, tmp_path / "weights", base="nowhere")
    assert not (tmp_path / "weights").exists()


def test_variables_change_no_setting(way: Way, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEED", "seed", "EPOCHS", "LR"):
        monkeypatch.setenv(name, "7")
    train(way, data_dir, tmp_path)
    recipe = json.loads((tmp_path / way.folder / "run.json").read_bytes())["recipe"]
    assert (recipe["seed"], recipe["epochs"], recipe["lr"]) == (0, 1, 0.003)


def test_stopped_inside_a_fold_it_goes_on_from_its_last_saved_step(
    way: Way, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, and in the middle of the second epoch: random states, order and average count."""
    flags = ("--epochs", "2", "--batch-size", "16")
    folder = way.folder.replace("1epochs", "2epochs")
    train(way, data_dir, tmp_path / "whole", *flags)
    steps = 0

    def stops(*_: Progress, **__: str) -> None:
        nonlocal steps
        steps += 1
        if steps == 9:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", stops)
        with pytest.raises(KeyboardInterrupt):
            train(way, data_dir, tmp_path / "stopped", *flags, "--save-minutes", "1e-6")
    assert not (tmp_path / "stopped" / folder / "model.safetensors").exists()
    printed = train(way, data_dir, tmp_path / "stopped", *flags, "--resume")
    assert re.search(r"going on (from .*checkpoint-(8|9)\n|after (8|9) steps)", printed)
    weights = [load_file(tmp_path / place / folder / "model.safetensors") for place in ("whole", "stopped")]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not list((tmp_path / "stopped" / folder).glob("checkpoints*"))


def test_a_state_of_other_texts_is_refused(tmp_path: Path) -> None:
    state = _State(tmp_path / "state.pt", torch.nn.Linear(1, 1), mock.Mock(), mock.Mock(), (10, 4))
    save_state(state.path, {"size": [12, 4]})
    with pytest.raises(TrainingError, match=r"is of a training on 12 texts in 4 steps, and this one has 10 in 4"):
        state.load(np.random.default_rng(0), torch.device("cpu"))
    state.path.write_bytes(state.path.read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"state.pt is damaged .*: remove it"):
        state.load(np.random.default_rng(0), torch.device("cpu"))
