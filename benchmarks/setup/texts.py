"""Texts to measure with, and their token rows: real lengths, by the model's own tokenizer."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from benchmarks.command import BenchmarkError
from contract.version_directory import TOKENIZER, read_card, version_directories

Row = list[int]
_SEED: Final = 0


@dataclass(frozen=True)
class Workload:
    """Texts in an order without meaning, and each one's token ids (special ones included, cut as the model cuts)."""

    texts: list[str]
    rows: list[Row]
    pad_id: int

    def lengths(self) -> dict[str, float]:
        """How many texts, and the mean, median, 95th percentile and maximum of their tokens."""
        lengths = np.array([len(row) for row in self.rows])
        median, high = np.percentile(lengths, (50, 95))
        return {
            "texts": len(lengths),
            "mean": round(float(lengths.mean()), 2),
            "p50": float(median),
            "p95": float(high),
            "longest": int(lengths.max()),
        }


def read_texts(path: Path) -> list[str]:
    """The texts in a file that aren't empty; a byte order mark is none of them.

    Raises:
        BenchmarkError: it can't be read, isn't UTF-8, or holds no text.
    """
    try:
        # Not splitlines, which also cuts where a text may go on: at U+2028, which JSON leaves as it is, and others.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path} can't be read as UTF-8 text ({error}): name a text file with --texts") from None
    if path.suffix == ".jsonl":
        lines = [_field(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    texts = [text for line in lines if (text := line.strip())]
    if not texts:
        raise BenchmarkError(f"{path} holds no text: name a file with one text a line with --texts")
    return texts


def _field(path: Path, number: int, line: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, TypeError, KeyError):
        text = None
    if not isinstance(text, str):
        raise BenchmarkError(f"{path}, line {number}: not a JSON object with a field `text`")
    return text


def load_tokenizer(version_directory: Path) -> Tokenizer:
    """A version's tokenizer, cutting texts where the model would.

    Raises:
        CardError: the version's card is missing or wrong.
        BenchmarkError: the tokenizer can't be read.
    """
    path = version_directory / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BenchmarkError(f"{path} can't be read ({error}): publish the version again") from None
    tokenizer.enable_truncation(read_card(version_directory).max_length)
    tokenizer.no_padding()
    return tokenizer


def workload(texts: list[str], version_directory: Path, limit: int = 4096) -> Workload:
    """Tokenize texts, shuffled in a fixed order and at most `limit` of them."""
    chosen = list(texts)
    random.Random(_SEED).shuffle(chosen)  # noqa: S311 - not a secret
    chosen = chosen[:limit]
    rows = [encoding.ids for encoding in load_tokenizer(version_directory).encode_batch(chosen)]
    return Workload(chosen, rows, read_card(version_directory).pad_id)


def models(repository: Path) -> list[str]:
    """The models that have a version."""
    return sorted({path.parent.name for path in version_directories(repository)})


def newest_version(repository: Path, model: str) -> Path:
    """The newest version directory of a model.

    Raises:
        BenchmarkError: the repository has no such model.
    """
    versions = [path for path in (repository / model).glob("[0-9]*") if path.name.isdigit()]
    if not versions:
        raise BenchmarkError(f"{repository} holds no version of {model}: name another with --model or --repository")
    return max(versions, key=lambda path: int(path.name))
