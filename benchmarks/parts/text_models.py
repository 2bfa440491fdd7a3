"""What a text model costs beside the model that it asks: perf_analyzer asks both in turn, over gRPC.

    python -m benchmarks.parts.text_models --texts FILE [--url HOST:PORT]

One sends texts, the other the same texts' token ids. Without --url it starts this project's own Triton and stops it
afterwards. A cost is the text model's in times of the model's, the median over the rounds with the lowest and highest:
of time, by requests per second; and of CPU, all of Triton's processes together, where Triton was started here. On a
machine that does other work too, look at the CPU.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import add_texts_flag, positive, run_command
from benchmarks.load.perf_analyzer import Load, Measured, PerfAnalyzer, find_perf_analyzer, measure
from benchmarks.load.perf_input import write_input, write_text_input
from benchmarks.load.processes import settle, usage
from benchmarks.load.statistics import read_counts
from benchmarks.setup.serving import running_triton
from benchmarks.setup.texts import Workload, newest_version, read_texts, workload
from contract.text_models import text_model
from server.environment.triton_environment import read_environment
from training.common.command import command_parser

_HEAD = (
    f"{'at once':>8}{'ids/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'texts/s':>9}{'p50 ms':>9}{'p99 ms':>9}"
    f"   {'cost in time':<22}cost in CPU"
)


@dataclass(frozen=True)
class _Round:
    """One run of perf_analyzer, and milliseconds of CPU that Triton spent on a request; None of another's Triton."""

    measured: Measured
    cpu_ms: float | None


def _arguments() -> argparse.Namespace:
    parser = command_parser("benchmarks.parts.text_models", __doc__)
    add_texts_flag(parser)
    parser.add_argument("--url", help="gRPC address of a running Triton, host:port (default: start one)")
    parser.add_argument("--model", default="emotion_rubert", help="the one that is asked (default: %(default)s)")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument(
        "--environment", type=Path, default=Path(".venv-triton"), help="Triton's (default: %(default)s)"
    )
    parser.add_argument(
        "--concurrency", type=positive, nargs="+", default=[1, 16, 64], help="requests at once (default: 1 16 64)"
    )
    parser.add_argument("--rounds", type=positive, default=5, help="default: %(default)s")
    parser.add_argument(
        "--window", type=positive, default=1000, help="milliseconds of one of three windows (default: %(default)s)"
    )
    parser.add_argument("--perf-analyzer", type=Path, help="a perf_analyzer that is there (default: download 2.48.0's)")
    return parser.parse_args()


@contextlib.contextmanager
def _triton(arguments: argparse.Namespace) -> Iterator[tuple[str, int | None]]:
    """Address of a Triton, and its process if it was started here."""
    if arguments.url:
        yield arguments.url, None
        return
    with running_triton(arguments.repository, arguments.environment, "cpu") as server:
        yield server.url, server.pid


def _measure(
    analyzer: PerfAnalyzer, triton: tuple[str, int | None], model: str, input_file: Path, load: Load
) -> _Round:
    url, pid = triton
    rows = read_counts(url, model).rows
    cpu = usage([pid]).cpu_seconds if pid else 0.0
    measured = measure(analyzer, url, model, input_file, load)
    if not pid:
        return _Round(measured, None)
    settle([pid])
    spent = usage([pid]).cpu_seconds - cpu
    return _Round(measured, 1000 * spent / (read_counts(url, model).rows - rows))


def _measure_in_turn(
    analyzer: PerfAnalyzer, triton: tuple[str, int | None], model: str, texts: Workload, load: Load, rounds: int
) -> tuple[list[_Round], list[_Round]]:
    """The figures of each round: the model's, and its text model's."""
    with tempfile.TemporaryDirectory() as scratch:
        ids_file, text_file = Path(scratch) / "ids.json", Path(scratch) / "texts.json"
        write_input(ids_file, texts.rows, texts.pad_id)
        write_text_input(text_file, texts.texts)
        of_ids, of_texts = [], []
        for _ in range(rounds):
            of_ids.append(_measure(analyzer, triton, model, ids_file, load))
            of_texts.append(_measure(analyzer, triton, text_model(model), text_file, load))
        return of_ids, of_texts


def _line(concurrency: int, of_ids: list[_Round], of_texts: list[_Round]) -> str:
    pairs = list(zip(of_ids, of_texts, strict=True))
    times = [a.measured.texts_per_second / b.measured.texts_per_second for a, b in pairs]
    cpu = [b.cpu_ms / a.cpu_ms for a, b in pairs if a.cpu_ms and b.cpu_ms]
    figures = "".join(
        f"{statistics.median(one.measured.texts_per_second for one in found):>9,.0f}"
        f"{statistics.median(one.measured.p50_ms for one in found):>9.4g}"
        f"{statistics.median(one.measured.p99_ms for one in found):>9.4g}"
        for found in (of_ids, of_texts)
    )
    return f"{concurrency:>8}{figures}   {_spread(times):<22}{_spread(cpu) if cpu else 'unknown'}"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Measure both at each load, and print a table."""
    arguments = _arguments()
    texts = workload(read_texts(arguments.texts), newest_version(arguments.repository, arguments.model))
    analyzer = find_perf_analyzer(read_environment(arguments.environment), arguments.perf_analyzer)
    print(f"{arguments.model} and {text_model(arguments.model)}, tokens a text: {texts.lengths()}\n{_HEAD}")
    with _triton(arguments) as triton:
        for concurrency in arguments.concurrency:
            load = Load(concurrency, window_ms=arguments.window)
            found = _measure_in_turn(analyzer, triton, arguments.model, texts, load, arguments.rounds)
            print(_line(concurrency, *found), flush=True)


if __name__ == "__main__":
    run_command(main)
