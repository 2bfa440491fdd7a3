"""Both graphs against PyTorch, batch by batch."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.training.support.random_classifier import Classifier, classifier, portable_gpu_graph
from training.export.gate import checks as gate
from training.export.graphs import cpu
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import EncoderWeights


@pytest.mark.parametrize("build", [build_cpu_graph, portable_gpu_graph])
def test_fp32_graphs_equal_pytorch(encoder: Classifier, build: Callable[..., onnx.ModelProto]) -> None:
    expected = encoder.answers(encoder.rows)
    assert (expected.std(axis=0) > 0.01).all(), "answers must differ from row to row"
    graph = session(build(encoder.weights, "fp32"))
    assert np.abs(run(graph, encoder.rows) - expected).max() < 1e-4
    assert np.abs(run(graph, encoder.rows[:1]) - expected[:1]).max() < 1e-4


def test_answers_see_order_and_every_token(encoder: Classifier) -> None:
    graph = session(build_cpu_graph(encoder.weights, "fp32"))
    row = encoder.rows[5]
    variants = [row[:1] + row[:0:-1], [*row[:-1], row[-1] % 100 + 6], row[:-1]]
    answers = run(graph, [row, *variants])
    assert (np.abs(answers[1:] - answers[0]).max(axis=1) > 1e-4).all()
    assert np.abs(answers - encoder.answers([row, *variants])).max() < 1e-4


@pytest.mark.parametrize("long_rows", [[0], [63], [5, 31, 40]])
def test_long_rows_among_short_ones_equal_pytorch(encoder: Classifier, long_rows: list[int]) -> None:
    rows = [row[: 1 + index % 3] for index, row in enumerate(encoder.rows[:64])]
    for index in long_rows:
        rows[index] = encoder.rows[1]
    graph = session(build_cpu_graph(encoder.weights, "fp32"))
    assert np.abs(run(graph, rows) - encoder.answers(rows)).max() < 1e-4


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 19, 64])
def test_any_number_of_rows_equals_pytorch(encoder: Classifier, count: int) -> None:
    """Fewer rows than tiles, as many, and more; in an order that sorting by length must undo."""
    rows = [encoder.rows[index * 7 % len(encoder.rows)] for index in range(count)]
    graph = session(build_cpu_graph(encoder.weights, "fp32"))
    assert np.abs(run(graph, rows) - encoder.answers(rows)).max() < 1e-4


@pytest.mark.parametrize("build", [build_cpu_graph, portable_gpu_graph])
def test_odd_mixtures_of_lengths_equal_pytorch(encoder: Classifier, build: Callable[..., onnx.ModelProto]) -> None:
    """Rows of one token, all of one length, the same row again and again, one long row first or last."""
    graph, token, long = session(build(encoder.weights, "fp32")), encoder.rows[3][:1], encoder.rows[1]
    for count in (2, 7, 9, 23, 64):
        for rows in (
            [token] * count,
            [long] * count,
            [encoder.rows[5]] * count,
            [long, *[token] * (count - 1)],
            [*[token] * (count - 1), long],
        ):
            assert np.abs(run(graph, rows) - encoder.answers(rows)).max() < 1e-4, (count, list(map(len, rows)))


MIXTURES = {
    "one length": [20] * 64,
    "few tokens": [1] * 64,
    "short and long": [3] * 30 + [40] * 9,
    "one long": [40] + [2] * 33,
    "rising": list(range(1, 41)),
    "left over": [4] * 17,
}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch, encoder: Classifier) -> int:
    """Pieces of 100 tokens, so that few rows are several of them."""
    shape = encoder.shape
    monkeypatch.setattr(cpu, "PIECE_BYTES", 100 * 4 * max(3 * shape.hidden, shape.intermediate))
    assert cpu.piece_tokens(shape) == 100
    return 100


def rows_of(encoder: Classifier, lengths: list[int]) -> list[list[int]]:
    """Rows of these lengths, each with another end."""
    return [[*encoder.rows[1][: length - 1], 6 + index] for index, length in enumerate(lengths)]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("lengths", MIXTURES.values(), ids=MIXTURES)
def test_pieces_equal_pytorch(encoder: Classifier, lengths: list[int]) -> None:
    rows = rows_of(encoder, lengths)
    graph = session(build_cpu_graph(encoder.weights, "fp32"))
    assert np.abs(run(graph, rows) - encoder.answers(rows)).max() < 1e-4


@pytest.mark.parametrize("lengths", MIXTURES.values(), ids=MIXTURES)
def test_pieces_have_as_many_rows_as_tiles_and_no_more_tokens_than_they_should(
    encoder: Classifier, lengths: list[int], small_pieces: int
) -> None:
    sizes = pieces(encoder, rows_of(encoder, lengths))
    assert sum(rows for rows, _ in sizes) == len(lengths)
    assert sum(tokens for _, tokens in sizes) == sum(lengths)
    assert min(rows for rows, _ in sizes) >= 8
    # Where that many rows would be more, the last piece has what would have been left over, too.
    assert all(tokens <= small_pieces + max(lengths) or rows < 2 * 8 for rows, tokens in sizes)


def pieces(encoder: Classifier, rows: list[list[int]]) -> list[tuple[int, int]]:
    """Rows and tokens of each piece: what the first attention's tiles of every turn have, as a carried tensor."""
    graph = build_cpu_graph(encoder.weights, "fp32")
    loop = next(node for node in graph.graph.node if node.op_type == "Loop")
    body = loop.attribute[0].g
    split = next(node for node in body.node if node.op_type == "Split")
    counts = [
        helper.make_node("Cast", [split.input[0]], ["lengths of the piece"], to=onnx.TensorProto.INT64),
        helper.make_node("ReduceSum", ["lengths of the piece"], ["tokens of the piece"], keepdims=1),
        helper.make_node("Shape", [split.input[0]], ["rows of the piece"]),
        helper.make_node("Concat", ["rows of the piece", "tokens of the piece"], ["size"], axis=0),
    ]
    at = next(index for index, node in enumerate(body.node) if node.output[0] == split.input[0]) + 1
    for node in reversed(counts):
        body.node.insert(at, node)
    body.output.append(helper.make_tensor_value_info("size", onnx.TensorProto.INT64, [2]))
    loop.output.append("sizes")
    graph.graph.output.append(helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, [None, 2]))
    found = session(graph).run(["sizes"], feed_of(rows))[0]
    return [(int(count), int(tokens)) for count, tokens in found]


def feed_of(rows: list[list[int]]) -> dict[str, np.ndarray]:
    return {
        "input_ids": np.concatenate([np.array(row) for row in rows]),
        "item_shape": np.array([[len(row)] for row in rows], dtype=np.int32),
    }


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 15, 64])
def test_no_tile_is_without_rows(encoder: Classifier, count: int) -> None:
    """What MultiHeadAttention is given, in the branch that runs: before 1.29 an empty one ends the process."""
    graph = build_cpu_graph(encoder.weights, "fp32")
    branch = next(
        attribute.g
        for node in graph.graph.node
        if node.op_type in ("If", "Loop")
        for attribute in node.attribute
        if attribute.name in ("then_branch", "body")
        and sum(node.op_type == "MultiHeadAttention" for node in attribute.g.node)
        == encoder.shape.layers * (1 if count == 1 else 2 if count < 8 else 8)
    )
    queries = [node.input[0] for node in branch.node if node.op_type == "MultiHeadAttention"]
    smallest = [helper.make_node("Shape", [name], [f"{name}.shape"]) for name in queries]
    smallest.append(helper.make_node("Concat", [f"{name}.shape" for name in queries], ["shapes"], axis=0))
    smallest.append(helper.make_node("ReduceMin", ["shapes"], ["smallest"], keepdims=0))
    smallest.append(helper.make_node("Cast", ["smallest"], ["as float"], to=onnx.TensorProto.FLOAT))
    smallest.append(helper.make_node("Expand", ["as float", "shape of answer"], ["answer"]))
    branch.node.insert(0, helper.make_node("Shape", [branch.output[-1].name], ["shape of answer"]))
    answer = branch.node[0]
    del branch.node[0]
    branch.node.extend([answer, *smallest])
    branch.output[-1].name = "answer"
    chosen = next(node for node in graph.graph.node if any(attribute.g == branch for attribute in node.attribute))
    graph.graph.output.append(helper.make_tensor_value_info(chosen.output[-1], onnx.TensorProto.FLOAT, None))
    rows = [encoder.rows[index * 7 % len(encoder.rows)] for index in range(count)]
    found = session(graph).run([chosen.output[-1]], feed_of(rows))[0]
    assert found.shape == (count, encoder.shape.hidden)
    assert (found >= 1).all()


@pytest.mark.parametrize(("hidden", "heads", "intermediate"), [(24, 4, 40), (26, 2, 33), (48, 4, 64), (312, 12, 600)])
def test_widths_are_padded_and_change_nothing(hidden: int, heads: int, intermediate: int) -> None:
    encoder = classifier(
        "bert", hidden_size=hidden, num_attention_heads=heads, intermediate_size=intermediate, num_hidden_layers=2
    )
    int8 = build_cpu_graph(encoder.weights, "int8")
    widths = {tensor.name: tensor.dims[1] for tensor in int8.graph.initializer if tensor.name.endswith(".weight.int8")}
    assert {name.split(".")[-3] for name in widths} == {"qkv", "q", "kv", "context", "up_normalised", "down"}
    assert all(width % 16 == 0 for width in widths.values())
    answers = run(session(build_cpu_graph(encoder.weights, "fp32")), encoder.rows)
    assert np.abs(answers - encoder.answers(encoder.rows)).max() < 1e-4
    assert np.abs(run(session(int8), encoder.rows) - answers).mean() < 0.05


def test_fp16_and_int8_are_near(encoder: Classifier) -> None:
    expected = encoder.answers(encoder.rows)
    fp16 = run(session(portable_gpu_graph(encoder.weights, "fp16")), encoder.rows)
    int8 = run(session(build_cpu_graph(encoder.weights, "int8")), encoder.rows)
    assert 0 < np.abs(fp16 - expected).max() < 1e-2
    assert 0 < np.abs(int8 - expected).mean() < 0.02


def with_outliers(encoder: Classifier, factor: float) -> EncoderWeights:
    """As e5 has them: a channel that `norm1` makes large for `up`, whose own weights for it are small."""
    arrays = dict(encoder.weights.arrays)
    for layer in range(encoder.shape.layers):
        name = f"layer.{layer}"
        scale = np.ones(encoder.shape.hidden, np.float32)
        scale[5] = factor
        arrays[f"{name}.norm1.weight"] = arrays[f"{name}.norm1.weight"] * scale
        arrays[f"{name}.norm1.bias"] = arrays[f"{name}.norm1.bias"] * scale
        arrays[f"{name}.up.weight"] = arrays[f"{name}.up.weight"] / scale[:, None]
    return EncoderWeights(encoder.shape, arrays)


def test_outlier_channels_of_norms_cost_int8_little(encoder: Classifier) -> None:
    weights = with_outliers(encoder, 30)
    full, int8 = (run(session(build_cpu_graph(weights, precision)), encoder.rows) for precision in ("fp32", "int8"))
    assert (full.std(axis=0) > 0.005).all(), "answers must differ from row to row"
    assert np.abs(int8 - full).mean() < 0.0005


@pytest.mark.parametrize(
    ("build", "precision"), [(build_cpu_graph, "fp32"), (build_cpu_graph, "int8"), (portable_gpu_graph, "fp32")]
)
def test_neighbours_do_not_matter(
    encoder: Classifier, build: Callable[..., onnx.ModelProto], precision: Literal["fp32", "int8"]
) -> None:
    graph = session(build(encoder.weights, precision))
    alone, figures = gate.check_composition(precision, graph, encoder.rows, 1e-5)
    assert figures["labels_changed"] == 0
    assert np.array_equal(alone[3], run(graph, [encoder.rows[3]])[0])


def malformed_cases() -> list[str]:
    return list(gate.malformed_rows(classifier("bert").shape))


@pytest.mark.parametrize("case", malformed_cases())
def test_a_malformed_row_gets_its_cleaned_answer_from_pytorch(encoder: Classifier, case: str) -> None:
    bad = gate.malformed_rows(encoder.shape)[case]
    good = encoder.rows[:4]
    sent = [*good[:2], bad, *good[2:], bad]
    clean = gate.cleaned(bad, encoder.shape)
    expected = encoder.answers([*good[:2], clean, *good[2:], clean])
    for build in (build_cpu_graph, portable_gpu_graph):
        assert np.abs(run(session(build(encoder.weights, "fp32")), sent) - expected).max() < 1e-4


@pytest.mark.parametrize("build", [build_cpu_graph, portable_gpu_graph])
def test_a_batch_as_nvidias_collector_leaves_it(encoder: Classifier, build: Callable[..., onnx.ModelProto]) -> None:
    """Behind a row of length zero the ids are anything: no answer there, and the right ones in front of it."""
    graph = session(build(encoder.weights, "fp32"))
    for case, (batch, filled) in gate.unfilled_batches(encoder.rows[:5]).items():
        assert len(batch[filled]) == 0
        answers = run(graph, batch)
        assert answers.shape == (len(batch), 6), case
        assert np.isnan(answers[filled:]).all(), case
        if filled:
            assert np.abs(answers[:filled] - encoder.answers(list(batch[:filled]))).max() < 1e-4, case
