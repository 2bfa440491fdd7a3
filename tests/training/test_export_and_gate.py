"""Both graphs against PyTorch, batch by batch, and every check of the gate fed with damage."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
import torch
import transformers
from onnx import helper

from contract.version_directory import CPU_GRAPH
from training.common.command import TrainingError
from training.export.gate import checks as gate
from training.export.graphs import cpu as cpu_graph
from training.export.graphs.cpu import build_cpu_graph, fused_operators, quantise
from training.export.graphs.cpu_attention import TILES, TILES_OF_FEW
from training.export.graphs.gpu import build_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import Probabilities, run, session
from training.export.graphs.weights import EncoderWeights, Shape, from_checkpoint, from_cpu_graph

VOCABULARY, MAX_LENGTH = 150, 40
Family = Literal["bert", "xlm-roberta"]


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A random classifier, what is exported of it, and rows of ids for it."""

    model: Any
    weights: EncoderWeights
    rows: list[list[int]]

    @property
    def shape(self) -> Shape:
        return self.weights.shape

    def answers(self, rows: list[list[int]]) -> Probabilities:
        """PyTorch's, all rows padded into one batch."""
        longest = max(map(len, rows))
        ids = torch.tensor([row + [self.shape.pad_id] * (longest - len(row)) for row in rows])
        with torch.no_grad():
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
            return self.model(input_ids=ids, attention_mask=mask).logits.sigmoid().numpy()


def classifier(family: Family, **changes: Any) -> Classifier:
    torch.manual_seed(7)
    pad_id, unk_id = (0, 1) if family == "bert" else (1, 3)
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
        "intermediate_size": 56, "max_position_embeddings": MAX_LENGTH + 2 + 5, "num_labels": 6,
        "pad_token_id": pad_id, "type_vocab_size": 2 if family == "bert" else 1, **changes,
    }  # fmt: skip
    kind = "Bert" if family == "bert" else "XLMRoberta"
    config = getattr(transformers, f"{kind}Config")(**settings)
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        for parameter in model.parameters():  # Biases, layer norms and the padding row too.
            parameter.add_(torch.randn_like(parameter) * 0.15)
    random = np.random.default_rng(7)
    lengths = [1, MAX_LENGTH, *random.integers(2, MAX_LENGTH, 78)]
    rows = [[int(token) for token in random.integers(5, VOCABULARY, length)] for length in lengths]
    return Classifier(model.eval(), from_checkpoint(model, MAX_LENGTH, pad_id, unk_id), rows)


def portable_gpu_graph(weights: EncoderWeights, precision: Literal["fp32", "fp16"]) -> onnx.ModelProto:
    return portable(build_gpu_graph(weights, precision))


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def encoder(request: pytest.FixtureRequest) -> Classifier:
    return classifier(request.param)


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


@pytest.mark.parametrize("count", [1, 2, 3, TILES - 1, TILES, TILES + 1, 2 * TILES + 3, 64])
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


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 15, 64])
def test_no_tile_is_without_rows(encoder: Classifier, count: int) -> None:
    """What MultiHeadAttention is given, in the branch that runs: before 1.29 an empty one ends the process."""
    graph = build_cpu_graph(encoder.weights, "fp32")
    branch = next(
        attribute.g
        for node in graph.graph.node
        if node.op_type == "If"
        for attribute in node.attribute
        if attribute.name == "then_branch"
        and sum(node.op_type == "MultiHeadAttention" for node in attribute.g.node)
        == encoder.shape.layers * (1 if count == 1 else TILES_OF_FEW if count < TILES else TILES)
    )
    queries = [node.input[0] for node in branch.node if node.op_type == "MultiHeadAttention"]
    smallest = [helper.make_node("Shape", [name], [f"{name}.shape"]) for name in queries]
    smallest.append(helper.make_node("Concat", [f"{name}.shape" for name in queries], ["shapes"], axis=0))
    smallest.append(helper.make_node("ReduceMin", ["shapes"], ["smallest"], keepdims=0))
    smallest.append(helper.make_node("Cast", ["smallest"], ["as float"], to=onnx.TensorProto.FLOAT))
    smallest.append(helper.make_node("Expand", ["as float", "shape of answer"], ["answer"]))
    branch.node.insert(0, helper.make_node("Shape", [branch.output[0].name], ["shape of answer"]))
    answer = branch.node[0]
    del branch.node[0]
    branch.node.extend([answer, *smallest])
    branch.output[0].name = "answer"
    chosen = next(
        node
        for node in graph.graph.node
        if node.op_type == "If" and any(attribute.g == branch for attribute in node.attribute)
    )
    graph.graph.output.append(helper.make_tensor_value_info(chosen.output[0], onnx.TensorProto.FLOAT, None))
    rows = [encoder.rows[index * 7 % len(encoder.rows)] for index in range(count)]
    feed = {
        "input_ids": np.concatenate([np.array(row) for row in rows]),
        "item_shape": np.array([[len(row)] for row in rows], dtype=np.int32),
    }
    found = session(graph).run([chosen.output[0]], feed)[0]
    assert found.shape == (count, encoder.shape.hidden)
    assert (found >= 1).all()


@pytest.mark.parametrize(("hidden", "heads", "intermediate"), [(24, 4, 40), (26, 2, 33), (48, 4, 64), (312, 12, 600)])
def test_widths_are_padded_and_change_nothing(hidden: int, heads: int, intermediate: int) -> None:
    encoder = classifier(
        "bert", hidden_size=hidden, num_attention_heads=heads, intermediate_size=intermediate, num_hidden_layers=2
    )
    int8 = build_cpu_graph(encoder.weights, "int8")
    widths = {tensor.name: tensor.dims[1] for tensor in int8.graph.initializer if tensor.name.endswith(".weight.int8")}
    assert {name.split(".")[-3] for name in widths} == {"qkv", "q", "kv", "context", "up", "down", "dense", "out"}
    assert all(width % 16 == 0 for width in widths.values())
    answers = run(session(build_cpu_graph(encoder.weights, "fp32")), encoder.rows)
    assert np.abs(answers - encoder.answers(encoder.rows)).max() < 1e-4
    assert np.abs(run(session(int8), encoder.rows) - answers).mean() < 0.05


def test_fp16_and_int8_are_near(encoder: Classifier) -> None:
    expected = encoder.answers(encoder.rows)
    fp16 = run(session(portable_gpu_graph(encoder.weights, "fp16")), encoder.rows)
    int8 = run(session(build_cpu_graph(encoder.weights, "int8")), encoder.rows)
    assert 0 < np.abs(fp16 - expected).max() < gate.PARITY["fp16"]
    assert 0 < np.abs(int8 - expected).mean() < 0.02


@pytest.mark.parametrize(
    ("build", "precision"), [(build_cpu_graph, "fp32"), (build_cpu_graph, "int8"), (portable_gpu_graph, "fp32")]
)
def test_neighbours_do_not_matter(
    encoder: Classifier, build: Callable[..., onnx.ModelProto], precision: Literal["fp32", "int8"]
) -> None:
    graph = session(build(encoder.weights, precision))
    alone, figures = gate.check_composition(precision, graph, encoder.rows, gate.COMPOSITION["fp32"])
    assert figures["labels_changed"] == 0
    assert np.array_equal(alone[3], run(graph, [encoder.rows[3]])[0])


def test_cleaned_says_what_the_design_says() -> None:
    shape = Shape(1, 8, 1, 8, vocabulary=50, max_length=6, pad_id=1, unk_id=3, layer_norm_epsilon=1e-12)
    assert gate.cleaned([], shape) == [3]
    assert gate.cleaned([1, 1, 1], shape) == [3]
    assert gate.cleaned([5, 6, 1, 1], shape) == [5, 6]
    assert gate.cleaned([1, 5, 1, 6], shape) == [3, 5, 3, 6]
    assert gate.cleaned([-1, 50, 49, 2**62, -(2**63)], shape) == [3, 3, 49, 3, 3]
    assert gate.cleaned([5] * 9, shape) == [5] * 6
    assert gate.cleaned([5] * 6 + [1] * 9 + [7], shape) == [5] * 6


def hostile_cases() -> list[str]:
    return list(gate.hostile_rows(classifier("bert").shape))


@pytest.mark.parametrize("case", hostile_cases())
def test_hostile_row_gets_its_cleaned_answer_from_pytorch(encoder: Classifier, case: str) -> None:
    bad = gate.hostile_rows(encoder.shape)[case]
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


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_weights_come_back(encoder: Classifier, precision: Literal["fp32", "int8"], tmp_path: Path) -> None:
    onnx.save(build_cpu_graph(encoder.weights, precision), tmp_path / CPU_GRAPH)
    back = from_cpu_graph(tmp_path / CPU_GRAPH, encoder.shape)
    for name, array in encoder.weights.arrays.items():
        steps = 127 if name.startswith("embeddings") else 63
        bound = np.abs(array).max() / steps / 2 * 1.001 if precision == "int8" and array.ndim == 2 else 0
        assert back.arrays[name].shape == array.shape
        assert np.abs(back.arrays[name] - array).max() <= bound, name
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
        assert np.array_equal(array, unpadded.arrays[name]), name
    answers = [run(session(tmp_path / f"{name}.onnx"), encoder.rows) for name in ("padded", "unpadded")]
    assert np.array_equal(*answers)


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


def other(kind: str, **changes: Any) -> Any:
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **changes})
    return getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            lambda: other("DistilBert"),
            "'distilbert': it has no distilbert.embeddings.token_type_emb.*BERT, RoBERTa",
        ),
        (lambda: other("Electra", embedding_size=8), r"word_embeddings.weight: its shape is \(150, 8\), not \(150, 16"),
        (lambda: other("RobertaPreLayerNorm"), "'roberta-prelayernorm': .* no roberta_prelayernorm.encoder.layer.0"),
        (lambda: other("MPNet"), "'mpnet': it has no mpnet.embeddings.token_type_embeddings"),
        (lambda: other("Bert", hidden_act="relu"), "cannot export hidden_act 'relu'; only 'gelu'"),
        (lambda: other("Bert", position_embedding_type="relative_key"), "position_embedding_type 'relative_key'; only"),
        (lambda: other("Bert", is_decoder=True), "cannot export is_decoder True; only False"),
        (lambda: other("Bert", num_labels=3), r"classifier.weight: its shape is \(3, 16\), not \(6, 16\)"),
        (lambda: other("Bert", max_position_embeddings=MAX_LENGTH - 1), "has 39 positions, fewer than 40"),
        # Two of XLM-RoBERTa's positions are never a token's.
        (lambda: other("XLMRoberta", max_position_embeddings=MAX_LENGTH + 1), "has 39 positions, fewer than 40"),
    ],
)
def test_what_cannot_be_exported_is_said(model: Callable[[], Any], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        from_checkpoint(model(), MAX_LENGTH, 1, 3)


def test_a_weight_that_the_graphs_have_no_place_for_is_said() -> None:
    model = other("Bert")
    model.bert.encoder.layer[0].attention.self.distance_embedding = torch.nn.Embedding(9, 8)
    with pytest.raises(TrainingError, match=r"no place for bert\.encoder.layer.0.attention.self.distance_embedding"):
        from_checkpoint(model, MAX_LENGTH, 1, 3)
    with pytest.raises(TrainingError, match="unknown id 150 must be below the vocabulary's 150"):
        from_checkpoint(other("Bert"), MAX_LENGTH, 1, VOCABULARY)


@pytest.mark.parametrize(("kind", "equal"), [("Camembert", True), ("Ernie", True), ("Electra", False)])
def test_a_model_built_alike_is_judged_by_its_answers(kind: str, equal: bool) -> None:
    """ELECTRA's weights have RoBERTa's names, and its head another activation."""
    model = other(kind, embedding_size=16)
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


class TestGateRefuses:
    """Damage, and the check that must see it."""

    encoder = classifier("bert")

    def fused(self) -> dict[str, int]:
        return fused_operators(self.encoder.shape)

    def test_a_missing_fused_operator(self) -> None:
        graph = build_cpu_graph(self.encoder.weights, "int8")
        assert gate.check_format(graph, self.fused()) == self.fused()
        nodes = [node for node in graph.graph.node if node.op_type != "QuantizeLinear"]
        del graph.graph.node[:]
        graph.graph.node.extend(nodes)
        with pytest.raises(TrainingError, match="expected 38 fused QuantizeLinear, found 36"):
            gate.check_format(graph, self.fused())

    @pytest.mark.parametrize(("opset", "ir"), [(18, 10), (16, 10), (17, 11)])
    def test_another_opset_or_ir_version(self, opset: int, ir: int) -> None:
        graph = build_cpu_graph(self.encoder.weights, "int8")
        next(entry for entry in graph.opset_import if not entry.domain).version = opset
        graph.ir_version = ir
        with pytest.raises(TrainingError, match=f"opset {opset}, IR {ir}: must be 17 and at most 10"):
            gate.check_format(graph, self.fused())

    def test_operators_of_another_set(self) -> None:
        graph = build_cpu_graph(self.encoder.weights, "int8")
        graph.graph.node[0].domain = "ai.example"
        with pytest.raises(TrainingError, match=r"unknown sets: ai\.example"):
            gate.check_format(graph, self.fused())

    def test_a_width_that_old_runtimes_get_wrong(self) -> None:
        graph = build_cpu_graph(self.encoder.weights, "int8")
        weight = next(tensor for tensor in graph.graph.initializer if tensor.name == "layer.1.down.weight.int8")
        weight.dims[1] = 24
        with pytest.raises(TrainingError, match=r"layer\.1\.down\.weight\.int8 has 24 columns, no multiple of 16"):
            gate.check_format(graph, self.fused())

    def test_a_row_that_is_answered_behind_an_empty_one(self) -> None:
        graph = build_cpu_graph(self.encoder.weights, "fp32")
        last = next(node for node in graph.graph.node if node.output[0] == "probabilities")
        del last.input[1]
        last.op_type = "Identity"
        with pytest.raises(TrainingError, match="it or a row behind it gets an answer"):
            gate.check_hostile("CPU graph", session(graph), self.encoder.rows, self.encoder.shape, 1e-5)

    @pytest.mark.parametrize("damage", [2e-4, -2e-4, np.nan])
    def test_answers_that_are_not_pytorchs(self, damage: float) -> None:
        reference = self.encoder.answers(self.encoder.rows)
        answers = reference.copy()
        assert gate.check_parity("a graph", answers, reference, 1e-4) == 0
        answers[7, 2] += damage
        with pytest.raises(TrainingError, match="a graph differs from PyTorch by"):
            gate.check_parity("a graph", answers, reference, 1e-4)

    def test_answers_that_depend_on_neighbours(self) -> None:
        graph = build_cpu_graph(self.encoder.weights, "fp32")
        last = next(node for node in graph.graph.node if node.op_type == "Sigmoid")
        name = last.output[0]
        last.output[0] = "own"
        mean = helper.make_node("ReduceMean", ["own"], ["mean"], axes=[0], keepdims=1)
        both = helper.make_node("Add", ["own", "mean"], [name])
        position = list(graph.graph.node).index(last) + 1
        graph.graph.node.insert(position, both)
        graph.graph.node.insert(position, mean)
        with pytest.raises(TrainingError, match="neighbours move a probability by"):
            gate.check_composition("CPU graph", session(graph), self.encoder.rows, 5e-3)

    def test_labels_that_change_though_no_probability_moves_far(self) -> None:
        # Every answer sits just under a half, and company lifts it over: far less than the bound.
        graph = build_cpu_graph(self.encoder.weights, "fp32")
        last = next(node for node in graph.graph.node if node.op_type == "Sigmoid")
        name = last.output[0]
        last.output[0] = "own"
        for constant, value in (("nothing", 0.0), ("a little", 1e-5), ("limit", 2e-4), ("start", 0.4999)):
            graph.graph.initializer.append(helper.make_tensor(constant, onnx.TensorProto.FLOAT, [], [value]))
        damage = [
            helper.make_node("Mul", ["own", "nothing"], ["zeros"]),
            helper.make_node("Add", ["zeros", "a little"], ["each"]),
            helper.make_node("ReduceSum", ["each"], ["company"], keepdims=1),
            helper.make_node("Min", ["company", "limit"], ["lift"]),
            helper.make_node("Add", ["zeros", "start"], ["under"]),
            helper.make_node("Add", ["under", "lift"], [name]),
        ]
        position = list(graph.graph.node).index(last) + 1
        for node in reversed(damage):
            graph.graph.node.insert(position, node)
        with pytest.raises(TrainingError, match=r"by 0\.0001\d* .* change 100\.00% of labels"):
            gate.check_composition("CPU graph", session(graph), self.encoder.rows, 5e-3)

    @pytest.mark.parametrize("damage", [{"unk_id": 7}, {"pad_id": 9}, {"max_length": MAX_LENGTH + 1}])
    def test_bad_rows_answered_otherwise(self, damage: dict[str, int]) -> None:
        shape = self.encoder.shape
        good = build_cpu_graph(self.encoder.weights, "fp32")
        gate.check_hostile("CPU graph", session(good), self.encoder.rows, shape, 1e-5)
        arrays = dict(self.encoder.weights.arrays)
        arrays["embeddings.position"] = np.pad(arrays["embeddings.position"], ((0, 1), (0, 0)))
        wrong = EncoderWeights(dataclasses.replace(shape, **damage), arrays)
        with pytest.raises(TrainingError, match="CPU graph: bad rows move an answer by"):
            gate.check_hostile("CPU graph", session(build_cpu_graph(wrong, "fp32")), self.encoder.rows, shape, 1e-5)

    @pytest.mark.parametrize(
        ("bounds", "reason"),
        [
            ({"WORST_BATCH_MEGABYTES": 1}, r"the worst batch took \d+ MB; at most 1 MB is allowed"),
            (
                {"WORST_BATCH_MILLISECONDS": 0, "WORST_BATCH_SHARE": 0},
                r"one row of 100,000 tokens among 63 short ones took \d+ ms; at most 0 ms",
            ),
            ({"FULL_BATCH_LOSS": 0.01}, r"a batch of 64 full rows took \d+ ms; at most \d+ ms"),
        ],
    )
    def test_a_worst_batch_beyond_its_bounds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: dict[str, float], reason: str
    ) -> None:
        onnx.save(build_cpu_graph(self.encoder.weights, "int8"), tmp_path / CPU_GRAPH)
        figures = gate.check_worst_batch(tmp_path / CPU_GRAPH, self.encoder.shape, 64)
        assert min(figures.values()) > 0
        for name, value in bounds.items():
            monkeypatch.setattr(gate, name, value)
        with pytest.raises(TrainingError, match=reason):
            gate.check_worst_batch(tmp_path / CPU_GRAPH, self.encoder.shape, 64)

    def test_a_graph_that_cannot_be_run(self, tmp_path: Path) -> None:
        onnx.save(build_cpu_graph(self.encoder.weights, "int8"), tmp_path / CPU_GRAPH)
        whole = (tmp_path / CPU_GRAPH).read_bytes()
        (tmp_path / CPU_GRAPH).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(TrainingError, match="the worst batch could not be run: "):
            gate.check_worst_batch(tmp_path / CPU_GRAPH, self.encoder.shape, 64)

    def test_int8_that_costs_too_much(self) -> None:
        random = np.random.default_rng(0)
        truth = (random.random((1000, 6)) < 0.3).astype(np.float32)
        full = (0.6 * truth + 0.4 * random.random((1000, 6))).astype(np.float32)
        assert gate.check_quantisation("int8", truth, full, full)["mean"]["roc_auc"] == 1
        # Order kept, all pushed below a half: only F1 sees it. Order lost near a half: only AUC does.
        with pytest.raises(TrainingError, match=r"costs 0\.0000 of mean ROC AUC .* and 0\.[1-9]"):
            gate.check_quantisation("int8", truth, full, full * 0.5)
        worse = full.copy()
        for index in range(6):  # Given labels keep to their side of a half, and lose their order on it.
            wrong = np.flatnonzero(truth[:, index] == 0)[:20]
            full[wrong, index], worse[wrong, index] = 0.55, 0.99
        with pytest.raises(TrainingError, match=r"costs 0\.0[1-9]\d* of mean ROC AUC .* and 0\.0000"):
            gate.check_quantisation("int8", truth, full, worse)
