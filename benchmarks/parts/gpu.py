"""Triton on a GPU beside the same graphs in process, and beside a graph that computes nothing. `make bench-gpu`.

    python -m benchmarks --parts gpu --environment .venv-triton-gpu --texts FILE

The shipped models are measured, and encoders of two well-known shapes with random weights: speed does not depend on
what the weights are. Their token ids are random too, spread over each shape's vocabulary, and as many as the texts have
by our tokenizer. A graph that computes nothing, served the same way under the same loads, shows what Triton and its
backend cost.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.command import BUILD, ROOT, BenchmarkError, positive
from benchmarks.load.perf_analyzer import Load, PerfAnalyzer
from benchmarks.load.points import measure_point
from benchmarks.parts.rounds import Record, Subject
from benchmarks.parts.triton import case
from benchmarks.setup import repositories
from benchmarks.setup.repositories import GRAPHS, SHAPES, with_instances, with_nothing, with_random_weights
from benchmarks.setup.serving import Device, running_triton
from benchmarks.setup.texts import Workload, newest_version, workload
from contract.version_directory import read_card
from server.environment.triton_environment import TritonEnvironment

PART: Final = "gpu"
SHIPPED: Final = ("emotion_rubert", "emotion_xlm")
MODELS: Final = (*SHIPPED, *SHAPES)
NOTHING: Final = "a graph that computes nothing"
_IN_PROCESS_SECONDS: Final = 300


@dataclass(frozen=True)
class GpuSettings:
    """What is served and how it is loaded. `device` is cpu only to rehearse where no GPU is."""

    environment: TritonEnvironment
    analyzer: PerfAnalyzer
    repository: Path
    models: tuple[str, ...] = MODELS
    device: Device = "gpu"
    window_ms: int = 2000
    instances: tuple[int, ...] = (1, 2, 4)
    concurrency: tuple[int, ...] = (1, 64, 128, 512, 1024)
    rows: tuple[int, ...] = (1, 16)
    batches: tuple[int, ...] = (1, 16, 64)
    seconds: float = 3.0


@dataclass(frozen=True)
class _Model:
    """A model by its name in the report and in Triton, the token rows it gets, and where it is, made if need be."""

    name: str
    in_triton: str
    rows: Workload
    repository: Callable[[], Path]


def subjects(texts: Workload, settings: GpuSettings) -> list[Subject]:
    """With every number of instances, Triton with the graph that computes nothing and each model; the graphs alone.

    Raises:
        BenchmarkError: a shipped model is not there, or has no graph for GPUs yet.
    """
    models = [_model(name, texts, settings) for name in settings.models]
    nothing = _Model(
        NOTHING, repositories.NOTHING, texts, lambda: with_nothing(_made(NOTHING, settings), settings.device)
    )
    found = [
        Subject(PART, served(model.name, count), _served(model, count, settings))
        for count in settings.instances
        for model in (nothing, *models)
    ]
    return found + [Subject(PART, in_process(model.name), _in_process(model, settings)) for model in models]


def served(model: str, instances: int) -> str:
    """How the report calls a model in Triton."""
    return f"Triton, {model}, {instances} instance{'s' if instances > 1 else ''}"


def is_served(subject: str, model: str) -> bool:
    """Whether the report means this model in Triton, with any number of instances."""
    return subject.startswith(f"Triton, {model}, ")


def in_process(model: str) -> str:
    """How the report calls its graph without Triton."""
    return f"in process, {model}"


def description(repository: Path, model: str) -> str:
    """Its version, if it has one, and its size."""
    if model in SHAPES:
        architecture, start = SHAPES[model], "random weights, "
    else:
        version = newest_version(repository, model)
        architecture, start = dict(read_card(version).architecture), f"version {version.name}, "
    return f"{start}{architecture['layers']} layers of {architecture['hidden']}, {architecture['vocabulary']:,} tokens"


def remarks(models: Sequence[str], device: Device) -> list[str]:
    """What the report must say of these models."""
    said = []
    if device == "cpu":
        said.append("This was a rehearsal on the CPU: nothing here is about a GPU.")
    if random := [model for model in models if model in SHAPES]:
        said.append(
            f"Of {' and '.join(random)} the shape is real, the weights are random; so are the token ids, and there are"
            f" as many as this project's own tokenizer makes of the texts."
        )
    return said


def _model(name: str, texts: Workload, settings: GpuSettings) -> _Model:
    if name in SHAPES:
        return _Model(
            name, name, _random_rows(texts, name),
            lambda: with_random_weights(_made(name, settings), name, settings.device),
        )  # fmt: skip
    version = newest_version(settings.repository, name)
    graph = version / GRAPHS[settings.device]
    if not graph.exists():
        raise BenchmarkError(f"{graph} is not there: make gpu-weights, or leave {name} out of --models")
    return _Model(name, name, workload(texts.texts, version), lambda: settings.repository)


def _random_rows(texts: Workload, model: str) -> Workload:
    shape, random = SHAPES[model], np.random.default_rng(0)
    rows = [[int(token) for token in random.integers(5, shape["vocabulary"], len(row))] for row in texts.rows]
    return Workload(texts.texts, rows, shape["pad_id"])


def _made(name: str, settings: GpuSettings) -> Path:
    return BUILD / "graphs" / settings.device / name.replace(" ", "_")


def _served(model: _Model, instances: int, settings: GpuSettings) -> Callable[[Record], None]:
    def measure(record: Record) -> None:
        with (
            with_instances(model.repository(), model.in_triton, instances, settings.device) as repository,
            running_triton(repository, settings.environment.directory, settings.device) as server,
        ):
            for rows in settings.rows:
                for concurrency in settings.concurrency:
                    load = Load(concurrency, rows, settings.window_ms)
                    point = measure_point(settings.analyzer, server.url, model.in_triton, model.rows, load, server.pid)
                    record(case(rows, concurrency), point.figures())

    return measure


def _in_process(model: _Model, settings: GpuSettings) -> Callable[[Record], None]:
    """In Triton's environment, which has the GPU's ONNX Runtime, with the backend's own way to open a graph."""

    def measure(record: Record) -> None:
        version = newest_version(model.repository(), model.in_triton)
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="ascii") as file:
            json.dump(model.rows.rows, file)
            file.flush()
            command = [
                *(str(settings.environment.directory / "bin/python"), "-m", "benchmarks.parts.in_process"),
                *(str(version), GRAPHS[settings.device], settings.device, str(settings.seconds), file.name),
                *map(str, settings.batches),
            ]
            for batch, rate in _said(command, model.name).items():
                record(f"batch {batch}", {"texts_per_second": rate})

    return measure


def _said(command: list[str], name: str) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_IN_PROCESS_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{name} did not end in process in {_IN_PROCESS_SECONDS} seconds") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise BenchmarkError(f"{name} does not run in process: {said[-1] if said else 'it said nothing'}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that only this part has."""
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), help="of the part gpu (default: all)"
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
        help="requests at once in the part gpu (default: 1 64 128 512 1024)",
    )
    parser.add_argument(
        "--rows", type=positive, nargs="+", default=list(GpuSettings.rows),
        help="rows a request in the part gpu (default: 1 16)",
    )  # fmt: skip
