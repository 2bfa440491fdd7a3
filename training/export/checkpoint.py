"""A checkpoint's two graphs and its tokenizer, written through the gate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from contract.version_directory import CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER, Sample
from training.common.command import TrainingError
from training.common.staging import move, staged, write_file
from training.data.rows.combinations import CEDR
from training.data.rows.examples import Example, targets
from training.data.splits.folds import held_out_fold, with_folds
from training.encoder.classifier import MAX_LENGTH, encode, load_classifier, predict
from training.encoder.label_columns import Reading
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.export.gate import checks as gate
from training.export.gate.runtimes import OLDEST
from training.export.gate.unknown_texts import UnknownTextError, check_unknown_texts, unknown_rows
from training.export.gated_graphs import DevSplit, check_on_oldest_runtime, write_cpu_graph, write_gpu_graph
from training.export.graphs.runtime import session
from training.export.graphs.weights import Shape, from_checkpoint
from training.export.sample import record_sample

EXPORTED: Final = (CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER)


@dataclass(frozen=True)
class Exported:
    """What is known of graphs that passed the gate.

    `held_out` are the rows of the dev split (fold 0 of the data set), `truth` and `probabilities` `[rows, 6]` their
    labels and the int8 CPU graph's answers to them, `dev` the figures of these, `gate` what the gate measured,
    `sample` what the CPU graph must answer wherever it is served, `limits` sentences for the card.
    """

    shape: Shape
    held_out: list[Example]
    truth: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    dev: dict[str, Any]
    gate: dict[str, Any]
    sample: Sample
    limits: list[str]


def export_checkpoint(
    checkpoint: Path, output: Path, data_dir: Path | None, *, on_oldest_runtime: bool = True, dataset: str = CEDR
) -> Exported:
    """Export a checkpoint into the directory `output`, all of it or nothing.

    Writes both graphs, the GPU one's record and the tokenizer. An earlier export at `output` is replaced.

    Args:
        checkpoint: a directory with `config.json`, `model.safetensors` and `tokenizer.json`.
        output: the directory to make.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
        on_oldest_runtime: whether the gate runs the CPU graph on the oldest ONNX Runtime too.
        dataset: whose dev split the gate measures on, CEDR's or that of own rows.

    Raises:
        TrainingError: the gate refuses, saying by how much; the checkpoint cannot be exported;
            `output` holds something that is no export, or cannot be written.
    """
    if output.exists() and (not output.is_dir() or {path.name for path in output.iterdir()} - set(EXPORTED)):
        raise TrainingError(f"{output} holds something that is no export: name another directory")
    with staged(output.resolve().parent) as directory:
        exported = write_graphs(checkpoint, directory, data_dir, on_oldest_runtime=on_oldest_runtime, dataset=dataset)
        if output.exists():
            move(output, directory.parent / "old")
        move(directory, output)
    return exported


def write_graphs(
    checkpoint: Path,
    directory: Path,
    data_dir: Path | None,
    *,
    on_oldest_runtime: bool = True,
    dataset: str = CEDR,
    reading: Reading | None = None,
    trained_here: bool = True,
) -> Exported:
    """Write the graphs and the tokenizer of a checkpoint into an empty directory, through the gate.

    Args:
        checkpoint: as `export_checkpoint` has it.
        directory: where they go.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
        on_oldest_runtime: whether the gate runs the CPU graph on the oldest ONNX Runtime too.
        reading: what a person says of the checkpoint's columns.
        trained_here: whether it was shown texts of which nothing is known, as training here does. Of another, what it
            makes of them is a limit, not a fault.

    Raises:
        TrainingError: as `export_checkpoint`.
    """
    held_out = held_out_fold(0, data_dir, dataset)
    model, tokenizer = _load(checkpoint, reading)
    pad_id, unk_id = special_ids(tokenizer, model.config)
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise TrainingError(
            f"{checkpoint}: the tokenizer has {tokenizer.get_vocab_size():,} entries and the encoder only"
            f" {model.config.vocab_size:,}: they don't belong together"
        )
    weights = from_checkpoint(model, MAX_LENGTH, pad_id, unk_id)
    rows = encode([example.text for example in held_out], tokenizer)
    dev = DevSplit(rows, targets(held_out), predict(model, rows, pad_id))
    write_file(directory / TOKENIZER, tokenizer.to_str(pretty=True).encode())
    _check_tokenizer(directory, tokenizer, [example.text for example in with_folds(dataset, data_dir)[0]])
    full, served, measured = write_cpu_graph(directory, weights, dev)
    limits = []
    try:
        measured["unknown_texts"] = check_unknown_texts(
            "CPU graph in int8", session(directory / CPU_GRAPH), unknown_rows(tokenizer, unk_id)
        )
    except UnknownTextError as error:
        if trained_here:
            raise
        measured["unknown_texts"] = "failed, see the limits"
        limits.append(f"Texts of which nothing is known are given an emotion: {error}.")
    figures = gate.check_quantisation("int8", dev.truth, full, served)
    measured |= write_gpu_graph(directory, weights, dev, full, served)
    sample = record_sample(session(directory / CPU_GRAPH), dev.rows, weights.shape)
    measured[f"onnxruntime_{OLDEST}"] = (
        check_on_oldest_runtime(directory / CPU_GRAPH, sample) if on_oldest_runtime else "not checked, as was asked for"
    )
    return Exported(weights.shape, held_out, dev.truth, served, figures, measured, sample, limits)


def _load(checkpoint: Path, reading: Reading | None) -> tuple[Any, Tokenizer]:
    try:
        return load_classifier(str(checkpoint), reading), load_tokenizer(str(checkpoint))
    except TrainingError:
        raise
    except Exception as error:
        # The libraries' own classes for a file cut short, tokenizers' even a bare Exception.
        raise TrainingError(f"{checkpoint} is damaged ({error}): copy it again, or train it again") from error


def _check_tokenizer(directory: Path, tokenizer: Tokenizer, texts: list[str]) -> None:
    texts.append("[PAD] [UNK] [CLS] [SEP] [MASK] <s> </s> <pad> <unk> <mask>")
    reloaded = load_tokenizer(str(directory))
    ours, theirs = tokenizer.encode_batch(texts), reloaded.encode_batch(texts)
    different = sum(a.ids != b.ids for a, b in zip(ours, theirs, strict=True))
    if different:
        raise TrainingError(f"the saved tokenizer gives other ids for {different} of {len(texts)} texts")
