"""Version directories for tests that look at files and cards, and never run a graph."""

import json
from pathlib import Path

from contract.version_directory import CARD, CPU_GRAPH, TOKENIZER, sha256
from tests.support.committed import committed
from training.export.triton_config import write_model_directory

EXAMPLE = committed() / CARD
MODEL = "emotion_test"


def write_version(directory: Path, content: bytes) -> None:
    """A version whose graph and tokenizer are `content`, with a card that says so and has no date, as old ones have."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in (CPU_GRAPH, TOKENIZER):
        (directory / name).write_bytes(name.encode() + content)
    card = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    card |= {
        "model": MODEL,
        "published": None,
        "repeats": None,
        "files": {name: sha256(directory / name) for name in (CPU_GRAPH, TOKENIZER)},
    }
    (directory / CARD).write_text(json.dumps(card), encoding="utf-8")


def make_repository(directory: Path, versions: int) -> Path:
    """A repository with versions 1, 2, … of one model."""
    repository = directory / "models"
    write_model_directory(repository / MODEL, MODEL)
    for number in range(1, versions + 1):
        write_version(repository / MODEL / str(number), b"version %d" % number * 1000)
    return repository
