"""LoRA: adapters and head are trained, and what the run keeps is an ordinary checkpoint with the same answers."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from transformers import ElectraConfig, ElectraModel

from contract.labels import EMOTIONS
from tests.training.support.fine_tuning_runs import write_bert, write_rows, write_xlm_roberta
from training.common.command import TrainingError
from training.common.progress import Progress
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import encode, load_classifier, predict
from training.encoder.tokenizer import load_tokenizer
from training.runs import life
from training.runs.directory import read_fold, read_out_of_fold_sets
from training.runs.life import train_run
from training.runs.settings import read_settings
from training.train import lora
from training.train.fine_tune import FineTuning
from training.train.settings import Settings

WEIGHTS = "model.safetensors"
LEARNS = {"lora": 8, "epochs": 8, "lr": 3e-3, "batch_size": 16, "patience": 0, "keep": "last"}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("lora")
    texts = write_rows(directory, 40)
    write_bert(directory / "bert", texts, dropout=0.1)
    write_xlm_roberta(directory / "xlm", texts)
    return directory


def trained(data_dir: Path, weights: Path, base: str = "bert", **changes: Any) -> Path:
    settings = Settings(
        train_model=True, base_model=str(data_dir / base), data_dir=data_dir, weights_dir=weights,
        **{**LEARNS, **changes},
    )  # fmt: skip
    train_run(settings, lambda: FineTuning(settings))
    return settings.folder


def stopped(patch: pytest.MonkeyPatch, where: Any, name: str, ends: Callable[..., bool]) -> None:
    original = getattr(where, name)

    def stops(*arguments: Any, **named: Any) -> Any:
        if ends():
            raise KeyboardInterrupt
        return original(*arguments, **named)

    patch.setattr(where, name, stops)


@pytest.mark.parametrize("base", ["bert", "xlm"])
def test_the_merged_checkpoint_answers_as_the_adapted_model(
    data_dir: Path, tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the fold is done, a run still has the checkpoint that Trainer wrote."""
    started: list[FineTuning] = []
    with monkeypatch.context() as patch:
        make = FineTuning.__init__

        def remembers(self: FineTuning, settings: Settings) -> None:
            make(self, settings)
            started.append(self)

        patch.setattr(FineTuning, "__init__", remembers)
        stopped(patch, life, "write_fold", lambda: True)
        with pytest.raises(KeyboardInterrupt):
            trained(data_dir, tmp_path, base)
    folder = tmp_path / f"{base}_cedr_8epochs"
    last = max(folder.glob("checkpoints_fold0/checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    assert not (last / WEIGHTS).exists()
    adapted = started[0]._start
    lora.set_peft_model_state_dict(adapted, lora.load_peft_weights(str(last), device="cpu"))
    moved = [each.abs().max().item() for name, each in adapted.named_parameters() if "lora_B" in name]
    # All six linear layers of both of the encoder's; they begin at zero.
    assert len(moved) == 12
    assert min(moved) > 1e-3

    trained(data_dir, tmp_path, base, resume=True)
    _, held_out = train_and_held_out("cedr", 0, data_dir)
    model = load_classifier(str(folder))
    rows = encode([row.text for row in held_out], load_tokenizer(str(folder)))
    answers, pad_id = predict(model, rows, model.config.pad_token_id), model.config.pad_token_id
    assert np.abs(predict(adapted, rows, pad_id) - answers).max() < 1e-5
    assert np.abs(read_fold(folder, 0)[1] - answers).max() < 1e-6
    with adapted.disable_adapter():
        assert np.abs(predict(adapted, rows, pad_id) - answers).max() > 0.05, "so small a distance says something"

    before, after = load_file(data_dir / base / WEIGHTS), load_file(folder / WEIGHTS)
    assert not [name for name in after if "lora" in name]
    prefix = "" if base == "xlm" else "bert."
    kept = {"embeddings.word_embeddings.weight", "encoder.layer.0.output.LayerNorm.weight"}
    changed = {"encoder.layer.0.attention.self.query.weight", "encoder.layer.1.output.dense.weight"}
    of = {name.removeprefix("roberta."): each for name, each in before.items()}
    now = {name.removeprefix("roberta.").removeprefix(prefix): each for name, each in after.items()}
    assert all(np.array_equal(of[name], now[name]) for name in kept)
    assert all(np.abs(of[name] - now[name]).max() > 1e-3 for name in changed)
    figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert figures["dev"]["mean"]["roc_auc"] > 0.65
    assert figures["recipe"]["lora"] == json.loads((folder / "run.json").read_text())["recipe"]["lora"] == 8


@pytest.mark.drill
def test_stopped_inside_an_epoch_it_goes_on_to_the_same_weights(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second fold, with dropout: random states, and how the adapters begin, count."""
    few = {"epochs": 1, "cross_validate": True}
    folder = trained(data_dir, tmp_path / "whole", **few)
    steps = iter(range(18))
    with monkeypatch.context() as patch:
        stopped(patch, Progress, "update", lambda: next(steps, None) is None)
        with pytest.raises(KeyboardInterrupt):
            trained(data_dir, tmp_path / "stopped", save_minutes=1e-6, **few)
    other = tmp_path / "stopped" / folder.name
    assert [path.name for path in other.glob("folds/*.npz")] == ["0.npz"]
    assert list(other.glob("checkpoints_fold1/checkpoint-*"))
    trained(data_dir, tmp_path / "stopped", resume=True, **few)
    weights = [load_file(each / WEIGHTS) for each in (folder, other)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    predictions = [read_out_of_fold_sets(each)["cedr"].probabilities for each in (folder, other)]
    assert np.array_equal(*predictions)
    with pytest.raises(TrainingError, match="was begun otherwise: lora was 8, is None"):
        trained(data_dir, tmp_path / "stopped", resume=True, lora=None, **few)


def test_own_rows_and_several_seeds(data_dir: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (data_dir / "cedr" / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    own = tmp_path / "rows"
    own.mkdir()
    with (own / "train.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "labels"])
        # CEDR has five labels, and rows without one.
        table.writerows(
            [row["text"], EMOTIONS[row["labels"][0] + 1] if row["labels"] else "no_emotion"] for row in rows
        )
    settings = Settings(
        train_model=True, base_model=str(data_dir / "bert"), dataset=f"mine={own}", data_dir=data_dir,
        weights_dir=tmp_path, seeds=2, **{**LEARNS, "epochs": 1},
    )  # fmt: skip
    for each in settings.runs:
        train_run(each, lambda each=each: FineTuning(each))
    weights = [load_file(each.folder / WEIGHTS) for each in settings.runs]
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert np.abs(weights[0][name] - weights[1][name]).max() > 1e-4


def test_without_peft_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.settings.find_spec", lambda _: None)
    with pytest.raises(TrainingError, match=r"--lora '8': needs the library peft.*make training"):
        read_settings(Settings, "training.train", None, ["--train-model", "--lora", "8"])
    assert read_settings(Settings, "training.train", None, ["--train-model"]).lora is None


def test_an_architecture_that_is_not_known_is_refused(data_dir: Path, tmp_path: Path) -> None:
    base = tmp_path / "electra"
    vocabulary = json.loads((data_dir / "bert" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    config = ElectraConfig(
        vocab_size=len(vocabulary), embedding_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=128,
    )  # fmt: skip
    ElectraModel(config).save_pretrained(base)
    shutil.copy(data_dir / "bert" / "tokenizer.json", base)
    with pytest.raises(TrainingError, match=r"--lora: which layers of the model type electra .* only for bert, "):
        trained(data_dir, tmp_path / "weights", str(base))
    with pytest.raises(TrainingError, match=r"--lora 33 is more than the encoder's width, 32"):
        trained(data_dir, tmp_path / "weights", lora=33)
    assert not (tmp_path / "weights").exists()


def test_weights_that_are_not_numbers(data_dir: Path, tmp_path: Path) -> None:
    base = tmp_path / "bert"
    shutil.copytree(data_dir / "bert", base)
    weights = load_file(base / WEIGHTS)
    weights["embeddings.word_embeddings.weight"][:] = np.nan
    save_file(weights, base / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"training diverged .*try a lower --lr"):
        trained(data_dir, tmp_path / "weights", str(base))
