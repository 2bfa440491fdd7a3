"""Pre-train a small encoder from scratch on plain text, by masked language modelling.

    python -m training.scratch.pretrain --texts DIRECTORY --output CHECKPOINT

Whole words are masked, in blocks of packed passages. One GPU takes minutes. An interrupted run
goes on with --resume, and ends as it would have without the interruption.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import torch

from contract.version_directory import TOKENIZER
from training.common.command import command_parser, run_command
from training.common.files import write_whole
from training.data.rows.sources import SOURCES
from training.encoder.tokenizer import load_tokenizer
from training.runs.resumable import begin, check
from training.scratch.pretraining.corpus import BLOCK, all_passages, pack
from training.scratch.pretraining.pretraining import PretrainingRecipe, pretrain, save_pretrained, train_tokenizer


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.pretrain", __doc__)
    parser.add_argument("--texts", type=Path, required=True, help="directory of .txt and .txt.xz, a passage a line")
    parser.add_argument(
        "--datasets", nargs="*", default=[], choices=sorted(SOURCES), metavar="NAME",
        help="labelled data sets whose texts are read too, all their splits, repeated --dataset-repeats times;"
        f" their labels are not used. One of: {', '.join(sorted(SOURCES))}",
    )  # fmt: skip
    parser.add_argument("--dataset-repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--output", type=Path, required=True, help="directory for the checkpoint")
    parser.add_argument(
        "--architecture", choices=("bert", "xlm-roberta"), default="bert",
        help="bert with WordPiece, or xlm-roberta with SentencePiece's Unigram (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--tokenizer", type=Path, help="checkpoint whose tokenizer is taken (default: train a new one)")
    parser.add_argument("--vocabulary", type=int, default=32_000, help="word pieces (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=3, help="encoder layers (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=312, help="hidden size (default: %(default)s)")
    parser.add_argument("--heads", type=int, default=12, help="attention heads (default: %(default)s)")
    parser.add_argument("--intermediate", type=int, default=600, help="feed-forward size (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=14_000, help="training steps (default: %(default)s)")
    parser.add_argument(
        "--batch-size", type=int, default=512, help=f"blocks of {BLOCK} tokens a step (default: %(default)s)"
    )
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--save-every", type=int, default=2_000, help="steps between saved states (default: %(default)s)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    return parser.parse_args()


def main() -> None:
    """Train a tokenizer and an encoder and save both as a checkpoint."""
    arguments = _arguments()
    recipe = PretrainingRecipe(**{name: getattr(arguments, name) for name in PretrainingRecipe.__dataclass_fields__})
    check(arguments.output, asdict(recipe), arguments.resume)
    passages = list(all_passages(arguments.texts, arguments.datasets, arguments.dataset_repeats, arguments.data_dir))
    print(f"{len(passages):,} passages", flush=True)
    source = arguments.output if (arguments.output / TOKENIZER).exists() else arguments.tokenizer
    tokenizer = train_tokenizer(recipe, passages) if source is None else load_tokenizer(str(source))
    blocks = torch.from_numpy(pack(tokenizer, passages))
    begin(arguments.output, asdict(recipe), arguments.resume)
    write_whole(arguments.output / TOKENIZER, tokenizer.to_str(pretty=True).encode())
    print(f"{blocks.numel():,} tokens in blocks of {BLOCK}; {torch.cuda.device_count()} GPU", flush=True)
    began = time.monotonic()
    save_pretrained(pretrain(recipe, tokenizer, blocks, arguments.output, arguments.save_every), arguments.output)
    print(f"saved {arguments.output} after {time.monotonic() - began:,.0f} s of training")


if __name__ == "__main__":
    run_command(main)
