"""The GPU graph: what its packed attention is given, that its portable form is the same graph, and its heads."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.training.support.random_classifier import classifier
from training.export.gate import checks as gate
from training.export.graphs.gpu import build_gpu_graph, fused_operators
from training.export.graphs.portable import portable
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import EncoderWeights, Shape
from training.export.graphs.writer import GraphWriter, clean_tokens

# Heads of 8 need no padding; of 6 and 13 they do.
HEADS = [(32, 4), (24, 4), (26, 2)]


def weights_of(graph: onnx.ModelProto) -> dict[str, Any]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}


@pytest.mark.parametrize(("hidden", "heads"), HEADS)
def test_heads_of_any_size_equal_pytorch(hidden: int, heads: int) -> None:
    encoder = classifier("bert", hidden_size=hidden, num_attention_heads=heads)
    graph = build_gpu_graph(encoder.weights, "fp32")
    padded = -(-hidden // heads // 8) * 8 * heads
    weights = weights_of(graph)
    assert weights["layer.0.qkv.weight"].shape == (hidden, 3 * padded)
    assert weights["layer.0.qkv.bias"].shape == (3 * padded,)
    assert weights["layer.0.context.weight"].shape == (padded, hidden)
    packed = next(node for node in graph.graph.node if node.op_type == "PackedAttention")
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in packed.attribute}
    assert attributes == {"num_heads": heads, "scale": pytest.approx((hidden / heads) ** -0.5)}
    answers = run(session(portable(graph)), encoder.rows)
    assert np.abs(answers - encoder.answers(encoder.rows)).max() < 1e-4
    fp16 = run(session(portable(build_gpu_graph(encoder.weights, "fp16"))), encoder.rows)
    assert 0 < np.abs(fp16 - answers).max() < 1e-2


def test_the_portable_form_is_the_same_graph_but_for_its_attention() -> None:
    graph = build_gpu_graph(classifier("bert").weights, "fp16")
    assert gate.check_format(graph, fused_operators(classifier("bert").shape))["PackedAttention"] == 3
    written_out = portable(graph)
    assert list(written_out.graph.initializer) == list(graph.graph.initializer)
    assert list(written_out.graph.input) == list(graph.graph.input)
    assert list(written_out.graph.output) == list(graph.graph.output)
    left = [node for node in graph.graph.node if node.op_type != "PackedAttention"]
    kept = [node for node in written_out.graph.node if not node.name.startswith("PackedAttention")]
    assert kept == left
    assert all(node.op_type != "PackedAttention" for node in written_out.graph.node)
    # What takes its place reads and writes nothing else.
    packed = [node for node in graph.graph.node if node.op_type == "PackedAttention"]
    new = [node for node in written_out.graph.node if node.name.startswith("PackedAttention")]
    outputs = {name for node in new for name in node.output}
    inputs = {name for node in new for name in node.input if name} - outputs
    assert inputs == {name for node in packed for name in node.input} - outputs
    assert {name for node in kept for name in node.input} & outputs == {node.output[0] for node in packed}


@pytest.mark.parametrize("name", ["layer.1.qkv.weight", "layer.0.qkv.bias", "layer.2.context.weight"])
def test_the_portable_form_sees_every_weight(name: str) -> None:
    encoder = classifier("bert", hidden_size=24)
    arrays = dict(encoder.weights.arrays)
    arrays[name] = np.roll(arrays[name], 6, axis=-1)
    wrong = build_gpu_graph(EncoderWeights(encoder.shape, arrays), "fp32")
    with pytest.raises(gate.TrainingError, match="differs from PyTorch"):
        gate.check_parity("it", run(session(portable(wrong)), encoder.rows), encoder.answers(encoder.rows), 1e-4)


def test_what_packed_attention_is_told_of_the_rows() -> None:
    """By hand: rows of 2, 3 and, for an empty one, 1 token; as ONNX Runtime's ContribOperators.md has it."""
    graph = build_gpu_graph(classifier("bert").weights, "fp32")
    packed = next(node for node in graph.graph.node if node.op_type == "PackedAttention")
    names = packed.input[3:]
    runnable = portable(graph)
    runnable.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.INT32, None) for name in names)
    feed = {"input_ids": np.array([7, 8, 9, 10, 11]), "item_shape": np.array([[2], [3], [0]], dtype=np.int32)}
    offsets, ends = session(runnable).run(names, feed)
    assert offsets.tolist() == [[0, 1, 3], [4, 5, 6], [2, 7, 8]]
    assert ends.tolist() == [0, 2, 5, 6]


@pytest.mark.parametrize("pad_id", [0, 1, 49])
def test_cleaned_tokens_of_random_rows_are_those_that_python_says(pad_id: int) -> None:
    """Rows full of pads and unknown ids, in every order, against the same rules in Python."""
    shape = Shape(1, 8, 1, 8, vocabulary=50, max_length=6, pad_id=pad_id, unk_id=3, layer_norm_epsilon=1e-12)
    g = GraphWriter()
    tokens = clean_tokens(g, shape)
    names = [tokens.ids, tokens.row, tokens.position, tokens.lengths, tokens.starts, tokens.longest]
    model = g.finish(g.constant(np.zeros((1, 6), dtype=np.float32)), tokens.unless_empty, "cleaning")
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in names)
    names.append("probabilities")
    graph = session(model)
    random = np.random.default_rng(0)
    odd = [pad_id, pad_id, pad_id, -1, 50, 2**62, -(2**63), 5, 6, 49]
    for _ in range(300):
        sizes = random.integers(0, 12, random.integers(1, 6))
        rows = [[int(token) for token in random.choice(odd, size)] for size in sizes]
        flat = np.array([token for row in rows for token in row], dtype=np.int64)
        lengths = np.array([[len(row)] for row in rows], dtype=np.int32)
        ids, row, position, kept, starts, longest, answered = graph.run(
            names, {"input_ids": flat, "item_shape": lengths}
        )
        expected = [gate.cleaned(row, shape) for row in rows]
        assert ids.tolist() == [token for row in expected for token in row]
        assert row.tolist() == [number for number, row in enumerate(expected) for _ in row]
        assert position.tolist() == [place for row in expected for place in range(len(row))]
        assert kept.tolist() == [len(row) for row in expected]
        assert starts.tolist() == [sum(map(len, expected[:number])) for number in range(len(expected))]
        assert longest == max(map(len, expected))
        alive = [0 not in sizes[: number + 1] for number in range(len(sizes))]
        assert [set(probabilities) == {0.0} for probabilities in answered.tolist()] == alive
        assert np.isnan(answered).all(axis=1).tolist() == [not each for each in alive]
