"""Fine-tuning: interrupted and shared among processes it gives the same model; damage is a sentence."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient
from safetensors.numpy import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import BertConfig, BertModel

from contract.labels import EMOTIONS
from tests.support.triton_process import ROOT, free_ports
from tests.training.support.fine_tuning_runs import (
    ENVIRONMENT,
    train_command,
    write_bert,
    write_rows,
    write_xlm_roberta,
)
from training.common.command import TrainingError
from training.common.labels import label_names
from training.data.rows.examples import Example, targets
from training.data.rows.synthetic import save_augmented
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import encode, load_classifier, predict
from training.encoder.tokenizer import load_tokenizer
from training.runs.directory import read_fold
from training.runs.life import Fold, train_run
from training.train.__main__ import main
from training.train.checkpoints import check_disk
from training.train.fine_tune import FineTuning, read_rows
from training.train.settings import Settings
from training.train.trainer import positive_weights

WEIGHTS = "model.safetensors"
LEARNS = {"epochs": 6, "lr": 5e-3, "batch_size": 16}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fine-tuning")
    texts = write_rows(directory, 65)
    write_bert(directory / "bert", texts, dropout=0.0)
    write_bert(directory / "bert-dropout", texts, dropout=0.1)
    write_xlm_roberta(directory / "xlm", texts)
    return directory


def trained(data_dir: Path, weights: Path, base: str = "bert", **changes: Any) -> Path:
    settings = Settings(
        train_model=True,
        base_model=str(data_dir / base) if (data_dir / base).exists() else base,
        data_dir=data_dir,
        weights_dir=weights,
        **changes,
    )
    train_run(settings, lambda: FineTuning(settings))
    return settings.folder


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=200)


def dev_auc(folder: Path) -> float:
    figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return float(figures["dev"]["mean"]["roc_auc"])


def distance(one: Path, other: Path) -> float:
    first, second = load_file(one / WEIGHTS), load_file(other / WEIGHTS)
    assert first.keys() == second.keys()
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


@pytest.mark.parametrize("base", ["bert", "xlm"])
def test_either_family_learns_and_its_saved_form_gives_the_predictions(
    data_dir: Path, tmp_path: Path, base: str
) -> None:
    folder = trained(data_dir, tmp_path, base, **LEARNS)
    assert dev_auc(folder) > 0.95
    model, tokenizer = load_classifier(str(folder)), load_tokenizer(str(folder))
    assert model.config.pad_token_id == (0 if base == "bert" else 1)
    assert list(model.config.id2label.values()) == list(EMOTIONS)
    _, held_out = train_and_held_out("cedr", 0, data_dir)
    truth, probabilities = read_fold(folder, 0)
    again = predict(model, encode([row.text for row in held_out], tokenizer), model.config.pad_token_id)
    assert np.abs(again - probabilities).max() < 1e-6
    assert (truth == targets(held_out)).all()


def test_evaluates_and_exports_what_it_trained(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trained(data_dir, tmp_path, **LEARNS)
    flags = ["--epochs", "6", "--base-model", str(data_dir / "bert"), "--data-dir", str(data_dir)]
    monkeypatch.setattr(
        sys, "argv", ["train", *flags, "--weights-dir", str(tmp_path), "--evaluate-devset", "--create-onnx"]
    )
    main()
    page = folder / "evaluation_dev" / "report.html"
    figures = json.loads(page.with_name("metrics.json").read_text(encoding="utf-8"))["figures"]
    assert figures["mean"]["roc_auc"] == pytest.approx(dev_auc(folder), abs=2e-4)
    assert page.stat().st_size > 10_000
    graphs = tmp_path / "bert_cedr_6epochs_onnx"
    assert {path.name for path in graphs.iterdir()} == {
        "model.cpu.onnx", "model.gpu.onnx", "model.gpu.json", "tokenizer.json",
    }  # fmt: skip


def test_what_trainer_logs_goes_to_mlflow_too(data_dir: Path, tmp_path: Path) -> None:
    folder = trained(data_dir, tmp_path, epochs=1, track="mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    run = client.get_run(json.loads((folder / "mlflow.json").read_bytes())["run_id"])
    assert run.data.params["recipe.epochs"] == "1"
    assert {"fold0.loss", "fold0.learning_rate", "fold0.eval_roc_auc"} <= run.data.metrics.keys()
    assert run.data.metrics["dev.mean.roc_auc"] == dev_auc(folder)


def test_interrupted_and_resumed_it_is_the_same_model(data_dir: Path, tmp_path: Path) -> None:
    """With dropout, so that random states count, and killed where nothing can be tidied up."""
    settings = {"epochs": 5, "lr": 3e-3, "patience": 2}
    flags = [part for name, value in settings.items() for part in (f"--{name}", f"{value}")]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    commands = [train_command(data_dir, data_dir / "bert-dropout", weights, *flags) for weights in (whole, broken)]
    assert run(*commands[0]).returncode == 0
    process = subprocess.Popen(commands[1], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch   2/5"):
            break
    process.send_signal(signal.SIGSTOP)

    def again(**changes: Any) -> Path:
        return trained(data_dir, broken, "bert-dropout", **{**settings, **changes})

    with pytest.raises(TrainingError, match="another process is training in"):
        again(resume=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folder = broken / "bert-dropout_cedr_5epochs"
    assert not (folder / "metrics.json").exists()
    assert not (folder / WEIGHTS).exists()

    with pytest.raises(TrainingError, match="holds a run already: go on with it by --resume"):
        again()
    with pytest.raises(TrainingError, match=r"was begun otherwise: lr was 0\.003, is 0\.001; seed was 0, is 4"):
        again(resume=True, lr=1e-3, seed=4)
    newest = max(folder.glob("checkpoints_fold0/checkpoint-*"), key=lambda path: path.stat().st_mtime)
    # As a kill in the middle of writing leaves it; Trainer itself would begin with this one, and fail.
    half = newest.with_name("checkpoint-9999")
    shutil.copytree(newest, half)
    (half / "trainer_state.json").write_text('{"epoch": ')

    done = run(*commands[1], "--resume")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "going on from" in done.stdout
    assert "9999" not in done.stdout
    assert distance(whole / folder.name, folder) == 0
    for one, other in zip(read_fold(whole / folder.name, 0), read_fold(folder, 0), strict=True):
        assert (one == other).all()
    assert not list(folder.glob("checkpoints*"))
    steps = [event.step for event in events(folder, "eval/roc_auc")]
    assert steps == sorted(set(steps)) == [event.step for event in events(whole / folder.name, "eval/roc_auc")]

    finished = (folder / WEIGHTS).stat().st_mtime_ns
    again(resume=True)
    assert (folder / WEIGHTS).stat().st_mtime_ns == finished


def events(folder: Path, name: str) -> list[Any]:
    logs = EventAccumulator(str(folder / "tensorboard" / "fold0"))
    logs.Reload()
    return list(logs.Scalars(name))


@pytest.mark.drill
def test_several_processes_and_accumulated_gradients_give_the_model_of_one(data_dir: Path, tmp_path: Path) -> None:
    """Without dropout. The gradients' norm is under the limit here: scaled by two they would be clipped.

    The biases of attention's keys have no gradient but rounding errors, which AdamW turns into steps of a
    size with the others'; so the learning rate is as low as the project this follows has it.
    """
    same = {"epochs": 2, "lr": 1e-5, "patience": 0, "keep": "last"}
    alone = trained(data_dir, tmp_path / "alone", **same)
    norms = [event.value for event in events(alone, "train/grad_norm")]
    assert 0.5 < min(norms) <= max(norms) < 1.0
    parts = trained(data_dir, tmp_path / "parts", gradient_accumulation=4, **same)
    assert distance(alone, parts) < 1e-6

    (port,) = free_ports(1)
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), "-m")
    flags = [part for name, value in same.items() for part in (f"--{name}", f"{value}")]
    done = run(*train_command(data_dir, data_dir / "bert", tmp_path / "two", *flags, launcher=launcher))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("fp32 on 2 × cpu") == done.stdout.count("epoch   2/2") == 1
    two = tmp_path / "two" / alone.name
    assert distance(alone, two) < 1e-6
    other_rows = trained(data_dir, tmp_path / "other", seed=1, **same)
    assert distance(alone, other_rows) > 1e-4, "so small a distance says something"


def scripted(monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
    """The dev figures of one epoch after another, because no small run can be relied on to get worse."""
    remaining = iter(scores)
    figures = "training.train.trainer.evaluate"
    monkeypatch.setattr(figures, lambda *_: {"mean": {"roc_auc": next(remaining), "f1_macro": 0.5}})


STEADY = {"lr": 3e-3, "scheduler": "constant", "warmup": 0.0}
"""With these, the first epochs are the same however many follow."""


def test_stops_early_and_keeps_the_best(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(monkeypatch, 0.6, 0.9, 0.7, 0.8)
    stopped = trained(data_dir, tmp_path, epochs=9, patience=2, **STEADY)
    printed = capsys.readouterr().out
    assert [line[:9] for line in printed.splitlines() if "best so far" in line] == ["epoch   1", "epoch   2"]
    assert "stopped early: ROC AUC 0.9000 was not bettered any more" in printed
    monkeypatch.undo()
    second = trained(data_dir, tmp_path, epochs=2, patience=0, keep="last", **STEADY)
    assert distance(stopped, second) == 0
    assert dev_auc(stopped) == dev_auc(second)


def test_keeps_the_last_where_dev_has_no_say(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 0.6, 0.9, 0.7, 0.8)
    last = trained(data_dir, tmp_path, epochs=4, patience=0, keep="last", **STEADY)
    scripted(monkeypatch, 0.6, 0.7, 0.8, 0.9)
    best = trained(data_dir, tmp_path, epochs=4, patience=2, extra_info="best", **STEADY)
    assert distance(last, best) == 0


def test_a_run_stopped_after_its_last_epoch_is_only_finished(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kill between the last checkpoint and the predictions leaves it: no epoch more is trained."""
    scripted(monkeypatch, 0.6, 0.9, 0.7)
    with monkeypatch.context() as patch:
        patch.setattr("training.runs.life.write_fold", interrupt)
        with pytest.raises(ZeroDivisionError):
            trained(data_dir, tmp_path, epochs=9, patience=1, **STEADY)
    # There is no fourth score: one more epoch would fail.
    folder = trained(data_dir, tmp_path, epochs=9, patience=1, resume=True, **STEADY)
    monkeypatch.undo()
    second = trained(data_dir, tmp_path, epochs=2, patience=0, keep="last", **STEADY)
    assert distance(folder, second) == 0


def interrupt(*_: Any) -> None:
    raise ZeroDivisionError


def test_positive_weights() -> None:
    targets = np.array([[1, 1], [0, 1], [0, 1], [0, 1], [0, 0]], dtype=np.float32)
    assert positive_weights(targets, "none").tolist() == [1, 1]
    assert positive_weights(targets, "balanced").tolist() == [4, 0.25]
    assert positive_weights(targets, "sqrt").tolist() == [2, 0.5]


def test_class_weights_move_the_answers(data_dir: Path, tmp_path: Path) -> None:
    few = {"epochs": 2, "lr": 3e-3}
    plain = trained(data_dir, tmp_path, **few)
    balanced = trained(data_dir, tmp_path, class_weights="balanced", extra_info="balanced", **few)
    # Each emotion has one row in six: unweighted the answers start from there, weighted from a half.
    assert read_fold(plain, 0)[1].mean() < 0.3
    assert 0.4 < read_fold(balanced, 0)[1].mean() < 0.6


def test_corrections_and_synthetic_rows_are_trained_on(data_dir: Path, tmp_path: Path) -> None:
    plain = read_rows(Settings(train_model=True, data_dir=data_dir), 0)
    corrected, dropped = plain.train[0], plain.train[1]
    corrections, augmented = tmp_path / "corrections.csv", tmp_path / "augmented.jsonl"
    corrections.write_text(
        "text,given,corrected\n"
        f"{corrected.text},{label_names(corrected.labels)},anger fear\n"
        f"{dropped.text},{label_names(dropped.labels)},drop\n",
        encoding="utf-8",
    )
    origin = plain.train[2]
    save_augmented(augmented, [Example("Совсем другими словами сказано", origin.labels, "cedr", origin.text)])
    rows = read_rows(
        Settings(train_model=True, data_dir=data_dir, corrections=corrections, augmented=augmented), 0
    ).train
    assert {row.text: row.labels for row in rows}[corrected.text] == {EMOTIONS.index("anger"), EMOTIONS.index("fear")}
    assert {row.text for row in plain.train} - {row.text for row in rows} == {dropped.text}
    assert [row.labels for row in rows if row.synthetic] == [origin.labels]
    unknown = [row for row in rows if row.source == "unknown_signs"]
    assert len({row.text for row in unknown}) == 8
    assert {row.labels for row in unknown} == {frozenset({EMOTIONS.index("no_emotion")})}
    assert len(rows) == len(plain.train)


def test_corrections_that_change_under_way(data_dir: Path, tmp_path: Path) -> None:
    """A correction of a row of fold 0 has no part in the training that holds fold 0 out, but in all others."""
    plain = read_rows(Settings(train_model=True, data_dir=data_dir), 0)
    corrections = tmp_path / "corrections.csv"

    def correct(*rows: Example) -> None:
        lines = [f"{row.text},{label_names(row.labels)},anger fear\n" for row in rows]
        corrections.write_text(f"text,given,corrected\n{''.join(lines)}", encoding="utf-8")

    correct(plain.train[0])
    settings = {"corrections": corrections, "epochs": 1}
    trained(data_dir, tmp_path, **settings)
    tuning = FineTuning(Settings(train_model=True, base_model=str(data_dir / "bert"), data_dir=data_dir, **settings))
    correct(plain.train[0], plain.held_out[0])
    with pytest.raises(TrainingError, match="was begun otherwise: sha256 with corrections and paraphrases was"):
        trained(data_dir, tmp_path, cross_validate=True, resume=True, **settings)
    with pytest.raises(TrainingError, match="have been changed since the run began, and fold 1 would be trained on"):
        tuning.train_fold(Fold(1, [], tmp_path))


class TestErrors:
    """Each says what to do, and leaves nothing that looks like a result."""

    def test_no_gpu(self, data_dir: Path, tmp_path: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        with pytest.raises(TrainingError, match="PyTorch finds no GPU; check nvidia-smi"):
            trained(data_dir, tmp_path, device="gpu")
        with pytest.raises(TrainingError, match="--precision fp16 needs a GPU, and there is none"):
            trained(data_dir, tmp_path, precision="fp16")

    def test_batches_that_processes_cannot_share(
        self, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WORLD_SIZE", "3")
        with pytest.raises(TrainingError, match=r"--batch-size 32 cannot be shared equally: .*make it a multiple of 6"):
            trained(data_dir, tmp_path, gradient_accumulation=2)

    def test_no_hub(self, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        with pytest.raises(TrainingError, match="check the name and the network, or give a local directory"):
            trained(data_dir, tmp_path / "weights", "cointegrated/rubert-tiny2")

    def test_full_disk(self, data_dir: Path, tmp_path: Path) -> None:
        """On a small file system of its own, which another process fills up while training runs."""
        if run("unshare", "-rm", "true").returncode:
            pytest.skip("no file system can be mounted here")
        script = """
            mount -t tmpfs -o size=4m none "$0"
            (until ls "$0"/*/checkpoints_fold0/*/trainer_state.json; do sleep 0.05; done
             head -c 100m /dev/zero > "$0/filler") >/dev/null 2>&1 &
            "$@" --epochs 12 && exit 2
            rm "$0/filler"
            "$@" --epochs 12 --resume || exit 3
            head -c 3m /dev/zero > "$0/filler"
            exec "$@" --epochs 1
        """
        (tmp_path / "weights").mkdir()
        training = train_command(data_dir, data_dir / "bert", tmp_path / "weights", "--patience", "0")
        done = run("unshare", "-rm", "sh", "-c", script, str(tmp_path / "weights"), *training)
        assert done.returncode == 1, done.stderr[-3000:]
        assert "going on from" in done.stdout
        assert "Traceback" not in done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 2
        assert errors[0].endswith("is full: free some space, then go on with --resume")
        assert "No space left on device; make room there" in errors[1]

    def test_a_disk_too_small_for_the_checkpoints(self, tmp_path: Path) -> None:
        # Parameters without storage: no disk has room for theirs.
        model = torch.nn.Linear(10**6, 10**7, device="meta")
        with pytest.raises(TrainingError, match=r"needs \S+ MB for checkpoints in .*, and \S+ MB are free: free some"):
            check_disk(tmp_path, model)

    def test_weights_that_are_not_numbers(self, data_dir: Path, tmp_path: Path) -> None:
        base = tmp_path / "bert"
        shutil.copytree(data_dir / "bert", base)
        weights = load_file(base / WEIGHTS)
        weights["embeddings.word_embeddings.weight"][:] = np.nan
        save_file(weights, base / WEIGHTS, metadata={"format": "pt"})
        with pytest.raises(TrainingError, match=r"training diverged .*try a lower --lr"):
            trained(data_dir, tmp_path / "weights", str(base))

    def test_base_models_that_cannot_be_one(self, data_dir: Path, tmp_path: Path) -> None:
        def changed(name: str, encoder: Callable[[BertConfig], Any], **changes: int) -> str:
            shutil.copytree(data_dir / "bert", tmp_path / name)
            encoder(BertConfig.from_pretrained(data_dir / "bert", **changes)).save_pretrained(tmp_path / name)
            return str(tmp_path / name)

        bases = {
            changed("deeper", lambda config: config, num_hidden_layers=3): "lacks 16 weights of its Bert",
            changed("shorter", BertModel, max_position_embeddings=100): "fewer than 128 positions",
            changed("smaller", BertModel, vocab_size=90): "has 90 embeddings and its tokenizer.json",
            str(tmp_path / "nowhere"): r"could not load tokenizer\.json of",
        }
        for base, reason in bases.items():
            with pytest.raises(TrainingError, match=reason):
                trained(data_dir, tmp_path / "weights", base)

    def test_rows_too_few_or_of_one_kind(self, data_dir: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="312 rows don't fill one batch of 512: lower --batch-size"):
            trained(data_dir, tmp_path, batch_size=512)
        other = tmp_path / "cedr" / "train.jsonl"
        other.parent.mkdir()
        lines = (data_dir / "cedr" / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        other.write_text("".join(line for line in lines if '"labels": [4]' not in line), encoding="utf-8")
        with pytest.raises(TrainingError, match="of 260 rows to train on, 0 are labelled anger"):
            trained(tmp_path, tmp_path / "weights", str(data_dir / "bert"))
        # Two folds have a row of it: the others are told before the first one is trained.
        few = [line for line in lines if '"labels": [4]' in line][:2]
        other.write_text(other.read_text(encoding="utf-8") + "".join(few), encoding="utf-8")
        with pytest.raises(TrainingError, match=r"of \d+ rows held out as fold \d, 0 are labelled anger"):
            trained(tmp_path, tmp_path / "weights", str(data_dir / "bert"), cross_validate=True)
        assert not (tmp_path / "weights").exists()

    def test_folders_that_hold_something_else(self, data_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "bert_cedr_10epochs").mkdir()
        (tmp_path / "bert_cedr_10epochs" / "notes.txt").touch()
        with pytest.raises(TrainingError, match=r"holds files that are no run of this command"):
            trained(data_dir, tmp_path)
        (tmp_path / "file").touch()
        with pytest.raises(TrainingError, match="cannot be made: Not a directory; name another --weights-dir"):
            trained(data_dir, tmp_path / "file" / "weights")

    def test_nothing_to_evaluate(self, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        flags = ["--evaluate-devset", "--base-model", str(data_dir / "bert"), "--weights-dir", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["train", *flags])
        with pytest.raises(TrainingError, match="bert_cedr_10epochs holds no checkpoint: give --train-model too"):
            main()
