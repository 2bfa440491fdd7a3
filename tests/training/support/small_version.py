"""A version directory as publishing leaves it, graphs for CPU and GPU included, made in a second of random weights."""

import json
from dataclasses import asdict
from pathlib import Path

from contract.version_directory import CARD, CPU_GRAPH, TOKENIZER, sha256
from tests.training.support.random_classifier import classifier
from tests.training.support.rows import WORDS
from tests.training.support.version_directories import EXAMPLE, MODEL
from training.common.staging import write_file
from training.encoder.tokenizer import train_wordpiece
from training.export.gpu_graph_files import make_gpu_graph
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.runtime import session
from training.export.sample import record_sample


def write_small_version(directory: Path, *, with_gpu_graph: bool = True) -> Path:
    """A whole version of two layers, whose card has the figures of the one that comes with the project."""
    made = classifier("bert", num_hidden_layers=2, vocab_size=300)
    directory.mkdir(parents=True)
    write_file(directory / CPU_GRAPH, build_cpu_graph(made.weights, "int8").SerializeToString())
    train_wordpiece([word for words in WORDS.values() for word in words], made.shape.vocabulary).save(
        str(directory / TOKENIZER)
    )
    sample = record_sample(session(directory / CPU_GRAPH), made.rows, made.shape)
    card = json.loads(EXAMPLE.read_text(encoding="utf-8")) | {
        "model": MODEL,
        "repeats": None,
        "architecture": asdict(made.shape),
        "max_length": made.shape.max_length,
        "pad_id": made.shape.pad_id,
        "unk_id": made.shape.unk_id,
        "files": {name: sha256(directory / name) for name in (CPU_GRAPH, TOKENIZER)},
        "sample": sample.model_dump(),
    }
    (directory / CARD).write_text(json.dumps(card), encoding="utf-8")
    if with_gpu_graph:
        make_gpu_graph(directory)
    return directory
