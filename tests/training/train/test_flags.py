"""What the flags of fine-tuning say, allow and forbid."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.triton_process import ROOT
from training.common.command import TrainingError
from training.runs.settings import flag, read_settings
from training.train.settings import Settings


def settings(*arguments: str) -> Settings:
    return read_settings(Settings, "training.train", None, ["--train-model", *arguments])


def test_folders_are_named_as_people_know_them() -> None:
    assert settings("--dataset", "combo", "--epochs", "35").folder == Path("weights/rubert_combo_35epochs")
    extra = settings("--base-model", "xlm", "--epochs", "16", "--extra-info", "low-lr.2", "--weights-dir", "w")
    assert extra.folder == Path("w/xlm_cedr_16epochs_low-lr.2")
    assert settings("--base-model", "FacebookAI/xlm-roberta-large").folder.name == "xlm-roberta-large_cedr_10epochs"
    assert settings("--base-model", "/models/mine/").folder.name == "mine_cedr_10epochs"


def test_names_of_base_models_stand_for_checkpoints_on_the_hub() -> None:
    assert settings().checkpoint == settings().recipe["base_model"] == "cointegrated/rubert-tiny2"
    assert settings("--base-model", "xlm").checkpoint == "FacebookAI/xlm-roberta-base"
    assert settings("--base-model", "a/b").checkpoint == "a/b"


def test_recipe_holds_what_shapes_the_model_and_nothing_else() -> None:
    same = settings("--resume", "--cross-validate", "--weights-dir", "w", "--evaluate-devset", "--device", "cpu")
    assert same.recipe == settings().recipe
    assert set(same.recipe) == {
        "base_model", "dataset", "epochs", "batch_size", "lr", "scheduler", "patience", "keep", "warmup",
        "weight_decay", "max_grad_norm", "gradient_accumulation", "class_weights", "precision", "seed", "corrections",
        "augmented", "lora",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--epochs 0", "--epochs '0': input should be greater than or equal to 1"),
        ("--epochs 1.5", "--epochs '1.5': input should be a valid integer"),
        ("--epochs ten", "--epochs 'ten': input should be a valid integer"),
        ("--lr 0", "--lr '0': input should be greater than 0"),
        ("--lr nan", "--lr 'nan': input should be a finite number"),
        ("--max-grad-norm inf", "--max-grad-norm 'inf': input should be a finite number"),
        ("--warmup 1", "--warmup '1': input should be less than 1"),
        ("--batch-size -4", "--batch-size '-4': input should be greater than"),
        ("--seed 4294967296", "--seed '4294967296': input should be less than"),
        ("--extra-info ../up", "--extra-info '../up': may hold letters, digits"),
        ("--weights-dir README.md", "--weights-dir 'README.md': is a file: name a directory"),
        ("--data-dir nowhere", "--data-dir 'nowhere': is not a directory"),
        ("--epochs 0 --lr 2", "--epochs '0': .*; --lr '2': "),
        ("--dataset both", "--dataset 'both': no data set named 'both'; there are: cedr, combo"),
        ("--scheduler linear", "--scheduler 'linear': input should be 'constant' or 'cosine'"),
        ("--keep last", "--keep last goes with --patience 0"),
        ("--batch-size 30 --gradient-accumulation 4", "--batch-size 30 cannot be worked through in"),
        ("--device cpu --precision bf16", "--precision bf16 needs a GPU: leave it out"),
    ],
)
def test_values_that_cannot_work(arguments: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(TrainingError, match=reason):
        settings(*arguments.split())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", "nothing to do: give --train-model"),
        ("--evaluate-devset --cross-validate", "--cross-validate is about training: give --train-model too"),
        ("--create-onnx --resume", "--resume is about training"),
    ],
)
def test_actions_that_contradict_each_other(arguments: str, reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        read_settings(Settings, "training.train", None, arguments.split())


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("--epoch=3", "unrecognized arguments: --epoch=3"),
        ("--train-modle", "unrecognized arguments: --train-modle"),
        ("more", "unrecognized arguments: more"),
    ],
)
def test_typing_mistakes_are_errors(argument: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings(argument)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_unknown_fields_are_errors_in_code_too() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Settings(train_model=True, epoch=3)  # type: ignore[call-arg]


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings("--help")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for name in (
        "--base-model", "--dataset", "--epochs", "--batch-size", "--lr", "--scheduler", "--train-model",
        "--evaluate-devset", "--evaluate-testset", "--create-onnx", "--extra-info", "--weights-dir",
    ):  # fmt: skip
        assert name in printed


def test_the_page_describes_every_flag_and_no_other() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    foreign = {"--help", "--nproc-per-node", "--logdir", "--model", "--output", "--texts", "--datasets"}
    foreign |= {"--rows", "--out-of-fold", "--no-deps", "--require-hashes", "--requirement"}
    foreign |= {"--backend-store-uri", "--canary"}
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", page)) - foreign == {flag(name) for name in Settings.model_fields}


def test_replicating_trains_the_three_models() -> None:
    script = ROOT / "training" / "train" / "replicate_models.sh"
    done = subprocess.run(
        [script, "--seed", "3"],
        env={**os.environ, "EMOTION_PYTHON": "echo"},
        capture_output=True,
        text=True,
        check=True,
    )
    runs = []
    for line in done.stdout.splitlines():
        module, *arguments = line.removeprefix("-m ").split()
        assert module == "training.train"
        runs.append(read_settings(Settings, module, None, arguments))
    names = ["rubert_combo_35epochs", "rubert_cedr_100epochs", "xlm_combo_16epochs"]
    assert [run.folder.name for run in runs] == names
    assert [run.create_onnx for run in runs] == [True, False, True]
    assert {(run.train_model, run.resume, run.evaluate_devset, run.keep, run.seed) for run in runs} == {
        (True, True, True, "last", 3)
    }
