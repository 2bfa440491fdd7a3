"""Publish a fine-tuned checkpoint as the next version of a model, if it passes the gate.

    python -m training.publish runs/rubert --model emotion_rubert

The checkpoint must come from `python -m training.train … --cross-validate`, whose out-of-fold
predictions give the thresholds. The version directory is made elsewhere and moved in with one
rename: no reader ever sees half a version.
"""

import argparse
import errno
import importlib.metadata
import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from contract.labels import LABELS
from contract.version_directory import (
    CARD,
    CPU_GRAPH,
    GPU_GRAPH,
    TOKENIZER,
    Card,
    Label,
    sha256,
)
from training.classifier import MAX_LENGTH, TokenRows, load_classifier, predict
from training.command import TrainingError, command_parser, run_command
from training.data import load_source, targets
from training.export import gate
from training.export.cpu_graph import build_cpu_graph
from training.export.gpu_graph import build_gpu_graph
from training.export.runtime import session
from training.export.weights import EncoderWeights, from_checkpoint
from training.folds import train_and_held_out
from training.metrics import table
from training.run_directory import read_cross_validated
from training.thresholds import tune_profiles
from training.tokenizer import load_tokenizer, special_ids
from training.triton_config import MAX_BATCH_SIZE, write_model_directory

TOOLS = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy")


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.publish", __doc__)
    parser.add_argument("checkpoint", type=Path, help="directory written by training.train --cross-validate")
    parser.add_argument("--model", required=True, help="model name in the repository, such as emotion_rubert")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--base-model", help="what to call the base model on the card (default: as trained)")
    parser.add_argument("--licence", default="Apache-2.0", help="licence of the weights (default: %(default)s)")
    parser.add_argument("--limit", action="append", default=[], help="a known weakness, for the card; may be repeated")
    return parser.parse_args()


def _graphs_through_the_gate(
    directory: Path, weights: EncoderWeights, rows: list[list[int]], truth: Any, reference: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write both graphs and check them; returns the int8 figures and what the gate measured."""
    shape = weights.shape
    fused = {"MultiHeadAttention": shape.layers, "SkipLayerNormalization": 2 * shape.layers}
    fused_gpu = {
        "Attention": shape.layers,
        "BiasGelu": shape.layers,
        "SkipLayerNormalization": 2 * shape.layers + 1,
    }
    int8, fp16 = build_cpu_graph(weights, "int8"), build_gpu_graph(weights, "fp16")
    onnx.save(int8, directory / CPU_GRAPH)
    onnx.save(fp16, directory / GPU_GRAPH)
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


def next_version(model_directory: Path) -> int:
    """One more than the newest version there."""
    return max((int(path.name) for path in model_directory.iterdir() if path.name.isdecimal()), default=0) + 1


def move_in(staged: Path, model_directory: Path) -> Path:
    """Move a finished directory in as the next version, with one rename.

    Raises:
        TrainingError: the two are on different file systems.
    """
    while True:
        target = model_directory / str(next_version(model_directory))
        try:
            os.rename(staged, target)
            return target
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise TrainingError(f"{staged.parent} and {model_directory} must be on one file system") from error
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Another publish took the number first; take the next.


def publish(arguments: argparse.Namespace) -> Path:
    """Check a checkpoint and publish it; returns the version directory."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", arguments.model):
        raise TrainingError(f"{arguments.model!r} is no model name: use letters, digits and _")
    figures, kept = read_cross_validated(arguments.checkpoint)
    profiles = tune_profiles(kept.truth, kept.probabilities, kept.fold)
    _, held_out = train_and_held_out("cedr", 0, arguments.data_dir)
    model = load_classifier(str(arguments.checkpoint))
    tokenizer = load_tokenizer(str(arguments.checkpoint))
    pad_id, unk_id = special_ids(tokenizer, model.config)
    weights = from_checkpoint(model, MAX_LENGTH, pad_id, unk_id)
    encoded = TokenRows(held_out, tokenizer)
    reference = predict(model, encoded, pad_id)
    rows = [[int(token) for token in encoded[index]["input_ids"]] for index in range(len(encoded))]

    arguments.repository.mkdir(parents=True, exist_ok=True)
    # Beside the repository, not in it: Triton watches the repository itself.
    staged = Path(tempfile.mkdtemp(prefix=".publish-", dir=arguments.repository.resolve().parent))
    try:
        staged.chmod(0o755)
        tokenizer.save(str(staged / TOKENIZER))
        _check_tokenizer(staged, tokenizer, arguments.data_dir)
        dev, measured = _graphs_through_the_gate(staged, weights, rows, targets(held_out), reference)
        print("int8 on the dev split (fold 0 of CEDR):\n" + table(dev))
        print("gate: " + json.dumps(measured))
        card = Card(
            model=arguments.model,
            base_model=arguments.base_model or figures["recipe"]["base_model"],
            architecture=asdict(weights.shape),
            labels=[Label(en=en, ru=ru) for en, ru in LABELS.items()],
            max_length=MAX_LENGTH,
            pad_id=pad_id,
            unk_id=unk_id,
            profiles=profiles,
            metrics={
                "dev (fold 0 of CEDR train), model.cpu.onnx": dev,
                "five folds of CEDR train, mean, PyTorch": figures["five_folds"],
                "gate": measured,
            },
            training=figures["recipe"],
            tools={name: importlib.metadata.version(name) for name in TOOLS},
            files={name: sha256(staged / name) for name in (CPU_GRAPH, GPU_GRAPH, TOKENIZER)},
            licence=arguments.licence,
            limits=arguments.limit,
        )
        (staged / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
        model_directory = arguments.repository / arguments.model
        if not (model_directory / "config.pbtxt").exists():
            write_model_directory(model_directory, arguments.model)
        return move_in(staged, model_directory)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _check_tokenizer(staged: Path, tokenizer: Any, data_dir: Path | None) -> None:
    texts = [example.text for example in load_source("cedr", "train", data_dir)]
    texts.append("[PAD] [UNK] [CLS] [SEP] [MASK] <s> </s> <pad> <unk> <mask>")
    reloaded = load_tokenizer(str(staged))
    ours, theirs = tokenizer.encode_batch(texts), reloaded.encode_batch(texts)
    different = sum(a.ids != b.ids for a, b in zip(ours, theirs, strict=True))
    if different:
        raise TrainingError(f"the saved tokenizer gives other ids for {different} of {len(texts)} texts")


def main() -> None:
    """Publish, and say where."""
    print(f"published {publish(_arguments())}")


if __name__ == "__main__":
    run_command(main)
