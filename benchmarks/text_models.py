"""What a text model costs beside the model that it asks: perf_analyzer asks both in turn, over gRPC.

    python -m benchmarks.text_models --texts FILE [--url HOST:PORT]

One sends texts, the other the same texts' token ids. Without --url it starts this project's own Triton and stops it
afterwards. A cost is what the text model takes for a request, in times of what the model takes: the median over the
rounds, with the lowest and highest.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.command import add_texts_flag, positive, run_command
from benchmarks.load.perf_analyzer import Load, Measured, PerfAnalyzer, find_perf_analyzer, measure
from benchmarks.load.perf_input import write_input, write_text_input
from benchmarks.setup.serving import running_triton
from benchmarks.setup.texts import Workload, newest_version, read_texts, workload
from contract.text_models import text_model
from server.environment.triton_environment import read_environment
from training.common.command import command_parser

_HEAD = f"{'at once':>8}{'ids/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'texts/s':>9}{'p50 ms':>9}{'p99 ms':>9}   cost a request"


def _arguments() -> argparse.Namespace:
    parser = command_parser("benchmarks.text_models", __doc__)
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
def _triton(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.url:
        yield arguments.url
        return
    with running_triton(arguments.repository, arguments.environment, "cpu") as server:
        yield server.url


def _measure_in_turn(
    analyzer: PerfAnalyzer, url: str, model: str, texts: Workload, load: Load, rounds: int
) -> tuple[list[Measured], list[Measured]]:
    """The figures of each round: the model's, and its text model's."""
    with tempfile.TemporaryDirectory() as scratch:
        ids_file, text_file = Path(scratch) / "ids.json", Path(scratch) / "texts.json"
        write_input(ids_file, texts.rows, texts.pad_id)
        write_text_input(text_file, texts.texts)
        of_ids, of_texts = [], []
        for _ in range(rounds):
            of_ids.append(measure(analyzer, url, model, ids_file, load))
            of_texts.append(measure(analyzer, url, text_model(model), text_file, load))
        return of_ids, of_texts


def _line(concurrency: int, of_ids: list[Measured], of_texts: list[Measured]) -> str:
    costs = [a.texts_per_second / b.texts_per_second for a, b in zip(of_ids, of_texts, strict=True)]
    figures = "".join(
        f"{statistics.median(one.texts_per_second for one in found):>9,.0f}"
        f"{statistics.median(one.p50_ms for one in found):>9.4g}{statistics.median(one.p99_ms for one in found):>9.4g}"
        for found in (of_ids, of_texts)
    )
    return f"{concurrency:>8}{figures}   {statistics.median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})"


def main() -> None:
    """Measure both at each load, and print a table."""
    arguments = _arguments()
    texts = workload(read_texts(arguments.texts), newest_version(arguments.repository, arguments.model))
    analyzer = find_perf_analyzer(read_environment(arguments.environment), arguments.perf_analyzer)
    print(f"{arguments.model} and {text_model(arguments.model)}, tokens a text: {texts.lengths()}\n{_HEAD}")
    with _triton(arguments) as url:
        for concurrency in arguments.concurrency:
            load = Load(concurrency, window_ms=arguments.window)
            found = _measure_in_turn(analyzer, url, arguments.model, texts, load, arguments.rounds)
            print(_line(concurrency, *found), flush=True)


if __name__ == "__main__":
    run_command(main)
