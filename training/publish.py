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
import re
from dataclasses import asdict
from pathlib import Path

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
from training.command import TrainingError, command_parser, run_command
from training.export.checkpoint import write_graphs
from training.metrics import table
from training.run_directory import read_cross_validated
from training.staging import move, staged, write_file
from training.thresholds import tune_profiles
from training.triton_config import write_model_directory

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


def next_version(model_directory: Path) -> int:
    """One more than the newest version there."""
    return max((int(path.name) for path in model_directory.iterdir() if path.name.isdecimal()), default=0) + 1


def move_in(finished: Path, model_directory: Path) -> Path:
    """Move a finished directory in as the next version, with one rename."""
    while True:
        target = model_directory / str(next_version(model_directory))
        try:
            move(finished, target)
            return target
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Another publish took the number first; take the next.


def publish(arguments: argparse.Namespace) -> Path:
    """Check a checkpoint and publish it; returns the version directory."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", arguments.model):
        raise TrainingError(f"{arguments.model!r} is no model name: use letters, digits and _")
    figures, kept = read_cross_validated(arguments.checkpoint)
    profiles = tune_profiles(kept.truth, kept.probabilities, kept.fold)
    # Beside the repository, not in it: Triton watches the repository itself.
    with staged(arguments.repository.resolve().parent) as directory:
        exported = write_graphs(arguments.checkpoint, directory, arguments.data_dir)
        print("int8 on the dev split (fold 0 of CEDR):\n" + table(exported.dev))
        print("gate: " + json.dumps(exported.gate))
        card = Card(
            model=arguments.model,
            base_model=arguments.base_model or figures["recipe"]["base_model"],
            architecture=asdict(exported.shape),
            labels=[Label(en=en, ru=ru) for en, ru in LABELS.items()],
            max_length=exported.shape.max_length,
            pad_id=exported.shape.pad_id,
            unk_id=exported.shape.unk_id,
            profiles=profiles,
            metrics={
                "dev (fold 0 of CEDR train), model.cpu.onnx": exported.dev,
                "five folds of CEDR train, mean, PyTorch": figures["five_folds"],
                "gate": exported.gate,
            },
            training=figures["recipe"],
            tools={name: importlib.metadata.version(name) for name in TOOLS},
            files={name: sha256(directory / name) for name in (CPU_GRAPH, GPU_GRAPH, TOKENIZER)},
            licence=arguments.licence,
            limits=arguments.limit,
        )
        write_file(directory / CARD, (card.model_dump_json(indent=2) + "\n").encode())
        arguments.repository.mkdir(parents=True, exist_ok=True)
        model_directory = arguments.repository / arguments.model
        if not (model_directory / "config.pbtxt").exists():
            write_model_directory(model_directory, arguments.model)
        return move_in(directory, model_directory)


def main() -> None:
    """Publish, and say where."""
    print(f"published {publish(_arguments())}")


if __name__ == "__main__":
    run_command(main)
