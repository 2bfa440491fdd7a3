"""What is possible without a server: the tokenizer alone, and the CPU graph alone, in this process."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from onnxruntime import InferenceSession

from benchmarks.parts.rounds import Record, Subject
from benchmarks.setup.texts import Row, Workload, load_tokenizer
from contract.version_directory import CPU_GRAPH, INPUT_IDS, ITEM_SHAPE
from training.export.graphs.runtime import session

# One thread of the tokenizer, as the gateway has it; read by the library at its first batch.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

PART: Final = "ceilings"
Feeds = list[tuple[int, dict[str, Any]]]
"""Of each batch: its rows, and the graph's inputs."""


@dataclass(frozen=True)
class CeilingSettings:
    """What is tried: batch sizes; and sessions × threads of each."""

    seconds: float = 3.0
    batches: tuple[int, ...] = (1, 4, 16, 32, 64)
    sessions: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 1))
    compared_batch: int = 16
    """Of the comparison of mixed with equal lengths, and of padded graphs."""


def subjects(texts: Workload, version_directory: Path, settings: CeilingSettings) -> list[Subject]:
    """The tokenizer; the graph at every batch size and thread count; the graph on equal lengths."""
    graph = version_directory / CPU_GRAPH
    found = [Subject(PART, "tokenizer", _tokenizer(texts, version_directory, settings.seconds))]
    for (sessions, threads), batch in itertools.product(settings.sessions, settings.batches):
        case = f"batch {batch}, mixed lengths"
        measure = _graph(graph, batches(texts.rows, batch), sessions, threads, settings.seconds, case)
        found.append(Subject(PART, graph_name(sessions, threads), measure))
    equal = batches(equal_lengths(texts.rows), settings.compared_batch)
    for sessions, threads in settings.sessions:
        case = f"batch {settings.compared_batch}, equal lengths"
        measure = _graph(graph, equal, sessions, threads, settings.seconds, case)
        found.append(Subject(PART, graph_name(sessions, threads), measure))
    return found


def graph_name(sessions: int, threads: int) -> str:
    """How the report calls the graph in so many sessions."""
    return f"CPU graph in process, {sessions} × {threads} thread{'s' if threads > 1 else ''}"


def equal_lengths(rows: Sequence[Row]) -> list[Row]:
    """The same tokens in rows of one length, the mean one: as many rows and tokens, up to rounding."""
    tokens = [token for row in rows for token in row]
    length = max(1, round(len(tokens) / len(rows)))
    return [tokens[start : start + length] for start in range(0, len(tokens) - length + 1, length)]


def batches(rows: Sequence[Row], size: int) -> Feeds:
    """The graph's inputs for every full batch of `size` rows (one smaller batch if there are fewer)."""
    whole = max(size, len(rows) - len(rows) % size)
    feeds: Feeds = []
    for start in range(0, whole, size):
        group = rows[start : start + size]
        flat = np.array([token for row in group for token in row], dtype=np.int64)
        feeds.append((len(group), {INPUT_IDS: flat, ITEM_SHAPE: np.array([[len(row)] for row in group], np.int32)}))
    return feeds


def _graph(
    graph: Path, feeds: Feeds, sessions: int, threads: int, seconds: float, case: str
) -> Callable[[Record], None]:
    def measure(record: Record) -> None:
        opened = [session(graph, threads) for _ in range(sessions)]
        rows, tokens, spent = run_for(opened, feeds, seconds)
        record(case, {"texts_per_second": rows / spent, "tokens_per_second": tokens / spent})

    return measure


def run_for(sessions: Sequence[InferenceSession], feeds: Feeds, seconds: float) -> tuple[int, int, float]:
    """Run batches in every session at once; rows and tokens that were done, and the seconds it took."""
    done: list[tuple[int, int]] = []
    for opened in sessions:
        opened.run(None, feeds[0][1])
    began = time.perf_counter()

    def work(opened: InferenceSession, offset: int) -> None:
        rows = tokens = 0
        place = offset
        while time.perf_counter() - began < seconds:
            count, feed = feeds[place % len(feeds)]
            opened.run(None, feed)
            rows, tokens, place = rows + count, tokens + len(feed[INPUT_IDS]), place + 1
        done.append((rows, tokens))

    # ONNX Runtime lets go of the interpreter while it computes.
    workers = [
        threading.Thread(target=work, args=(opened, number * len(feeds) // len(sessions)))
        for number, opened in enumerate(sessions)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    spent = time.perf_counter() - began
    return sum(rows for rows, _ in done), sum(tokens for _, tokens in done), spent


def _tokenizer(texts: Workload, version_directory: Path, seconds: float) -> Callable[[Record], None]:
    def measure(record: Record) -> None:
        tokenizer = load_tokenizer(version_directory)
        for case, size in (("one text at a time", 1), ("32 texts at a time", 32)):
            began, done = time.perf_counter(), 0
            while (spent := time.perf_counter() - began) < seconds:
                start = done % len(texts.texts)
                chosen = texts.texts[start : start + size]
                tokenizer.encode_batch_fast(chosen)
                done += len(chosen)
            record(case, {"texts_per_second": done / spent})

    return measure


GRAPH_NAMES: Final = tuple(graph_name(*one) for one in CeilingSettings.sessions)
"""The subjects that are the graph alone."""
