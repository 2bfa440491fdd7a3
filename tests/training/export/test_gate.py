"""Every check of the gate, fed with damage that it must see."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tokenizers import Tokenizer

from contract.version_directory import CPU_GRAPH
from tests.training.support.random_classifier import MAX_LENGTH, classifier
from training.common.command import TrainingError
from training.encoder.tokenizer import train_unigram, train_wordpiece
from training.export.gate import checks as gate
from training.export.gate.unknown_texts import check_unknown_texts, unknown_rows
from training.export.graphs.cpu import build_cpu_graph, fused_operators
from training.export.graphs.runtime import Ids, run, session
from training.export.graphs.weights import EncoderWeights, Shape


def test_cleaned_says_what_the_design_says() -> None:
    shape = Shape(1, 8, 1, 8, vocabulary=50, max_length=6, pad_id=1, unk_id=3, layer_norm_epsilon=1e-12)
    assert gate.cleaned([], shape) == [3]
    assert gate.cleaned([1, 1, 1], shape) == [3]
    assert gate.cleaned([5, 6, 1, 1], shape) == [5, 6]
    assert gate.cleaned([1, 5, 1, 6], shape) == [3, 5, 3, 6]
    assert gate.cleaned([-1, 50, 49, 2**62, -(2**63)], shape) == [3, 3, 49, 3, 3]
    assert gate.cleaned([5] * 9, shape) == [5] * 6
    assert gate.cleaned([5] * 6 + [1] * 9 + [7], shape) == [5] * 6


class TestGateRefuses:
    """Damage, and the check that must see it."""

    encoder = classifier("bert")

    def fused(self) -> dict[str, int]:
        return fused_operators(self.encoder.shape)

    def test_a_missing_fused_operator(self) -> None:
        graph = build_cpu_graph(self.encoder.weights, "int8")
        assert gate.check_format(graph, self.fused()) == self.fused()
        choice = next(node for node in graph.graph.node if node.op_type == "If")
        one_row = next(attribute.g for attribute in choice.attribute if attribute.name == "then_branch")
        nodes = [node for node in one_row.node if node.op_type != "QuantizeLinear"]
        del one_row.node[:]
        one_row.node.extend(nodes)
        with pytest.raises(TrainingError, match="expected 36 fused QuantizeLinear, found 24"):
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
            gate.check_malformed_rows("CPU graph", session(graph), self.encoder.rows, self.encoder.shape, 1e-5)

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
        gate.check_malformed_rows("CPU graph", session(good), self.encoder.rows, shape, 1e-5)
        arrays = dict(self.encoder.weights.arrays)
        arrays["embeddings.position"] = np.pad(arrays["embeddings.position"], ((0, 1), (0, 0)))
        wrong = EncoderWeights(dataclasses.replace(shape, **damage), arrays)
        with pytest.raises(TrainingError, match="CPU graph: bad rows move an answer by"):
            gate.check_malformed_rows(
                "CPU graph", session(build_cpu_graph(wrong, "fp32")), self.encoder.rows, shape, 1e-5
            )

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

    def test_a_text_of_which_nothing_is_known_and_that_is_called_an_emotion(self) -> None:
        rows: list[Ids] = [[2, *[self.encoder.shape.unk_id] * count, 3] for count in range(1, 9)]
        graph = build_cpu_graph(self.encoder.weights, "fp32")
        answers = run(session(graph), rows)
        assert (answers.argmax(axis=1) == 0).all(), "the random encoder's answer to an unknown token has changed"
        figures = check_unknown_texts("CPU graph", session(graph), rows)
        assert figures["no_emotion_at_least"] == pytest.approx(answers[:, 0].min(), rel=1e-2)
        assert figures["others_at_most"] == pytest.approx(answers[:, 1:].max(), rel=1e-2)
        assert check_unknown_texts("CPU graph", session(graph), []) == {}
        last = next(node for node in graph.graph.node if node.op_type == "Sigmoid")
        name = last.output[0]
        last.output[0] = "own"
        graph.graph.initializer.append(helper.make_tensor("one", onnx.TensorProto.FLOAT, [], [1.0]))
        graph.graph.node.insert(list(graph.graph.node).index(last) + 1, helper.make_node("Sub", ["one", "own"], [name]))
        with pytest.raises(
            TrainingError, match=r"of 1 unknown sign and nothing else is \w+ \(0\.\d\d\), not no_emotion: "
        ):
            check_unknown_texts("CPU graph", session(graph), rows)

    @pytest.mark.parametrize(("train", "unknown"), [(train_wordpiece, "[UNK]"), (train_unigram, " <unk>")])
    def test_rows_of_unknown_signs(self, train: Callable[[list[str], int], Tokenizer], unknown: str) -> None:
        tokenizer = train(["мне страшно", "как же я рад"] * 20, 300)
        unk_id = tokenizer.token_to_id(unknown)
        rows = unknown_rows(tokenizer, unk_id)
        assert [list(row).count(unk_id) for row in rows] == list(range(1, 9))
        nothing = {unk_id, tokenizer.token_to_id("▁"), *tokenizer.encode("").ids}
        assert all(set(row) <= nothing for row in rows)
