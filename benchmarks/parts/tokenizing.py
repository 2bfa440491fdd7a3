"""What a text costs each of several tokenizers, normalisation included, in turn on one thread.

    python -m benchmarks.parts.tokenizing model_repository/emotion_rubert/2 … --texts FILE

Names version directories, or `tokenizer.json` files. Each reads all texts once a round, as the gateway does.
"""

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from benchmarks.command import BenchmarkError, add_texts_flag, positive, run_command
from benchmarks.setup.texts import read_texts
from contract.version_directory import TOKENIZER
from training.common.command import command_parser

# One thread, as in the gateway; read by the library at its first batch.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_BATCH: Final = 32


def microseconds(tokenizers: list[Tokenizer], texts: list[str], rounds: int) -> list[list[float]]:
    """Of a text, for each tokenizer and round; the tokenizers take turns."""
    batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    figures: list[list[float]] = [[] for _ in tokenizers]
    for _ in range(rounds):
        for tokenizer, found in zip(tokenizers, figures, strict=True):
            began = time.perf_counter()
            for batch in batches:
                tokenizer.encode_batch_fast(batch)
            found.append((time.perf_counter() - began) / len(texts) * 1e6)
    return figures


def load(path: Path) -> Tokenizer:
    """A tokenizer from its file or version directory.

    Raises:
        BenchmarkError: it can't be read.
    """
    file = path / TOKENIZER if path.is_dir() else path
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise BenchmarkError(f"{file} can't be read ({error}): name a version directory or a tokenizer.json") from None


def main() -> None:
    """Measure the tokenizers named on the command line, and print a table."""
    parser: argparse.ArgumentParser = command_parser("benchmarks.parts.tokenizing", __doc__)
    parser.add_argument(
        "tokenizers", type=Path, nargs="+", metavar="PATH", help="the first is what others compare with"
    )
    add_texts_flag(parser)
    parser.add_argument("--rounds", type=positive, default=11, help="times each reads all texts (11)")
    arguments = parser.parse_args()
    figures = microseconds([load(path) for path in arguments.tokenizers], read_texts(arguments.texts), arguments.rounds)
    print("| tokenizer | µs a text, median | lowest | ratio of the pairs, median |\n|---|---:|---:|---:|")
    for path, found in zip(arguments.tokenizers, figures, strict=True):
        ratio = statistics.median(one / first for one, first in zip(found, figures[0], strict=True))
        print(f"| `{path}` | {statistics.median(found):.1f} | {min(found):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    run_command(main)
