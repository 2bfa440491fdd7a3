"""Published versions as checkpoints that transformers loads: the same tokens and answers, a start for training."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from contract.labels import EMOTIONS
from contract.version_directory import CPU_GRAPH, TOKENIZER, read_card, version_directories
from tests.support.triton_process import ROOT
from tests.training.support.commands import succeeds
from tests.training.support.rows import keyword_rows, write_lines
from training.common.command import TrainingError
from training.encoder.base_model import load_base_model
from training.encoder.classifier import load_classifier, predict
from training.encoder.mean_pooling import MeanPooledClassifier
from training.export.checkpoint_card import datasets_of, model_card
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import EncoderWeights, Shape
from training.export.version_checkpoint import classifier_of, write_checkpoint
from training.publish.elsewhere.checkpoint import find_elsewhere
from training.publish.elsewhere.thresholds import read_named_rows
from training.publish.versions import versions_of

TEXTS = [
    "Как же я рад тебя видеть!", "Мне страшно😱", "ВЕРНИТЕ ДЕНЬГИ", "до [SEP] [PAD]<s> <pad> [CLS]после", " <s>", "",
    "слово " * 200,
]  # fmt: skip
MODELS = sorted({version.parent.name for version in version_directories(ROOT / "model_repository")})


@pytest.fixture(scope="module", params=MODELS)
def version(request: pytest.FixtureRequest) -> Path:
    return versions_of(ROOT / "model_repository" / request.param)[-1]


@pytest.fixture(scope="module")
def checkpoint(version: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output: Path = tmp_path_factory.mktemp("checkpoints") / version.parent.name
    assert 0 < write_checkpoint(version, output) < 0.005
    return output


def test_transformers_gives_the_tokens_that_are_served(version: Path, checkpoint: Path, tmp_path: Path) -> None:
    served = Tokenizer.from_file(str(version / TOKENIZER))
    served.enable_truncation(read_card(version).max_length)
    expected = [encoding.ids for encoding in served.encode_batch(TEXTS)]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer(TEXTS, truncation=True)["input_ids"] == expected
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXTS, truncation=True)["input_ids"] == expected
    padded = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="pt")
    assert set(padded) == {"input_ids", "attention_mask"}
    assert padded["attention_mask"].sum(dim=1).tolist() == [len(row) for row in expected]


def test_transformers_gives_the_answers_that_are_served(version: Path, checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    rows = tokenizer(TEXTS, truncation=True)["input_ids"]
    served = run(session(version / CPU_GRAPH), rows)
    remote = (checkpoint / "mean_pooling.py").exists()
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, trust_remote_code=remote).eval()
    with torch.no_grad():
        batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
        answers = torch.sigmoid(model(**batch).logits).numpy()
    assert np.abs(answers - served).max() < 0.03
    assert (answers.argmax(axis=1) == served.argmax(axis=1)).all()
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    (found,) = classify(["Как же я рад тебя видеть!"])
    assert {each["label"]: each["score"] for each in found} == pytest.approx(
        dict(zip(EMOTIONS, answers[0].tolist(), strict=True)), abs=1e-5
    )


def test_it_says_what_it_is(version: Path, checkpoint: Path) -> None:
    page = (checkpoint / "README.md").read_text(encoding="utf-8")
    assert page.startswith(
        "---\ndatasets:\n- brighter-dataset/BRIGHTER-emotion-categories\n- sagteam/cedr_v1\nlanguage: ru\n"
    )
    assert "trained on folds\n1 to 4 of cedr and brighter_rus, so only their fold 0 and test splits tell" in page
    licences = {
        "Apache-2.0": "license: apache-2.0",
        "Apache-2.0 AND MIT": "license: other\nlicense_name: apache-2.0-and-mit",
    }
    assert f"\n{licences[read_card(version).licence]}\n" in page
    for sentence in read_card(version).limits:
        assert sentence in page
    dev = next(figures for name, figures in read_card(version).metrics.items() if name.startswith("dev"))
    assert f"mean ROC AUC {dev['mean']['roc_auc']}" in page


def test_thresholds_are_not_tuned_on_what_it_was_trained_on(checkpoint: Path) -> None:
    found = find_elsewhere(str(checkpoint), None)
    for dataset in ("cedr", "brighter_rus", "written"):
        with pytest.raises(TrainingError, match=f"was trained on {dataset}: thresholds tuned there"):
            read_named_rows(f"{dataset}:train", found, None)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({}, ["sagteam/cedr_v1"]),
        ({"dataset": "combo"}, ["Djacon/ru_goemotions", "sagteam/cedr_v1"]),
        ({"dataset": "mine"}, []),
        (
            {"taught": {"labelled": ["brighter_rus", "written"]}},
            ["brighter-dataset/BRIGHTER-emotion-categories", "sagteam/cedr_v1"],
        ),
        (
            {"datasets": ["ru_izard_emotions"], "as_emotions": ["written", "brighter_rus"]},
            ["Djacon/ru-izard-emotions", "brighter-dataset/BRIGHTER-emotion-categories", "sagteam/cedr_v1"],
        ),
        ({"trained": "elsewhere", "datasets": "not known"}, []),
        ({"trained": "elsewhere", "datasets": ["owner/rows", "cedr", "own"]}, ["owner/rows", "sagteam/cedr_v1"]),
    ],
)
def test_the_data_sets_of_a_card(training: dict[str, Any], expected: list[str]) -> None:
    assert datasets_of(training) == expected


def test_it_speaks_of_the_folds_of_its_own_rows() -> None:
    card = read_card(versions_of(ROOT / "model_repository" / "emotion_rubert")[-1])

    def page(training: dict[str, Any], metrics: dict[str, dict[str, Any]]) -> str:
        changed = card.model_copy(update={"training": training, "metrics": metrics, "limits": []})
        return model_card(changed, "1", 0.001, 10, mean_pooled=False)

    own = page({"dataset": "mine"}, {"": {"measured_on": {"dataset": "mine"}, "five_folds": {}}})
    assert "1 to 4 of mine, so only" in own
    elsewhere = page({"trained": "elsewhere", "datasets": "not known"}, {"dev": {"measured_on": {"dataset": "cedr"}}})
    assert "It has been trained on" not in elsewhere
    for said in (own, elsewhere):
        assert "sagteam/cedr_v1" not in said
        assert "CEDR" not in said
    # Figures from before they named their rows.
    assert "1 to 4 of cedr, so only" in page({}, {"": {"five_folds": {}}})


def test_an_encoder_to_start_from(checkpoint: Path) -> None:
    model, tokenizer, _ = load_base_model(str(checkpoint))
    assert tokenizer.get_vocab_size() <= model.config.vocab_size
    assert AutoModel.from_pretrained(checkpoint).config.num_labels == len(EMOTIONS)


def test_the_newest_version_of_each_model_and_training_from_it(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    source = versions_of(ROOT / "model_repository" / "emotion_rubert")[-1]
    for number in ("2", "10"):
        shutil.copytree(source, repository / "emotion_rubert" / number, ignore=shutil.ignore_patterns("model.gpu*"))
    written = tmp_path / "out" / "emotion_rubert"
    said = succeeds("training.export.checkpoints", "--repository", repository, "--output", written.parent)
    assert f"wrote {written} from {repository / 'emotion_rubert' / '10'}: probabilities differ by 0.00" in said
    write_lines(tmp_path, "cedr", "train", keyword_rows(20))
    said = succeeds(
        "training.train", "--train-model", "--base-model", written, "--data-dir", tmp_path, "--epochs", 1,
        "--weights-dir", tmp_path / "weights", "--device", "cpu",
    )  # fmt: skip
    assert f"the run is in {tmp_path / 'weights' / 'emotion_rubert_cedr_1epochs'}" in said
    # An earlier checkpoint is replaced.
    (written / "README.md").unlink()
    write_checkpoint(source, written)
    assert (written / "README.md").is_file()
    assert [path.name for path in written.parent.iterdir()] == ["emotion_rubert"]


def test_what_is_refused(tmp_path: Path) -> None:
    source = versions_of(ROOT / "model_repository" / "emotion_rubert")[-1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("…")
    with pytest.raises(TrainingError, match="mine holds something that is no checkpoint: name another directory"):
        write_checkpoint(source, tmp_path / "mine")
    damaged = tmp_path / "1"
    shutil.copytree(source, damaged)
    (damaged / TOKENIZER).write_text("{}")
    with pytest.raises(TrainingError, match=r"tokenizer\.json is not the file its card describes"):
        write_checkpoint(damaged, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "mine"]


def test_a_head_over_the_mean_of_the_tokens(tmp_path: Path) -> None:
    shape = Shape(2, 16, 2, 32, 50, 128, 1, 3, 1e-12)
    random = np.random.default_rng(0)

    def normal(*size: int) -> np.ndarray:
        return random.normal(0, 0.3, size).astype(np.float32)

    arrays = {"embeddings.word": normal(50, 16), "embeddings.position": normal(128, 16)}
    widths = {"head.out": (16, 6)}
    norms = ["embeddings.norm"]
    for layer in range(2):
        name = f"layer.{layer}"
        widths |= {
            f"{name}.qkv": (16, 48),
            f"{name}.context": (16, 16),
            f"{name}.up": (16, 32),
            f"{name}.down": (32, 16),
        }
        norms += [f"{name}.norm1", f"{name}.norm2"]
    arrays |= {f"{name}.weight": normal(*width) for name, width in widths.items()}
    arrays |= {f"{name}.bias": normal(width[1]) for name, width in widths.items()}
    arrays |= {f"{name}.{part}": normal(16) for name in norms for part in ("weight", "bias")}
    made = classifier_of(EncoderWeights(shape, arrays))
    assert isinstance(made, MeanPooledClassifier)
    made.save_pretrained(tmp_path)
    loaded = load_classifier(str(tmp_path))
    assert isinstance(loaded, MeanPooledClassifier)
    rows = [[0, 7, 9, 2], [0, 5, 2], [0, *range(10, 40), 2]]
    alone = np.concatenate([predict(made, [row], 1) for row in rows])
    assert np.allclose(predict(loaded, rows, 1), alone, atol=1e-6)
    truth = torch.tensor([[0.0, 1, 0, 0, 0, 1]])
    first, mask = torch.tensor(rows[:1]), torch.ones(1, 4, dtype=torch.long)
    # As transformers' own classes are called.
    assert torch.equal(made(first, mask, torch.zeros_like(first)).logits, made(first, mask).logits)
    loss = made(first, mask, labels=truth).loss.item()
    expected = -np.log(np.where(truth.numpy() == 1, alone[:1], 1 - alone[:1])).mean()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"] == {
        "AutoModelForSequenceClassification": "mean_pooling.MeanPooledClassifier"
    }
    card = read_card(versions_of(ROOT / "model_repository" / "emotion_rubert")[-1])
    page = model_card(card, "2", 0.001, 10, mean_pooled=True)
    assert "from_pretrained(directory, trust_remote_code=True)" in page
    assert "without it transformers warns" in page.lower()
