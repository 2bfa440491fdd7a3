"""Triton on a GPU, with encoders of real shapes and random weights, beside the same graph in process. `make bench-gpu`.

    python -m benchmarks --parts gpu --environment .venv-triton-gpu --texts FILE

The weights of the hub's encoders may not be here, and speed does not depend on what they are: so they are
random, and token ids are spread over each shape's vocabulary. Lengths are those of the texts by our tokenizer.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.command import BUILD, BenchmarkError, positive
from benchmarks.load.perf_analyzer import Load, PerfAnalyzer
from benchmarks.load.points import measure_point
from benchmarks.parts.rounds import Record, Subject
from benchmarks.parts.triton import case
from benchmarks.setup.repositories import SHAPES, with_instances, with_random_weights
from benchmarks.setup.serving import Device, running_triton
from benchmarks.setup.texts import Workload
from contract.version_directory import CPU_GRAPH, GPU_GRAPH
from server.environment.triton_environment import TritonEnvironment

PART: Final = "gpu"
_IN_PROCESS_SECONDS: Final = 300
REMARK: Final = (
    "The encoders on the GPU have the real shapes of rubert-tiny2 and xlm-roberta-base and random weights; their"
    " token ids are random too, and their lengths those of the texts by this project's own tokenizer."
)


@dataclass(frozen=True)
class GpuSettings:
    """What is served and how it is loaded. `device` is cpu only to rehearse where no GPU is."""

    environment: TritonEnvironment
    analyzer: PerfAnalyzer
    models: tuple[str, ...] = tuple(SHAPES)
    device: Device = "gpu"
    window_ms: int = 2000
    instances: tuple[int, ...] = (1, 2, 4)
    concurrency: tuple[int, ...] = (1, 8, 32, 128, 256, 512)
    batches: tuple[int, ...] = (1, 16, 64)
    seconds: float = 3.0


def subjects(texts: Workload, settings: GpuSettings) -> list[Subject]:
    """Of each model, Triton with every number of instances at every load, and its graph in process at every batch."""
    found = []
    for model in settings.models:
        rows = _rows(texts, model)
        found += [
            Subject(PART, served(model, count), _served(model, count, rows, settings)) for count in settings.instances
        ]
        found.append(Subject(PART, in_process(model), _in_process(model, rows, settings)))
    return found


def served(model: str, instances: int) -> str:
    """How the report calls a model in Triton."""
    return f"Triton, {model}, {instances} instance{'s' if instances > 1 else ''}"


def is_served(subject: str, model: str) -> bool:
    """Whether the report means this model in Triton, with any number of instances."""
    return subject.startswith(f"Triton, {model}, ")


def in_process(model: str) -> str:
    """How the report calls its graph without Triton."""
    return f"in process, {model}"


def _rows(texts: Workload, model: str) -> Workload:
    shape, random = SHAPES[model], np.random.default_rng(0)
    rows = [[int(token) for token in random.integers(5, shape.vocabulary, len(row))] for row in texts.rows]
    return Workload(texts.texts, rows, shape.pad_id)


def _repository(model: str, settings: GpuSettings) -> Path:
    return with_random_weights(BUILD / "random" / settings.device / model, model, settings.device)


def _served(model: str, instances: int, texts: Workload, settings: GpuSettings) -> Callable[[Record], None]:
    def measure(record: Record) -> None:
        with (
            with_instances(_repository(model, settings), model, instances, settings.device) as repository,
            running_triton(repository, settings.environment.directory, settings.device) as server,
        ):
            for concurrency in settings.concurrency:
                load = Load(concurrency, window_ms=settings.window_ms)
                point = measure_point(settings.analyzer, server.url, model, texts, load)
                record(case(1, concurrency), point.figures())

    return measure


def _in_process(model: str, texts: Workload, settings: GpuSettings) -> Callable[[Record], None]:
    """In Triton's environment, which has the GPU's ONNX Runtime, with the backend's own way to open a graph."""

    def measure(record: Record) -> None:
        graph = CPU_GRAPH if settings.device == "cpu" else GPU_GRAPH
        version = _repository(model, settings) / model / "1"
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="ascii") as file:
            json.dump(texts.rows, file)
            file.flush()
            command = [
                *(str(settings.environment.directory / "bin/python"), "-m", "benchmarks.parts.in_process"),
                *(str(version), graph, settings.device, str(settings.seconds), file.name, *map(str, settings.batches)),
            ]
            try:
                done = subprocess.run(  # noqa: S603 - our own command
                    command, capture_output=True, text=True, check=False, timeout=_IN_PROCESS_SECONDS
                )
            except subprocess.TimeoutExpired:
                raise BenchmarkError(f"{model} did not end in process in {_IN_PROCESS_SECONDS} seconds") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise BenchmarkError(f"{model} does not run in process: {said[-1] if said else 'it said nothing'}")
        for batch, rate in json.loads(done.stdout.splitlines()[-1]).items():
            record(f"batch {batch}", {"texts_per_second": rate})

    return measure


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that only this part has."""
    parser.add_argument(
        "--models", nargs="+", choices=tuple(SHAPES), default=list(SHAPES), help="of the part gpu (default: both)"
    )
    parser.add_argument(
        "--instances",
        type=positive,
        nargs="+",
        default=list(GpuSettings.instances),
        help="instances of a model in the part gpu, one number after the other (default: 1 2 4)",
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="gpu", help="of the part gpu; cpu rehearses it")
    parser.add_argument(
        "--concurrency",
        type=positive,
        nargs="+",
        default=list(GpuSettings.concurrency),
        help="requests at once in the part gpu",
    )
