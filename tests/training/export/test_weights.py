"""An encoder's weights: taken from a checkpoint, back from a CPU graph, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
import transformers

from contract.version_directory import CPU_GRAPH
from tests.training.support.random_classifier import MAX_LENGTH, VOCABULARY, Classifier, classifier, portable_gpu_graph
from training.common.command import TrainingError
from training.export.gate import checks as gate
from training.export.graphs import cpu as cpu_graph
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.cpu_products import quantise
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import from_checkpoint, from_cpu_graph


def half_a_step(arrays: dict[str, npt.NDArray[np.float32]], name: str) -> Any:
    """By how much rounding to int8 may move a weight; `up` is rounded as `norm1` scales it."""
    array, norm1 = arrays[name], name.rsplit(".", 2)[0] + ".norm1.weight"
    if name.endswith(".up.weight"):
        factor = arrays[norm1][:, None]
        return np.abs(array * factor).max() / 63 / 2 * 1.001 / np.abs(factor)
    if name.endswith(".up.bias"):
        shift = arrays[norm1.replace("weight", "bias")]
        return np.abs(shift) @ half_a_step(arrays, name.replace("bias", "weight")) * np.ones_like(array)
    if array.ndim == 1 or name == "embeddings.position" or name.startswith("head"):
        return 0
    return np.abs(array).max() / (127 if name == "embeddings.word" else 63) / 2 * 1.001


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_weights_come_back(encoder: Classifier, precision: Literal["fp32", "int8"], tmp_path: Path) -> None:
    onnx.save(build_cpu_graph(encoder.weights, precision), tmp_path / CPU_GRAPH)
    back = from_cpu_graph(tmp_path / CPU_GRAPH, encoder.shape)
    for name, array in encoder.weights.arrays.items():
        assert back.arrays[name].shape == array.shape
        bound = half_a_step(encoder.weights.arrays, name) if precision == "int8" else 1e-6
        assert (np.abs(back.arrays[name] - array) <= bound + 1e-6).all(), name
    again = run(session(portable_gpu_graph(back, "fp32")), encoder.rows)
    assert np.abs(again - encoder.answers(encoder.rows)).max() < (1e-4 if precision == "fp32" else 0.1)


def test_weights_come_back_from_a_graph_of_before_widths_were_padded(
    encoder: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(build_cpu_graph(encoder.weights, "int8"), tmp_path / "padded.onnx")
    monkeypatch.setattr(cpu_graph, "WIDTH_MULTIPLE", 1)
    onnx.save(build_cpu_graph(encoder.weights, "int8"), tmp_path / "unpadded.onnx")
    padded, unpadded = (from_cpu_graph(tmp_path / f"{name}.onnx", encoder.shape) for name in ("padded", "unpadded"))
    assert padded.arrays.keys() == unpadded.arrays.keys() == encoder.weights.arrays.keys()
    for name, array in padded.arrays.items():
        assert np.allclose(array, unpadded.arrays[name], rtol=0, atol=1e-6), name
    answers = [run(session(tmp_path / f"{name}.onnx"), encoder.rows) for name in ("padded", "unpadded")]
    assert np.array_equal(*answers)


def test_a_channel_that_a_norm_switches_off_comes_back_as_its_bias(tmp_path: Path) -> None:
    encoder = classifier("bert")
    encoder.weights.arrays["layer.1.norm1.weight"][3] = 0
    onnx.save(build_cpu_graph(encoder.weights, "fp32"), tmp_path / CPU_GRAPH)
    back = from_cpu_graph(tmp_path / CPU_GRAPH, encoder.shape)
    assert not back.arrays["layer.1.up.weight"][3].any()
    answers = [run(session(portable_gpu_graph(weights, "fp32")), encoder.rows) for weights in (encoder.weights, back)]
    assert np.abs(answers[0] - answers[1]).max() < 1e-5


def test_quantise_by_hand() -> None:
    table, scale = quantise(np.array([[1.0, -6.3], [-0.51, 3.2]], dtype=np.float32), axis=0, largest=63)
    assert scale == pytest.approx(np.array([[1 / 63, 0.1]]))
    assert table.tolist() == [[63, -63], [-32, 32]]
    zeros, _ = quantise(np.zeros((2, 2), dtype=np.float32), axis=1, largest=127)
    assert not zeros.any()


SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": MAX_LENGTH + 2, "num_labels": 6, "pad_token_id": 1,
}  # fmt: skip


def other_architecture(kind: str, **changes: Any) -> Any:
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **changes})
    return getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            lambda: other_architecture("DistilBert"),
            "'distilbert': it has no distilbert.embeddings.token_type_emb.*BERT, RoBERTa",
        ),
        (
            lambda: other_architecture("Electra", embedding_size=8),
            r"word_embeddings.weight: its shape is \(150, 8\), not \(150, 16",
        ),
        (
            lambda: other_architecture("RobertaPreLayerNorm"),
            "'roberta-prelayernorm': .* no roberta_prelayernorm.encoder.layer.0",
        ),
        (lambda: other_architecture("MPNet"), "'mpnet': it has no mpnet.embeddings.token_type_embeddings"),
        (lambda: other_architecture("Bert", hidden_act="relu"), "cannot export hidden_act 'relu'; only 'gelu'"),
        (
            lambda: other_architecture("Bert", position_embedding_type="relative_key"),
            "position_embedding_type 'relative_key'; only",
        ),
        (lambda: other_architecture("Bert", is_decoder=True), "cannot export is_decoder True; only False"),
        (lambda: other_architecture("Bert", num_labels=3), r"classifier.weight: its shape is \(3, 16\), not \(6, 16\)"),
        (lambda: other_architecture("Bert", max_position_embeddings=MAX_LENGTH - 1), "has 39 positions, fewer than 40"),
        # Two of XLM-RoBERTa's positions are never a token's.
        (
            lambda: other_architecture("XLMRoberta", max_position_embeddings=MAX_LENGTH + 1),
            "has 39 positions, fewer than 40",
        ),
    ],
)
def test_what_cannot_be_exported_is_said(model: Callable[[], Any], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        from_checkpoint(model(), MAX_LENGTH, 1, 3)


def test_a_weight_that_the_graphs_have_no_place_for_is_said() -> None:
    model = other_architecture("Bert")
    model.bert.encoder.layer[0].attention.self.distance_embedding = torch.nn.Embedding(9, 8)
    with pytest.raises(TrainingError, match=r"no place for bert\.encoder.layer.0.attention.self.distance_embedding"):
        from_checkpoint(model, MAX_LENGTH, 1, 3)
    with pytest.raises(TrainingError, match="unknown id 150 must be below the vocabulary's 150"):
        from_checkpoint(other_architecture("Bert"), MAX_LENGTH, 1, VOCABULARY)


@pytest.mark.parametrize(("kind", "equal"), [("Camembert", True), ("Ernie", True), ("Electra", False)])
def test_a_model_built_alike_is_judged_by_its_answers(kind: str, equal: bool) -> None:
    """ELECTRA's weights have RoBERTa's names, and its head another activation."""
    model = other_architecture(kind, embedding_size=16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    rows = classifier("bert").rows
    made = Classifier(model, from_checkpoint(model, MAX_LENGTH, 1, 3), rows)
    answers = run(session(build_cpu_graph(made.weights, "fp32")), rows)
    if equal:
        gate.check_parity("CPU graph", answers, made.answers(rows), 1e-4)
    else:
        with pytest.raises(TrainingError, match="differs from PyTorch by"):
            gate.check_parity("CPU graph", answers, made.answers(rows), 1e-4)
