"""Triton over gRPC as a part of the report: sweeps of load, instances and text length."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.load.perf_analyzer import Load, PerfAnalyzer
from benchmarks.load.points import measure_point
from benchmarks.parts import ceilings
from benchmarks.parts.rounds import Record, Subject
from benchmarks.setup.repositories import with_instances
from benchmarks.setup.serving import running_triton
from benchmarks.setup.texts import Row, Workload, newest_version
from contract.version_directory import CPU_GRAPH

PART: Final = "triton"
GROWTH: Final = "growth"
SUBJECT: Final = "Triton"
"""How the report calls the model, served as its configuration says."""
BESIDE: Final = "Triton and its graph in process, in turns"


@dataclass(frozen=True)
class TritonSettings:
    """What is served and how it is loaded; `growth_concurrency` is where instances and lengths are compared."""

    repository: Path
    model: str
    environment: Path
    analyzer: PerfAnalyzer
    window_ms: int = 2000
    concurrency: tuple[int, ...] = (1, 4, 16, 64)
    rows: tuple[int, ...] = (1, 16)
    instances: tuple[int, ...] = (1, 2, 4)
    lengths: tuple[int, ...] = (8, 16, 32, 64, 128)
    growth_rows: tuple[int, ...] = (1, 4, 16, 64)
    growth_concurrency: int = 16
    beside: tuple[tuple[int, int], ...] = ((16, 16), (1, 64))
    """Rows a request and requests at once of what is compared with the graph in process."""
    beside_batches: tuple[int, ...] = (16, 64)


def case(rows: int, concurrency: int) -> str:
    """How the report calls one load."""
    return f"{rows} row{'s' if rows > 1 else ''} a request, {concurrency} at once"


def sweep(name: str, texts: Workload, settings: TritonSettings) -> list[Subject]:
    """The model as it is configured, at every load; the report calls it `name`."""

    def measure(record: Record) -> None:
        with running_triton(settings.repository, settings.environment) as server:
            for rows in settings.rows:
                for concurrency in settings.concurrency:
                    record(case(rows, concurrency), _figures(texts, settings, server.url, rows, concurrency))

    return [Subject(PART, name, measure)]


def beside_its_graph(texts: Workload, settings: TritonSettings) -> Subject:
    """Triton at its best loads, and the graph in process meanwhile, one right after the other."""
    graph = newest_version(settings.repository, settings.model) / CPU_GRAPH

    def measure(record: Record) -> None:
        sessions = [ceilings.open_graph(graph, 1) for _ in range(2)]
        with running_triton(settings.repository, settings.environment) as server:
            for rows, concurrency in settings.beside:
                record(case(rows, concurrency), _figures(texts, settings, server.url, rows, concurrency))
                for batch in settings.beside_batches:
                    done, _, spent = ceilings.run_for(
                        sessions, ceilings.batches(texts.rows, batch), settings.window_ms / 1000
                    )
                    record(in_process(batch, rows), {"texts_per_second": done / spent})

    return Subject(PART, BESIDE, measure)


def in_process(batch: int, rows: int) -> str:
    """How the report calls the graph in process, right after Triton with so many rows a request."""
    return f"in process, batch {batch}, after {case(rows, 0).partition(',')[0]}"


def growth(texts: Workload, settings: TritonSettings) -> list[Subject]:
    """How it grows with instances, with the length of texts, and with the rows of a request."""
    found = [
        Subject(GROWTH, f"{count} instance{'s' if count > 1 else ''}", _instances(texts, settings, count))
        for count in settings.instances
    ]
    return [*found, Subject(GROWTH, "length of texts", _lengths(texts, settings)), _rows(texts, settings)]


def _instances(texts: Workload, settings: TritonSettings, count: int) -> Callable[[Record], None]:
    def measure(record: Record) -> None:
        with (
            with_instances(settings.repository, settings.model, count) as repository,
            running_triton(repository, settings.environment) as server,
        ):
            concurrency = settings.growth_concurrency
            record(case(1, concurrency), _figures(texts, settings, server.url, 1, concurrency))

    return measure


def _lengths(texts: Workload, settings: TritonSettings) -> Callable[[Record], None]:
    def measure(record: Record) -> None:
        with running_triton(settings.repository, settings.environment) as server:
            for length in settings.lengths:
                some = replace(texts, rows=rows_of_length(texts.rows, length))
                record(f"{length} tokens", _figures(some, settings, server.url, 1, settings.growth_concurrency))

    return measure


def _rows(texts: Workload, settings: TritonSettings) -> Subject:
    def measure(record: Record) -> None:
        with running_triton(settings.repository, settings.environment) as server:
            for rows in settings.growth_rows:
                record(case(rows, 4), _figures(texts, settings, server.url, rows, 4))

    return Subject(GROWTH, "rows a request", measure)


def rows_of_length(rows: list[Row], length: int, count: int = 512) -> list[Row]:
    """Real tokens, one text after the other, cut into rows of one length."""
    tokens = [token for row in rows for token in row]
    return [tokens[start : start + length] for start in range(0, len(tokens) - length + 1, length)][:count]


def _figures(texts: Workload, settings: TritonSettings, url: str, rows: int, concurrency: int) -> dict[str, float]:
    load = Load(concurrency, rows, settings.window_ms)
    return measure_point(settings.analyzer, url, settings.model, texts, load).figures()
