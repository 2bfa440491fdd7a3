"""The usual export of the published weights, for the peers: transformers' model, padded batches, fp32 and int8.

Made as its users make it: torch's exporter on transformers' own BERT, and ONNX Runtime's dynamic quantisation.
"""

import shutil
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from benchmarks.command import BenchmarkError
from contract.version_directory import CPU_GRAPH, TOKENIZER, read_card, sha256
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import EncoderWeights, Shape, from_cpu_graph
from training.export.graphs.writer import OPSET
from training.export.version_checkpoint import classifier_of

FP32: Final = "model.onnx"
INT8: Final = "model.int8.onnx"
_TOLERANCE: Final = 1e-4
_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")


def padded_export(version_directory: Path, directory: Path) -> Path:
    """Export into `directory/<sha-256 of the CPU graph>`, unless it is there, and check it against our fp32 graph.

    Returns:
        That directory: `model.onnx`, `model.int8.onnx`, `config.json`, `tokenizer.json`.

    Raises:
        BenchmarkError: the export computes something else.
    """
    output = directory / sha256(version_directory / CPU_GRAPH)[:16]
    if output.exists():
        return output
    unfinished = output.with_name(f"{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    shape = Shape(**_architecture(version_directory))
    weights = from_cpu_graph(version_directory / CPU_GRAPH, shape)
    model = classifier_of(weights)
    model.config.save_pretrained(unfinished)
    shutil.copy(version_directory / TOKENIZER, unfinished / TOKENIZER)
    _export(model, unfinished / FP32)
    _check(unfinished / FP32, weights)
    quantize_dynamic(unfinished / FP32, unfinished / INT8, weight_type=QuantType.QInt8)
    unfinished.rename(output)
    return output


def _architecture(version_directory: Path) -> dict[str, Any]:
    return dict(read_card(version_directory).architecture)


def _export(model: Any, path: Path) -> None:
    example = torch.ones(2, 8, dtype=torch.long)
    dynamic = {0: "rows", 1: "length"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every constant
        torch.onnx.export(
            model,
            (example, example, torch.zeros_like(example)),
            str(path),
            input_names=list(_INPUTS),
            output_names=["logits"],
            dynamic_axes={**dict.fromkeys(_INPUTS, dynamic), "logits": {0: "rows"}},
            opset_version=OPSET,
            dynamo=False,
        )


def _check(path: Path, weights: EncoderWeights) -> None:
    random = np.random.default_rng(0)
    shape = weights.shape
    rows = [[int(token) for token in random.integers(5, shape.vocabulary, length)] for length in range(3, 35)]
    longest = max(map(len, rows))
    ids = np.array([row + [shape.pad_id] * (longest - len(row)) for row in rows])
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    padded = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits = padded.run(None, dict(zip(_INPUTS, (ids, mask, np.zeros_like(ids)), strict=True)))[0]
    ours = run(session(build_cpu_graph(weights, "fp32")), rows)
    difference = float(np.abs(1 / (1 + np.exp(-logits)) - ours).max())
    if difference > _TOLERANCE:
        raise BenchmarkError(f"{path}: the padded export's answers differ from our graph's by {difference:.2g}")
