"""A checkpoint's two graphs and its tokenizer, written through the gate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tokenizers import Tokenizer

from contract.version_directory import CPU_GRAPH, GPU_GRAPH, TOKENIZER
from training.classifier import MAX_LENGTH, TokenRows, load_classifier, predict
from training.command import TrainingError
from training.data import load_source, targets
from training.export import gate
from training.export.cpu_graph import build_cpu_graph
from training.export.gpu_graph import build_gpu_graph
from training.export.runtime import session
from training.export.weights import EncoderWeights, Shape, from_checkpoint
from training.folds import held_out_fold
from training.staging import move, staged, write_file
from training.tokenizer import load_tokenizer, special_ids
from training.triton_config import MAX_BATCH_SIZE

EXPORTED = (CPU_GRAPH, GPU_GRAPH, TOKENIZER)


@dataclass(frozen=True)
class Exported:
    """What is known of graphs that passed the gate.

    `dev` are the figures of the int8 CPU graph on the dev split (fold 0 of CEDR train), `gate` is what the
    gate measured.
    """

    shape: Shape
    dev: dict[str, Any]
    gate: dict[str, Any]


def export_checkpoint(checkpoint: Path, output: Path, data_dir: Path | None) -> Exported:
    """Export a checkpoint into the directory `output`, all of it or nothing.

    Writes `model.cpu.onnx`, `model.gpu.onnx` and `tokenizer.json`. An earlier export at `output` is replaced.

    Args:
        checkpoint: a directory with `config.json`, `model.safetensors` and `tokenizer.json`.
        output: the directory to make.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.

    Raises:
        TrainingError: the gate refuses, saying by how much; the checkpoint cannot be exported;
            `output` holds something that is no export, or cannot be written.
    """
    if output.exists() and (not output.is_dir() or {path.name for path in output.iterdir()} - set(EXPORTED)):
        raise TrainingError(f"{output} holds something that is no export: name another directory")
    with staged(output.resolve().parent) as directory:
        exported = write_graphs(checkpoint, directory, data_dir)
        if output.exists():
            move(output, directory.parent / "old")
        move(directory, output)
    return exported


def write_graphs(checkpoint: Path, directory: Path, data_dir: Path | None) -> Exported:
    """Write the graphs and the tokenizer of a checkpoint into an empty directory, through the gate.

    Raises:
        TrainingError: as `export_checkpoint`.
    """
    held_out = held_out_fold(0, data_dir)
    model = load_classifier(str(checkpoint))
    tokenizer = load_tokenizer(str(checkpoint))
    pad_id, unk_id = special_ids(tokenizer, model.config)
    weights = from_checkpoint(model, MAX_LENGTH, pad_id, unk_id)
    encoded = TokenRows(held_out, tokenizer)
    reference = predict(model, encoded, pad_id)
    rows = [[int(token) for token in encoded[index]["input_ids"]] for index in range(len(encoded))]
    write_file(directory / TOKENIZER, tokenizer.to_str(pretty=True).encode())
    _check_tokenizer(directory, tokenizer, data_dir)
    dev, measured = _graphs_through_the_gate(directory, weights, rows, targets(held_out), reference)
    return Exported(weights.shape, dev, measured)


def _graphs_through_the_gate(
    directory: Path, weights: EncoderWeights, rows: list[list[int]], truth: Any, reference: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write both graphs and check them; returns the int8 figures and what the gate measured."""
    shape = weights.shape
    fused = {"MultiHeadAttention": 3 * shape.layers, "SkipLayerNormalization": 2 * shape.layers}
    fused_gpu = {
        "Attention": shape.layers,
        "BiasGelu": shape.layers,
        "SkipLayerNormalization": 2 * shape.layers + 1,
    }
    int8, fp16 = build_cpu_graph(weights, "int8"), build_gpu_graph(weights, "fp16")
    _save(int8, directory / CPU_GRAPH)
    _save(fp16, directory / GPU_GRAPH)
    measured: dict[str, Any] = {}
    for graph, expected in ((int8, fused), (fp16, fused_gpu)):
        gate.check_format(graph, expected)
    full = session(build_cpu_graph(weights, "fp32"))
    answers, measured["composition_fp32"] = gate.check_composition(
        "CPU graph in fp32", full, rows, gate.COMPOSITION["fp32"]
    )
    measured["parity_cpu_fp32"] = gate.check_parity("CPU graph in fp32", answers, reference, gate.PARITY["fp32"])
    order = np.arange(len(rows))
    for precision in ("fp32", "fp16"):
        graph = session(fp16 if precision == "fp16" else build_gpu_graph(weights, "fp32"), threads=2)
        name = f"GPU graph in {precision}"
        gpu_answers = gate.run_in_batches(graph, rows, 32, order)
        measured[f"parity_gpu_{precision}"] = gate.check_parity(name, gpu_answers, reference, gate.PARITY[precision])
        gate.check_hostile(name, graph, rows, shape, 10 * gate.PARITY[precision])
    served = session(directory / CPU_GRAPH)
    quantised, measured["composition_int8"] = gate.check_composition(
        "CPU graph in int8", served, rows, gate.COMPOSITION["int8"]
    )
    for name, graph, bound in (("fp32", full, 1e-5), ("int8", served, 5e-3)):
        gate.check_hostile(f"CPU graph in {name}", graph, rows, shape, bound)
    measured["worst_batch"] = gate.check_worst_batch(directory / CPU_GRAPH, shape, MAX_BATCH_SIZE)
    return gate.check_quantisation(truth, answers, quantised), measured


def _save(graph: onnx.ModelProto, path: Path) -> None:
    write_file(path, graph.SerializeToString())


def _check_tokenizer(directory: Path, tokenizer: Tokenizer, data_dir: Path | None) -> None:
    texts = [example.text for example in load_source("cedr", "train", data_dir)]
    texts.append("[PAD] [UNK] [CLS] [SEP] [MASK] <s> </s> <pad> <unk> <mask>")
    reloaded = load_tokenizer(str(directory))
    ours, theirs = tokenizer.encode_batch(texts), reloaded.encode_batch(texts)
    different = sum(a.ids != b.ids for a, b in zip(ours, theirs, strict=True))
    if different:
        raise TrainingError(f"the saved tokenizer gives other ids for {different} of {len(texts)} texts")
