"""Jobs for the tests of this folder."""

import json
from pathlib import Path
from typing import Any

from clients.bulk.arguments import parse
from clients.bulk.job import run

HOSTILE = [
    "Как же я рад!",
    "",
    "   \t",
    "а" * 1_000_000,
    "half \ud83d",
    "nul \0 inside",
    'кавычки "внутри", и запятая',
    "строка\nза строкой\r\nи ещё",
    "🤬😱" * 50,
    "\u202e\ufeff\u0301 [SEP] <s> [PAD]",
    "=HYPERLINK(1)",
    "злюсь " * 500,
]


def score(source: Path, output: Path, *flags: object) -> int:
    """Do a job in this process; gives the exit status."""
    return run(parse([str(source), str(output), "--quiet", *map(str, flags)]))


def read(output: Path) -> list[dict[str, Any]]:
    """The rows of an output in JSON lines."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()]


def write_json(path: Path, texts: list[Any]) -> Path:
    """An input of texts, each with a number as its id."""
    lines = (json.dumps({"id": number, "text": text}) for number, text in enumerate(texts))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
