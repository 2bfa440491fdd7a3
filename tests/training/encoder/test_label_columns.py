"""A checkpoint's columns are found by their names, whatever their order and language, or it is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

from contract.labels import EMOTIONS, LABELS
from training.common.command import TrainingError
from training.common.emotion_names import SYNONYMS, emotion_by_name
from training.encoder.classifier import load_base_classifier, load_classifier, predict
from training.encoder.label_columns import Reading
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.gpu import build_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import from_checkpoint

SEVEN = ("нейтрально", "joy", "disgust", "Грусть", "удивление", "fear", "anger")
ROWS = [[2, *range(5, 5 + length), 3] for length in (1, 4, 9, 20)]
SIGMOIDS, SOFTMAX = "multi_label_classification", "single_label_classification"


def save_classifier(directory: Path, names: tuple[str, ...] | None, roberta: bool = False, **settings: Any) -> Any:
    """A random classifier with these columns; one without names has six."""
    torch.manual_seed(0)
    kind: Any = RobertaConfig if roberta else BertConfig
    labels = {"num_labels": 6} if names is None else {"id2label": dict(enumerate(names))}
    config = kind(**{
        "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 60, "pad_token_id": 0, "initializer_range": 0.5, "problem_type": SIGMOIDS,
        **labels, **settings,
    })  # fmt: skip
    model = (RobertaForSequenceClassification if roberta else BertForSequenceClassification)(config).eval()
    model.save_pretrained(directory)
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.tensor([row])).logits for row in ROWS])


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("anger", "fear", "surprise", "sadness", "joy", "no_emotion"), [5, 4, 3, 2, 1, 0]),
        (("злость", "Радость", "ГРУСТЬ", "удивление", "страх", "нейтрально"), [5, 1, 2, 3, 4, 0]),
        (("Happiness", " no emotion", "sad", "гнев", "fear", "surprise"), [1, 0, 2, 5, 4, 3]),
        # As rubert-tiny2-cedr has them.
        (("no_emotion", "joy", "sadness", "surprise", "fear", "anger"), [0, 1, 2, 3, 4, 5]),
    ],
)
@pytest.mark.parametrize("roberta", [False, True])
def test_permuted_columns_are_put_into_our_order(
    names: tuple[str, ...], order: list[int], roberta: bool, tmp_path: Path
) -> None:
    own = save_classifier(tmp_path, names, roberta)
    expected = torch.sigmoid(logits(own)).numpy()[:, order]
    for load in (load_classifier, load_base_classifier):
        model = load(str(tmp_path))
        assert list(model.config.id2label.values()) == list(EMOTIONS)
        assert np.abs(predict(model, ROWS, 0) - expected).max() < 1e-6
    # Saved, it is one of ours.
    model.save_pretrained(tmp_path / "ours")
    assert np.abs(predict(load_classifier(str(tmp_path / "ours")), ROWS, 0) - expected).max() < 1e-6


def test_names() -> None:
    for place, (english, russian) in enumerate(LABELS.items()):
        for name in (english, russian, *SYNONYMS[english]):
            assert emotion_by_name(f" {name.upper().replace('_', ' ')} ") == place
    assert emotion_by_name("УДИВЛЁННЫЙ") == emotion_by_name("удивленный") == EMOTIONS.index("surprise")
    for name in ("disgust", "enthusiasm", "interest", "LABEL_0", "0", "", "отвращение", "joy sadness"):
        assert emotion_by_name(name) is None, name
    every = [name for names in SYNONYMS.values() for name in names]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("names", "settings", "reading", "reason"),
    [
        (None, {}, Reading(), "the columns LABEL_0, .*, LABEL_5 of .* have no names: name all 6 .* with --labels"),
        (("0", "1", "2", "3", "4", "5"), {}, Reading(), "the columns 0, 1, 2, 3, 4, 5 of .* have no names"),
        (EMOTIONS[1:], {}, Reading(), "has no column for no_emotion; its columns are joy, "),
        (EMOTIONS[:5], {}, Reading(), "has no column for anger"),
        ((*EMOTIONS[:5], "disgust"), {}, Reading(), "has no column for anger, but disgust, none of the six"),
        (SEVEN, {}, Reading(), "has a column for disgust, none of the six emotions; .* --drop-labels disgust"),
        (SEVEN, {}, Reading(dropped=("fear",)), "--drop-labels fear: it is one of the six"),
        (SEVEN, {}, Reading(dropped=("love",)), "has no column love to drop; it has нейтрально, joy"),
        ((*EMOTIONS, "happy"), {}, Reading(), "has 2 columns for joy: joy, happy"),
        (EMOTIONS, {"label2id": {"joy": 2, "sadness": 1}}, Reading(), "contradicts itself: id2label has joy in"),
        (None, {}, Reading(EMOTIONS[:5]), "has 6 columns, and --labels names 5"),
        (EMOTIONS, {}, Reading(EMOTIONS[::-1]), "--labels calls column 0 of .* anger, and its config.json no_emotion"),
        (EMOTIONS, {"problem_type": SOFTMAX}, Reading(), "is a softmax model .*: it gives each text one emotion"),
        (EMOTIONS, {"problem_type": None}, Reading(), "does not say what makes probabilities .*--activation sigmoid"),
        (EMOTIONS, {"problem_type": "regression"}, Reading(), "has the problem_type regression: it is no classifier"),
        (EMOTIONS, {"problem_type": SOFTMAX}, Reading(activation="sigmoid"), "is made with a softmax"),
        (EMOTIONS, {}, Reading(activation="softmax"), "is made with a sigmoid"),
    ],
)  # fmt: skip
def test_what_is_refused(
    names: tuple[str, ...] | None, settings: dict[str, Any], reading: Reading, reason: str, tmp_path: Path
) -> None:
    save_classifier(tmp_path, names, **settings)
    with pytest.raises(TrainingError, match=reason):
        load_classifier(str(tmp_path), reading)
    if reading == Reading():
        with pytest.raises(TrainingError, match=reason):
            load_base_classifier(str(tmp_path))


def test_columns_named_by_hand(tmp_path: Path) -> None:
    own = save_classifier(tmp_path, None)
    by_hand = load_classifier(str(tmp_path), Reading(("гнев", *EMOTIONS[:5])))
    expected = torch.sigmoid(logits(own)).numpy()[:, [1, 2, 3, 4, 5, 0]]
    assert np.abs(predict(by_hand, ROWS, 0) - expected).max() < 1e-6
    # A name that is none of the six may be said to mean one of them.
    own = save_classifier(tmp_path, (*EMOTIONS[:3], "enthusiasm", *EMOTIONS[4:]))
    by_hand = load_classifier(str(tmp_path), Reading(EMOTIONS))
    assert np.abs(predict(by_hand, ROWS, 0) - torch.sigmoid(logits(own)).numpy()).max() < 1e-6


@pytest.mark.parametrize("problem_type", [SIGMOIDS, SOFTMAX])
@pytest.mark.parametrize(("names", "order"), [(EMOTIONS[::-1], [5, 4, 3, 2, 1, 0]), (SEVEN, [0, 1, 3, 4, 5, 6])])
def test_both_graphs_are_the_checkpoint(
    problem_type: str, names: tuple[str, ...], order: list[int], tmp_path: Path
) -> None:
    """Of a softmax model the columns that are left out stay under the fraction's line."""
    own = save_classifier(tmp_path, names, problem_type=problem_type)
    softmax = problem_type == SOFTMAX
    expected = (torch.softmax(logits(own), -1) if softmax else torch.sigmoid(logits(own))).numpy()[:, order]
    dropped = ("Disgust",) if names == SEVEN else ()
    reading = Reading(dropped=dropped, activation="softmax" if softmax else None)
    model = load_classifier(str(tmp_path), reading)
    assert np.abs(predict(model, ROWS, 0) - expected).max() < 1e-6
    weights = from_checkpoint(model, 40, 0, 1)
    assert weights.shape.softmax_classes == (len(names) if softmax else 0)
    for graph in (build_cpu_graph(weights, "fp32"), portable(build_gpu_graph(weights, "fp32"))):
        answers = run(session(graph), ROWS)
        assert answers.shape == (4, 6)
        assert np.abs(answers - expected).max() < 1e-5
    assert np.abs(run(session(build_cpu_graph(weights, "int8")), ROWS) - expected).max() < 0.1


def test_a_head_is_needed_where_nothing_is_trained(tmp_path: Path) -> None:
    save_classifier(tmp_path / "whole", EMOTIONS).bert.save_pretrained(tmp_path / "encoder")
    config = json.loads((tmp_path / "encoder/config.json").read_text())
    assert config["id2label"]["5"] == "anger"
    with pytest.raises(TrainingError, match=r"lacks classifier.bias, classifier.weight \(2 in all\): fine"):
        load_classifier(str(tmp_path / "encoder"))
    torch.manual_seed(0)
    assert load_base_classifier(str(tmp_path / "encoder")).config.id2label == dict(enumerate(EMOTIONS))


def test_weights_as_older_checkpoints_keep_them(tmp_path: Path) -> None:
    own = save_classifier(tmp_path, EMOTIONS[::-1])
    torch.save(own.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    expected = torch.sigmoid(logits(own)).numpy()[:, ::-1]
    for load in (load_classifier, load_base_classifier):
        assert np.abs(predict(load(str(tmp_path)), ROWS, 0) - expected).max() < 1e-6
