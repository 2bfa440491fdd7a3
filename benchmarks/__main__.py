"""Everything side by side, and its report. `make bench` and `make bench-gpu` call it.

    python -m benchmarks --texts FILE [--parts triton ceilings http growth]

Each part is measured in every round, every other round in reverse order; a full run takes more than an
hour, in which the machine must do nothing else. What fails is named in the report, and the command then ends
with status 1.
"""

import argparse
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.command import BenchmarkError, add_texts_flag, add_triton_flags, positive, run_command
from benchmarks.load.perf_analyzer import PerfAnalyzer, find_perf_analyzer
from benchmarks.parts import ceilings, gpu, http, triton
from benchmarks.parts.rounds import Subject, run_rounds
from benchmarks.report.machine import this_machine
from benchmarks.report.results import Results
from benchmarks.report.writing import REPORT, write_report
from benchmarks.setup.texts import Workload, models, newest_version, read_texts, workload
from contract.version_directory import read_card
from server.environment.triton_environment import TritonEnvironment, read_environment
from training.common.command import command_parser

CPU_PARTS = (triton.PART, ceilings.PART, http.PART, triton.GROWTH)
"""In an order in which what the goals compare is measured close together."""


def _arguments() -> argparse.Namespace:
    parser = command_parser("benchmarks", __doc__)
    add_texts_flag(parser)
    parser.add_argument("--parts", nargs="+", choices=(*CPU_PARTS, gpu.PART), default=list(CPU_PARTS),
                        help="default: all but gpu")  # fmt: skip
    parser.add_argument("--rounds", type=positive, default=3, help="default: %(default)s")
    parser.add_argument("--seconds", type=positive, default=5, help="of each load over HTTP (default: %(default)s);"
                        " Triton gets three windows, and a graph one, of 0.6 of it")  # fmt: skip
    parser.add_argument("--subjects", nargs="+", metavar="PIECE", help="only those whose name has one of these pieces;"
                        " what is measured side by side comes together")  # fmt: skip
    add_triton_flags(parser)
    parser.add_argument("--output", type=Path, default=REPORT,
                        help="the report, with report/ beside it (default: %(default)s)")  # fmt: skip
    gpu.add_flags(parser)
    return parser.parse_args()


def _subjects(arguments: argparse.Namespace, texts: Workload, environment: TritonEnvironment) -> list[Subject]:
    version = newest_version(arguments.repository, arguments.model)
    window = int(600 * arguments.seconds)
    analyzers: list[PerfAnalyzer] = []

    def analyzer() -> PerfAnalyzer:
        if not analyzers:
            analyzers.append(find_perf_analyzer(environment, arguments.perf_analyzer))
        return analyzers[0]

    def settings(model: str = arguments.model) -> triton.TritonSettings:
        return triton.TritonSettings(arguments.repository, model, environment.directory, analyzer(), window_ms=window)

    def sweeps() -> list[Subject]:
        found = [triton.beside_its_graph(texts, settings()), *triton.sweep(triton.SUBJECT, texts, settings())]
        for model in sorted(set(models(arguments.repository)) - {arguments.model}):
            others = workload(texts.texts, newest_version(arguments.repository, model))
            found += triton.sweep(f"{triton.SUBJECT}, {model}", others, settings(model))
        return found

    makers: dict[str, Callable[[], list[Subject]]] = {
        triton.PART: sweeps,
        http.PART: lambda: http.subjects(
            texts, version,
            http.HttpSettings(arguments.repository, arguments.model, environment.directory, arguments.seconds),
        ),
        ceilings.PART: lambda: ceilings.subjects(
            texts, version, ceilings.CeilingSettings(seconds=0.6 * arguments.seconds)
        ),
        triton.GROWTH: lambda: triton.growth(texts, settings()),
        gpu.PART: lambda: gpu.subjects(
            texts,
            gpu.GpuSettings(environment, analyzer(), arguments.repository, tuple(arguments.models), arguments.device,
                            window, tuple(arguments.instances), tuple(arguments.concurrency), tuple(arguments.rows),
                            seconds=0.6 * arguments.seconds),
        ),
    }  # fmt: skip
    found = [subject for part in arguments.parts for subject in makers[part]()]
    pieces = arguments.subjects or [""]
    chosen = [one for one in found if any(piece in one.name for piece in pieces)]
    if not chosen:
        raise BenchmarkError(f"no subject has {' or '.join(pieces)} in its name; there are: "
                             f"{', '.join(dict.fromkeys(one.name for one in found))}")  # fmt: skip
    return chosen


def _command(texts: Path) -> str:
    """The command as typed, with no more of the texts' path than their file's name."""
    typed = [argument.replace(str(texts), texts.name) for argument in sys.argv[1:]]
    return shlex.join(["python", "-m", "benchmarks", *typed])


def _model(arguments: argparse.Namespace) -> dict[str, Any]:
    if gpu.PART in arguments.parts:
        return {name: gpu.description(arguments.repository, name) for name in arguments.models}
    version = newest_version(arguments.repository, arguments.model)
    card = read_card(version)
    return {arguments.model: f"version {version.name}", **card.architecture}


def main() -> None:
    """Measure, keep the raw figures, write the report."""
    arguments = _arguments()
    started = datetime.now(UTC)
    output = arguments.output.resolve()
    texts = workload(read_texts(arguments.texts), newest_version(arguments.repository, arguments.model))
    environment = read_environment(arguments.environment)
    machine = this_machine(environment)
    measured = run_rounds(
        _subjects(arguments, texts, environment), arguments.rounds, lambda said: print(said, flush=True)
    )
    on_gpu = gpu.PART in arguments.parts
    results = Results(
        title="Benchmarks on a GPU" if on_gpu else "Benchmarks",
        started=started,
        command=_command(arguments.texts),
        machine=machine,
        model=_model(arguments),
        tokens=texts.lengths(),
        rounds=arguments.rounds,
        remarks=gpu.remarks(arguments.models, arguments.device) if on_gpu else [],
        measurements=measured.measurements,
        failures=measured.failures,
    )
    images = output.parent / "report"
    images.mkdir(parents=True, exist_ok=True)
    results.save(images / "results.json")
    write_report(results, output, images)
    print(f"wrote {output}")
    if results.failures:
        raise BenchmarkError(f"{len(results.failures)} measurements failed; the report names them")


if __name__ == "__main__":
    run_command(main)
