"""Triton directly, with NVIDIA's perf_analyzer over gRPC. `make perf TEXTS=file` calls it.

    python -m benchmarks.perf --texts FILE [--url HOST:PORT]

Without --url it starts this project's own Triton and stops it afterwards. The texts become token rows by
the model's own tokenizer, so their lengths are real; the table's queue and compute times are Triton's.
"""

import argparse
import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.command import add_texts_flag, add_triton_flags, positive, run_command
from benchmarks.load.perf_analyzer import Load, find_perf_analyzer
from benchmarks.load.points import Point, measure_point
from benchmarks.setup.serving import running_triton
from benchmarks.setup.texts import newest_version, read_texts, workload
from server.environment.triton_environment import read_environment
from training.common.command import command_parser

_COLUMNS: Final = (
    ("rows", "rows"), ("at once", "concurrency"), ("texts/s", "texts_per_second"), ("p50 ms", "p50_ms"),
    ("p95 ms", "p95_ms"), ("p99 ms", "p99_ms"), ("rows/exec", "rows_per_execution"), ("queue ms", "queue_ms"),
    ("compute ms", "compute_ms"), ("± windows", "window_spread"),
)  # fmt: skip


def _line(point: Point) -> str:
    values: dict[str, Any] = {**asdict(point.load), **point.figures()}
    formats = {"texts_per_second": ",.0f", "window_spread": ".0%"}
    return "".join(f"{format(values[name], formats.get(name, '.4g')):>11}" for _, name in _COLUMNS)


def _arguments() -> argparse.Namespace:
    parser = command_parser("benchmarks.perf", __doc__)
    add_texts_flag(parser)
    parser.add_argument("--url", help="gRPC address of a running Triton, host:port (default: start one)")
    add_triton_flags(parser)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="default: %(default)s")
    parser.add_argument(
        "--concurrency", type=positive, nargs="+", default=[1, 4, 16, 64], help="requests at once (default: 1 4 16 64)"
    )
    parser.add_argument("--rows", type=positive, nargs="+", default=[1, 16], help="rows a request (default: 1 16)")
    parser.add_argument(
        "--window", type=positive, default=2000, help="milliseconds of one window (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write everything here")
    return parser.parse_args()


@contextlib.contextmanager
def _triton(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.url:
        yield arguments.url
        return
    with running_triton(arguments.repository, arguments.environment, arguments.device) as server:
        yield server.url


def main() -> None:
    """Sweep and print a table."""
    arguments = _arguments()
    texts = workload(read_texts(arguments.texts), newest_version(arguments.repository, arguments.model))
    analyzer = find_perf_analyzer(read_environment(arguments.environment), arguments.perf_analyzer)
    print(f"{arguments.model}, tokens a text: {texts.lengths()}")
    print("".join(f"{head:>11}" for head, _ in _COLUMNS))
    points = []
    with _triton(arguments) as url:
        for rows in arguments.rows:
            for concurrency in arguments.concurrency:
                load = Load(concurrency, rows, window_ms=arguments.window)
                points.append(measure_point(analyzer, url, arguments.model, texts, load))
                print(_line(points[-1]), flush=True)
    if arguments.json:
        found = {"model": arguments.model, "tokens": texts.lengths(), "points": [asdict(point) for point in points]}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
