"""Checkpoints that were trained elsewhere: their columns, their thresholds, and what the card says of both."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import onnx
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from contract.labels import EMOTIONS
from contract.version_directory import GPU_GRAPH, TOKENIZER, read_card
from tests.training.support.hub_checkpoints import wordpiece_as_on_the_hub
from tests.training.support.rows import keyword_rows, write_brighter, write_lines
from training.common.command import TrainingError
from training.data.rows.examples import Example
from training.data.rows.loading import load_source
from training.encoder.classifier import encode, padded
from training.encoder.label_columns import Reading
from training.encoder.tokenizer import load_tokenizer
from training.evaluate.evaluation import evaluate_model
from training.evaluate.predictions import predict_version
from training.export.gpu_graph_files import make_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import run, session
from training.export.version_checkpoint import write_checkpoint
from training.publish.__main__ import publish_command
from training.publish.elsewhere.checkpoint import find_elsewhere
from training.publish.elsewhere.thresholds import read_named_rows

ROWS = keyword_rows(110)
# Of seven, in an order of their own, in two languages.
SEVEN = ("злость", "happiness", "disgust", "страх", "neutral", "грусть", "Surprise")
OURS = [4, 1, 5, 6, 3, 0]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    write_lines(directory, "cedr", "train", ROWS[:360])
    # The first of them stand in dev too.
    write_brighter(directory, "rus", "dev", [*ROWS[:6], *ROWS[360:]])
    return directory


@pytest.fixture(scope="module")
def softmax(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """A softmax model of seven emotions, trained for a second, with a model card."""
    directory = tmp_path_factory.mktemp("own") / "seven"
    torch.manual_seed(0)
    tokenizer = wordpiece_as_on_the_hub([row["text"] for row in ROWS], 300)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=128, pad_token_id=0, initializer_range=0.2,
        problem_type="single_label_classification", id2label=dict(enumerate(SEVEN)),
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    examples = load_source("cedr", "train", data_dir)
    rows = encode([example.text for example in examples], tokenizer)
    columns = torch.tensor([OURS[min(example.labels)] for example in examples])
    for _ in range(80):
        chosen = torch.randint(len(rows), (64,))
        model(**padded([rows[int(index)] for index in chosen], 0), labels=columns[chosen]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(directory)
    tokenizer.save(str(directory / TOKENIZER))
    (directory / "README.md").write_text("---\nlicense: cc-by-4.0\ndatasets:\n- Aniemore/cedr-m7\n---\n# A model\n")
    return directory


def publish(checkpoint: Path, data_dir: Path, repository: Path, *flags: str) -> None:
    where = ["--model", "emotion_mine", "--repository", str(repository), "--data-dir", str(data_dir), "--wait", "0"]
    publish_command([str(checkpoint), *where, "--without-oldest-runtime", *flags])


def test_a_softmax_model_of_seven_emotions(softmax: Path, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"seven is a softmax model .* with --activation softmax"):
        publish(softmax, data_dir, tmp_path / "models", "--drop-labels", "disgust")
    with pytest.raises(TrainingError, match=r"seven has a column for disgust, none of the six .*--drop-labels disgust"):
        publish(softmax, data_dir, tmp_path / "models", "--activation", "softmax")
    assert not list(tmp_path.iterdir())

    converted = ["--drop-labels", "disgust", "--activation", "softmax", "--tune-on", "brighter_rus"]
    publish(softmax, data_dir, tmp_path / "models", *converted)
    version = tmp_path / "models/emotion_mine/1"
    card = read_card(version)
    texts = [row["text"] for row in ROWS[:40]]
    own = AutoModelForSequenceClassification.from_pretrained(softmax).eval()
    tokenizer = Tokenizer.from_file(str(softmax / TOKENIZER))
    with torch.no_grad():
        logits = [own(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits[0] for text in texts]
    expected = torch.softmax(torch.stack(logits), -1).numpy()[:, OURS]
    answers = predict_version(version, card, [Example(text, frozenset(), "") for text in texts])
    assert np.abs(answers - expected).max() < 0.05
    assert np.abs(answers - expected).mean() < 0.01
    assert card.metrics["gate"]["parity_cpu_fp32"] < 1e-4

    assert (card.base_model, card.licence) == ("seven", "cc-by-4.0")
    assert card.architecture["softmax_classes"] == 7
    assert card.training["columns"]["no_emotion"] == "4: neutral"
    assert card.training["columns"]["anger"] == "0: злость"
    assert card.training["activation"] == "softmax"
    said = " ".join(card.limits)
    assert "Its probabilities are those of one softmax" in said
    assert "Columns that were left out, being none of the six emotions: disgust." in said
    assert f"tuned on {len(ROWS) - 360} rows of brighter_rus dev, without 6 that are dev's" in said
    balanced = card.profiles["balanced"]
    assert balanced.tuned_on == "brighter_rus dev"
    assert card.reference is not None
    assert (card.reference.rows, card.reference.texts) == ("brighter_rus dev, model.cpu.onnx", len(ROWS) - 360)
    assert balanced.measured_on.startswith("brighter_rus dev, model.cpu.onnx, each fifth with thresholds from the")
    assert set(balanced.thresholds.values()) != {0.5}
    assert card.metrics["dev (fold 0 of CEDR train), model.cpu.onnx"]["tuned"]["tuned_on"] == "brighter_rus dev"
    assert "roc_auc" in card.metrics["brighter_rus dev, model.cpu.onnx"]["mean"]

    # Where its thresholds come from, labels are given at 0.5; elsewhere by these.
    assert evaluate_model(f"{version}", "brighter", data_dir).decided_by == "at 0.5"
    assert "thresholds from brighter_rus dev" in evaluate_model(f"{version}", "dev", data_dir).decided_by

    # What goes on from it: weights for a GPU of the int8 ones; no checkpoint of six sigmoids.
    (version / GPU_GRAPH).unlink()
    remade = session(portable(onnx.load(make_gpu_graph(version))))
    rows = encode(texts, load_tokenizer(str(version)))
    assert np.abs(run(remade, rows) - expected).max() < 0.05
    with pytest.raises(TrainingError, match=r"is a softmax model, published as it was: start from .* seven"):
        write_checkpoint(version, tmp_path / "back")


def test_rows_that_thresholds_must_not_come_from(softmax: Path, data_dir: Path, tmp_path: Path) -> None:
    reading = Reading(dropped=("disgust",), activation="softmax")

    def refused(named: str, reason: str, *trained_on: str) -> None:
        checkpoint = find_elsewhere(str(softmax), reading, trained_on)
        with pytest.raises(TrainingError, match=reason):
            read_named_rows(named, checkpoint, data_dir)

    refused("brighter_rus:test", "a test split is for a finished model's last figures")
    refused("brighter_rus", r"seven was trained on brighter_rus: .*too good", "BRIGHTER-emotion-categories")
    refused("cedr", r"cedr has no dev split, but train: name one with --tune-on cedr:train if")
    for said in ("cedr", "combo"):
        refused("cedr:train", r"was trained on cedr", said)
    for said in ("mine", "mine=somewhere"):
        refused("mine=elsewhere:train", r"was trained on mine", said)
    for unknown in ("nothing:dev", "nothing", "cedr:whole"):
        refused(unknown, r"no data set named '(nothing|cedr:whole)'; there are: ")
    # What a model card says counts.
    shutil.copytree(softmax, tmp_path / "other")
    for name in ("cedr", "sagteam/cedr_v1", "CEDR"):
        (tmp_path / "other/README.md").write_text(f"---\ndatasets: [{name}]\n---\n")
        other = find_elsewhere(str(tmp_path / "other"), reading)
        with pytest.raises(TrainingError, match="other was trained on cedr"):
            read_named_rows("cedr:train", other, data_dir)
        assert other.limits[0].startswith("It was trained on CEDR")
    # CEDR's own rows may be tuned on by who knows better: dev is then one of five folds.
    named = read_named_rows("cedr:train", find_elsewhere(str(softmax), reading), data_dir)
    assert (named.name, len(named.examples), named.hold_dev) == ("cedr train", 360, True)


def test_what_is_no_checkpoint(softmax: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models"
    for name in ("nobody/nothing", "no/such/directory", str(tmp_path / "none")):
        with pytest.raises(TrainingError, match=f"{name} is no directory, and could not be had from the Hugging Face"):
            publish(Path(name), data_dir, repository)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match=r"could not load the checkpoint .*empty"):
        publish(tmp_path / "empty", data_dir, repository)
    shutil.copytree(softmax, tmp_path / "own")
    (tmp_path / "own/README.md").write_text("---\nlicense: [mit\n---\n")
    with pytest.raises(TrainingError, match=r"the head of .*README\.md can't be read"):
        publish(tmp_path / "own", data_dir, repository, "--drop-labels", "disgust", "--activation", "softmax")
    # A run has names, and predictions of its own.
    (tmp_path / "own/metrics.json").write_text(json.dumps({"recipe": {}}))
    with pytest.raises(TrainingError, match="is a run of this project: its thresholds come from its own out-of-fold"):
        publish(tmp_path / "own", data_dir, repository, "--labels", *EMOTIONS)
    # Nor is one that is not finished.
    (tmp_path / "own/metrics.json").rename(tmp_path / "own/run.json")
    with pytest.raises(TrainingError, match=r"own has no metrics\.json: train it with --cross-validate"):
        publish(tmp_path / "own", data_dir, repository)
    assert not repository.exists()
