"""A checkpoint's two graphs and its tokenizer, written through the gate."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime import InferenceSession
from safetensors import safe_open
from tokenizers import Tokenizer

from contract.version_directory import CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER, Sample
from training.common.command import TrainingError
from training.common.staging import move, staged, write_file
from training.data.rows.examples import targets
from training.data.rows.loading import load_source
from training.data.splits.folds import held_out_fold
from training.encoder.classifier import MAX_LENGTH, encode, load_classifier, predict
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.export.gate import checks as gate
from training.export.gate.runtimes import OLDEST, check_on
from training.export.gpu_graph_files import graph_from_cpu_graph, sample, write_record
from training.export.graphs import cpu as cpu_graph
from training.export.graphs import gpu as gpu_graph
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.gpu import build_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import Probabilities, session
from training.export.graphs.weights import EncoderWeights, Shape, from_checkpoint
from training.export.sample import record_sample
from training.export.triton_config import MAX_BATCH_SIZE

EXPORTED: Final = (CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER)


@dataclass(frozen=True)
class Exported:
    """What is known of graphs that passed the gate.

    `truth` and `probabilities` `[rows, 6]` are the dev split's (fold 0 of CEDR train) and the int8 CPU
    graph's answers to it, `dev` the figures of these, `gate` what the gate measured, `sample` what the
    CPU graph must answer wherever it is served.
    """

    shape: Shape
    truth: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    dev: dict[str, Any]
    gate: dict[str, Any]
    sample: Sample


@dataclass(frozen=True)
class _Dev:
    """The dev split's rows of token ids, their 0/1 truth and PyTorch's probabilities, `[rows, 6]`."""

    rows: list[list[int]]
    truth: npt.NDArray[np.float32]
    reference: npt.NDArray[np.float32]


def export_checkpoint(
    checkpoint: Path, output: Path, data_dir: Path | None, *, on_oldest_runtime: bool = True
) -> Exported:
    """Export a checkpoint into the directory `output`, all of it or nothing.

    Writes both graphs, the GPU one's record and the tokenizer. An earlier export at `output` is replaced.

    Args:
        checkpoint: a directory with `config.json`, `model.safetensors` and `tokenizer.json`.
        output: the directory to make.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
        on_oldest_runtime: whether the gate runs the CPU graph on the oldest ONNX Runtime too.

    Raises:
        TrainingError: the gate refuses, saying by how much; the checkpoint cannot be exported;
            `output` holds something that is no export, or cannot be written.
    """
    if output.exists() and (not output.is_dir() or {path.name for path in output.iterdir()} - set(EXPORTED)):
        raise TrainingError(f"{output} holds something that is no export: name another directory")
    with staged(output.resolve().parent) as directory:
        exported = write_graphs(checkpoint, directory, data_dir, on_oldest_runtime=on_oldest_runtime)
        if output.exists():
            move(output, directory.parent / "old")
        move(directory, output)
    return exported


def write_graphs(
    checkpoint: Path, directory: Path, data_dir: Path | None, *, on_oldest_runtime: bool = True
) -> Exported:
    """Write the graphs and the tokenizer of a checkpoint into an empty directory, through the gate.

    Raises:
        TrainingError: as `export_checkpoint`.
    """
    held_out = held_out_fold(0, data_dir)
    model, tokenizer = _load(checkpoint)
    pad_id, unk_id = special_ids(tokenizer, model.config)
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise TrainingError(
            f"{checkpoint}: the tokenizer has {tokenizer.get_vocab_size():,} entries and the encoder only"
            f" {model.config.vocab_size:,}: they don't belong together"
        )
    weights = from_checkpoint(model, MAX_LENGTH, pad_id, unk_id)
    rows = encode([example.text for example in held_out], tokenizer)
    dev = _Dev(rows, targets(held_out), predict(model, rows, pad_id))
    write_file(directory / TOKENIZER, tokenizer.to_str(pretty=True).encode())
    _check_tokenizer(directory, tokenizer, data_dir)
    full, served, measured = _cpu_graph_through_the_gate(directory, weights, dev)
    figures = gate.check_quantisation("int8", dev.truth, full, served)
    measured |= _gpu_graph_through_the_gate(directory, weights, dev, full, served)
    asked = record_sample(session(directory / CPU_GRAPH), dev.rows, weights.shape)
    measured[f"onnxruntime_{OLDEST}"] = (
        _on_oldest_runtime(directory / CPU_GRAPH, asked) if on_oldest_runtime else "not checked, as was asked for"
    )
    return Exported(weights.shape, dev.truth, served, figures, measured, asked)


def _on_oldest_runtime(graph: Path, asked: Sample) -> dict[str, float]:
    """Check a graph on the oldest ONNX Runtime that must serve it; returns what was measured."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(asked.model_dump_json())
        file.flush()
        found = check_on(OLDEST, graph, Path(file.name))
    return {"largest_difference": found["largest_difference"]}


def _load(checkpoint: Path) -> tuple[Any, Tokenizer]:
    try:
        model = load_classifier(str(checkpoint))
        _check_loaded_whole(checkpoint, model)
        return model, load_tokenizer(str(checkpoint))
    except TrainingError:
        raise
    except Exception as error:
        # The libraries' own classes for a file cut short, tokenizers' even a bare Exception.
        raise TrainingError(f"{checkpoint} is damaged ({error}): copy it again, or train it again") from error


def _check_loaded_whole(checkpoint: Path, model: Any) -> None:
    """That every weight came from the file and none in it was left: transformers only warns of either."""
    path = checkpoint / "model.safetensors"
    if not path.is_file():
        raise TrainingError(f"{checkpoint} has no {path.name}: save the classifier there with save_pretrained")
    with safe_open(path, framework="np") as file:
        # A buffer that older versions of transformers saved.
        kept = {name for name in file.keys() if not name.endswith("embeddings.position_ids")}  # noqa: SIM118
    for names, wrong in (
        (model.state_dict().keys() - kept, "lacks"),
        (kept - model.state_dict().keys(), "holds, and a classifier of its type has no place for,"),
    ):
        if names:
            first = ", ".join(sorted(names)[:3])
            raise TrainingError(f"{path} {wrong} {first} ({len(names)} in all): fine-tune it first")


def _cpu_graph_through_the_gate(
    directory: Path, weights: EncoderWeights, dev: _Dev
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


def _gpu_graph_through_the_gate(
    directory: Path, weights: EncoderWeights, dev: _Dev, full: Probabilities, served: Probabilities
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
    difference, asked = np.abs(answers["fp16"] - served), sample(sessions["fp16"], shape)
    write_record(directory, directory / GPU_GRAPH, "the checkpoint", difference, "the dev split", asked)
    # In git, and so for whoever clones, there is the CPU graph alone.
    remade = session(portable(graph_from_cpu_graph(directory / CPU_GRAPH, shape)), threads=2)
    figures = gate.check_quantisation("a GPU graph made of the int8 weights", dev.truth, full, _in_batches(remade, dev))
    measured["gpu_graph_from_cpu_graph"] = {name: figures["mean"][name] for name in ("roc_auc", "f1_macro")}
    return measured


def _in_batches(graph: InferenceSession, dev: _Dev) -> Probabilities:
    return gate.run_in_batches(graph, dev.rows, 32, np.arange(len(dev.rows)))


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
