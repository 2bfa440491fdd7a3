"""What a version must pass before it is published.

Every check takes what it judges as arguments and either returns its figures or raises
`TrainingError`, saying by how much the version failed.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from training.common.command import TrainingError
from training.export.graphs.cpu_products import WIDTH_MULTIPLE
from training.export.graphs.runtime import Ids, Probabilities, run
from training.export.graphs.weights import Shape
from training.export.graphs.writer import CONTRIB, IR_VERSION, OPSET
from training.measuring.metrics import evaluate

PARITY: Final = {"fp32": 1e-4, "fp16": 1e-2}
COMPOSITION: Final = {"fp32": 1e-5, "int8": 5e-3}
LABELS_CHANGED: Final = 0.001
AUC_LOSS: Final = 0.005
F1_LOSS: Final = 0.01
WORST_BATCH_MEGABYTES: Final = 1000
WORST_BATCH_MILLISECONDS: Final = 150
WORST_BATCH_SHARE: Final = 1 / 8
FULL_BATCH_LOSS: Final = 2
TOO_LONG: Final = 100_000


def rounded(figure: float) -> float:
    """A figure for the card: three significant digits."""
    return float(f"{figure:.3g}")


def run_in_batches(
    graph: onnxruntime.InferenceSession, rows: Sequence[Ids], size: int, order: npt.NDArray[np.int64]
) -> Probabilities:
    """Answers in the order of `rows`, run in batches of `size` in the given order."""
    answers = np.empty((len(rows), 6), dtype=np.float32)
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        answers[batch] = run(graph, [rows[index] for index in batch])
    return answers


def check_format(model: onnx.ModelProto, expected: dict[str, int]) -> dict[str, int]:
    """Opset, IR version, operator sets, and that the fused operators are there, so many of each."""
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("") != OPSET or model.ir_version > IR_VERSION:
        raise TrainingError(f"opset {opsets.get('')}, IR {model.ir_version}: must be {OPSET} and at most {IR_VERSION}")
    nodes = list(_nodes(model.graph))
    strange = {node.domain for node in nodes} - {"", CONTRIB}
    if strange:
        raise TrainingError(f"operators of unknown sets: {', '.join(sorted(strange))}")
    found = Counter(node.op_type for node in nodes)
    for operator, count in expected.items():
        if found[operator] != count:
            raise TrainingError(f"expected {count} fused {operator}, found {found[operator]}")
    _check_widths(model, nodes)
    return expected


def _check_widths(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """That every integer product has as many columns as all ONNX Runtimes get right."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for node in nodes:
        if node.op_type == "MatMulIntegerToFloat" and shapes[node.input[1]][1] % WIDTH_MULTIPLE:
            raise TrainingError(
                f"{node.input[1]} has {shapes[node.input[1]][1]} columns, no multiple of {WIDTH_MULTIPLE}:"
                " ONNX Runtime 1.24 gets such products wrong on processors with AMX"
            )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """A graph's nodes, those of its branches included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def check_parity(name: str, answers: Probabilities, reference: Probabilities, bound: float) -> float:
    """The largest difference from PyTorch's probabilities."""
    difference = float(np.abs(answers - reference).max())
    if not difference <= bound:  # Written so that NaN fails too.
        raise TrainingError(f"{name} differs from PyTorch by {difference:.2g}; at most {bound:.0e} is allowed")
    return rounded(difference)


def check_composition(
    name: str, graph: onnxruntime.InferenceSession, rows: Sequence[Ids], bound: float
) -> tuple[Probabilities, dict[str, float]]:
    """That a row's answer doesn't depend on its neighbours; returns the answers alone, too."""
    alone = run_in_batches(graph, rows, 1, np.arange(len(rows)))
    order = np.random.default_rng(0).permutation(len(rows))
    together = run_in_batches(graph, rows, 64, order)
    difference = float(np.abs(alone - together).max())
    changed = float(((alone >= 0.5) != (together >= 0.5)).mean())
    if not difference <= bound or changed > LABELS_CHANGED:
        raise TrainingError(
            f"{name}: neighbours move a probability by {difference:.2g} (at most {bound:.0e}) and"
            f" change {changed:.2%} of labels (at most {LABELS_CHANGED:.1%})"
        )
    return alone, {"largest_difference": rounded(difference), "labels_changed": rounded(changed)}


def cleaned(row: Ids, shape: Shape) -> list[int]:
    """What the graph must compute for a row, said in Python; for one of length zero too, which gets no answer."""
    kept = list(row)
    while kept and kept[-1] == shape.pad_id:
        kept.pop()
    known = range(shape.vocabulary)
    kept = [token if token in known and token != shape.pad_id else shape.unk_id for token in kept]
    return kept[: shape.max_length] or [shape.unk_id]


def malformed_rows(shape: Shape) -> dict[str, list[int]]:
    """Rows that a careless or malicious client may send."""
    pad, word = shape.pad_id, shape.vocabulary - 1
    return {
        "only pads": [pad] * 7,
        "trailing pads": [2, word, 3, pad, pad],
        "pads inside": [2, pad, word, pad, pad, 3],
        "leading pads": [pad, pad, word],
        "negative": [2, -1, -(2**62), 3],
        "outside the vocabulary": [2, shape.vocabulary, 2**62, 3],
        "too long": [2] + [word] * (shape.max_length * 5),
        "long pads, then a token": [2, word] + [pad] * (shape.max_length * 2) + [word],
    }


def unfilled_batches(rows: Sequence[Ids]) -> dict[str, tuple[list[Ids], int]]:
    """Batches as NVIDIA's backend leaves them at a row of length zero, and how many rows in front of it are right.

    Behind that row the lengths are right and the ids whatever the buffer held: here anything an int64 can be.
    """
    random = np.random.default_rng(0)
    bounds = np.iinfo(np.int64)
    rubbish: list[Ids] = [
        [int(token) for token in random.integers(bounds.min, bounds.max, length, endpoint=True)]
        for length in (3, 200, 1, 17)
    ]
    good = list(rows[:5])
    return {
        "the first row": ([[], *rubbish], 0),
        "a row in the middle": ([*good, [], *rubbish], len(good)),
        "several rows": ([*good, [], *rubbish[:2], [], [], *rubbish[2:]], len(good)),
        "the last row": ([*good, []], len(good)),
        "one row of two": ([good[0], []], 1),
        "the only row": ([[]], 0),
        "all rows": ([[]] * 9, 0),
        "a row of 64": ([*(good * 8)[:40], [], *(rubbish * 6)[:23]], 40),
    }


def check_malformed_rows(
    name: str, graph: onnxruntime.InferenceSession, rows: Sequence[Ids], shape: Shape, bound: float
) -> None:
    """That bad rows get the answer of their cleaned form, or none, and leave their neighbours alone."""
    mixed: list[Ids] = []
    for bad, good in zip(malformed_rows(shape).values(), rows, strict=False):
        mixed += [bad, good]
    answers = run(graph, mixed)
    expected = np.concatenate([run(graph, [cleaned(row, shape)]) for row in mixed])
    difference = float(np.abs(answers - expected).max())
    if not np.isfinite(answers).all() or not difference <= bound:
        raise TrainingError(f"{name}: bad rows move an answer by {difference:.2g}; at most {bound:.0e} is allowed")
    for which, (batch, filled) in unfilled_batches(rows).items():
        answers = run(graph, batch)
        if answers.shape != (len(batch), 6) or not np.isnan(answers[filled:]).all():
            raise TrainingError(f"{name}: where {which} has length zero, it or a row behind it gets an answer")
        expected = np.array([run(graph, [row])[0] for row in batch[:filled]]).reshape(filled, 6)
        difference = float(np.abs(answers[:filled] - expected).max(initial=0))
        if not difference <= bound:
            raise TrainingError(
                f"{name}: where {which} has length zero, a row in front of it moves by {difference:.2g};"
                f" at most {bound:.0e} is allowed"
            )


def check_worst_batch(graph: Path, shape: Shape, max_batch_size: int) -> dict[str, float]:
    """Time and memory of the worst batches, in a process of its own with one thread.

    One far too long row may not make its short neighbours wait: 150 ms, or for an encoder so large that
    this is little, an eighth of what it takes for a batch of full rows (which has 26 times the tokens).
    A batch of full rows is honest work, however long it takes, as long as it takes no longer than
    twice its rows one after another. No batch may take more than 1 GB.
    """
    word = next(token for token in range(shape.vocabulary) if token not in (shape.pad_id, shape.unk_id))
    numbers = [str(number) for number in (shape.max_length, max_batch_size, TOO_LONG, word)]
    command = [sys.executable, "-m", "training.export.gate.worst_batch", str(graph), *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise TrainingError(f"the worst batch could not be run: {done.stderr.strip()[-500:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    full, alone = figures["milliseconds_all_full"], figures["milliseconds_full_one_by_one"]
    for name, value, bound, unit in (
        ("the worst batch took", figures["megabytes"], WORST_BATCH_MEGABYTES, "MB"),
        (
            f"one row of {TOO_LONG:,} tokens among {max_batch_size - 1} short ones took",
            figures["milliseconds_one_too_long"],
            max(WORST_BATCH_MILLISECONDS, full * WORST_BATCH_SHARE),
            "ms",
        ),
        (f"a batch of {max_batch_size} full rows took", full, alone * FULL_BATCH_LOSS, "ms"),
    ):
        if not value <= bound:
            raise TrainingError(f"{name} {value:.0f} {unit}; at most {bound:.0f} {unit} is allowed")
    return figures


def check_quantisation(name: str, truth: Any, full: Probabilities, quantised: Probabilities) -> dict[str, Any]:
    """That int8 weights cost little; returns the figures on the rows with them.

    Args:
        name: what answered `quantised`, for the error.
        truth: 0/1, `[rows, 6]`.
        full: probabilities of the fp32 graph, `[rows, 6]`.
        quantised: probabilities of the graph with int8 weights, `[rows, 6]`.
    """
    before, after = evaluate(truth, full), evaluate(truth, quantised)
    auc = before["mean"]["roc_auc"] - after["mean"]["roc_auc"]
    f1 = before["mean"]["f1_macro"] - after["mean"]["f1_macro"]
    if auc > AUC_LOSS or f1 > F1_LOSS:
        raise TrainingError(
            f"{name} costs {auc:.4f} of mean ROC AUC (at most {AUC_LOSS}) and {f1:.4f} of mean F1 (at most {F1_LOSS})"
        )
    return after
