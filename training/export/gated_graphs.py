"""Both graphs of a checkpoint, each written and then put through every check of the gate."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime import InferenceSession

from contract.version_directory import CPU_GRAPH, GPU_GRAPH, Sample
from training.common.staging import write_file
from training.export.gate import checks as gate
from training.export.gate.runtimes import OLDEST, check_on
from training.export.gpu_graph_files import graph_from_cpu_graph, record_gpu_sample, write_record
from training.export.graphs import cpu as cpu_graph
from training.export.graphs import gpu as gpu_graph
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.gpu import build_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import Probabilities, session
from training.export.graphs.weights import EncoderWeights
from training.export.triton_config import MAX_BATCH_SIZE


@dataclass(frozen=True)
class DevSplit:
    """The dev split's rows of token ids, their 0/1 truth and PyTorch's probabilities, `[rows, 6]`."""

    rows: list[list[int]]
    truth: npt.NDArray[np.float32]
    reference: npt.NDArray[np.float32]


def write_cpu_graph(
    directory: Path, weights: EncoderWeights, dev: DevSplit
) -> tuple[Probabilities, Probabilities, dict[str, Any]]:
    """Write and check the CPU graph; returns the fp32 graph's answers, the int8 one's, and what was measured."""
    shape = weights.shape
    measured: dict[str, Any] = {}
    int8 = build_cpu_graph(weights, "int8")
    gate.check_format(int8, cpu_graph.fused_operators(shape))
    _save(int8, directory / CPU_GRAPH)
    graphs = {"fp32": session(build_cpu_graph(weights, "fp32")), "int8": session(directory / CPU_GRAPH)}
    answers = {}
    for precision, graph in graphs.items():
        name, bound = f"CPU graph in {precision}", gate.COMPOSITION[precision]
        answers[precision], measured[f"composition_{precision}"] = gate.check_composition(name, graph, dev.rows, bound)
        gate.check_malformed_rows(name, graph, dev.rows, shape, bound)
    measured["parity_cpu_fp32"] = gate.check_parity(
        "CPU graph in fp32", answers["fp32"], dev.reference, gate.PARITY["fp32"]
    )
    measured["worst_batch"] = gate.check_worst_batch(directory / CPU_GRAPH, shape, MAX_BATCH_SIZE)
    return answers["fp32"], answers["int8"], measured


def write_gpu_graph(
    directory: Path, weights: EncoderWeights, dev: DevSplit, full: Probabilities, served: Probabilities
) -> dict[str, Any]:
    """Write and check the GPU graph, and the one that `make gpu-weights` would make; returns what was measured.

    Run here is its portable form; what a GPU makes of the rest is for `make gpu-check` to say.
    """
    shape = weights.shape
    measured: dict[str, Any] = {}
    fp16 = build_gpu_graph(weights, "fp16")
    gate.check_format(fp16, gpu_graph.fused_operators(shape))
    _save(fp16, directory / GPU_GRAPH)
    graphs = {"fp32": build_gpu_graph(weights, "fp32"), "fp16": onnx.load(directory / GPU_GRAPH)}
    sessions = {precision: session(portable(model), threads=2) for precision, model in graphs.items()}
    alone, measured["composition_gpu_fp32"] = gate.check_composition(
        "GPU graph in fp32", sessions["fp32"], dev.rows, gate.COMPOSITION["fp32"]
    )
    answers = {"fp32": alone, "fp16": _in_batches(sessions["fp16"], dev)}
    for precision, graph in sessions.items():
        name, bound = f"GPU graph in {precision}", gate.PARITY[precision]
        measured[f"parity_gpu_{precision}"] = gate.check_parity(name, answers[precision], dev.reference, bound)
        gate.check_malformed_rows(name, graph, dev.rows, shape, 10 * bound)
    difference, gpu_sample = np.abs(answers["fp16"] - served), record_gpu_sample(sessions["fp16"], shape)
    write_record(directory, directory / GPU_GRAPH, "the checkpoint", difference, "the dev split", gpu_sample)
    # In git, and so for whoever clones, there is the CPU graph alone.
    remade = session(portable(graph_from_cpu_graph(directory / CPU_GRAPH, shape)), threads=2)
    figures = gate.check_quantisation("a GPU graph made of the int8 weights", dev.truth, full, _in_batches(remade, dev))
    measured["gpu_graph_from_cpu_graph"] = {name: figures["mean"][name] for name in ("roc_auc", "f1_macro")}
    return measured


def _in_batches(graph: InferenceSession, dev: DevSplit) -> Probabilities:
    return gate.run_in_batches(graph, dev.rows, 32, np.arange(len(dev.rows)))


def _save(graph: onnx.ModelProto, path: Path) -> None:
    write_file(path, graph.SerializeToString())


def check_on_oldest_runtime(graph: Path, sample: Sample) -> dict[str, float]:
    """Check a graph on the oldest ONNX Runtime that must serve it; returns what was measured."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(sample.model_dump_json())
        file.flush()
        found = check_on(OLDEST, graph, Path(file.name))
    return {"largest_difference": found["largest_difference"]}
