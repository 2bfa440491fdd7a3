"""This checkout beside another one of the project, such as the last release, under the same load in turn.

    git worktree add build/earlier COMMIT && make -C build/earlier serve    # once, for its environments; Ctrl-C
    python -m benchmarks.compare build/earlier --texts FILE

Both run all the time as `make serve` runs them, each from its own checkout with its own environments, and are
asked the same one after the other; every other round the other one first. A machine that drifts drifts for both,
so the ratios of two figures taken seconds apart say what the figures themselves can't.
"""

import argparse
import contextlib
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.command import ROOT, BenchmarkError, add_texts_flag, positive, run_command
from benchmarks.load import wrk
from benchmarks.load.perf_analyzer import Load, find_perf_analyzer
from benchmarks.load.points import measure_point
from benchmarks.parts import http
from benchmarks.setup.serving import HOST, Server, answers, free_ports, running
from benchmarks.setup.texts import newest_version, read_texts, workload
from server.environment.triton_environment import read_environment
from training.common.command import command_parser

MODEL: Final = "emotion_rubert"
Figures = dict[str, float]
Measure = Callable[["Stack"], Figures]


@dataclass(frozen=True)
class Stack:
    """Triton and the gateway of one checkout, running."""

    server: Server
    """The process that started both; its `url` is Triton's gRPC address."""
    port: int
    """The gateway's."""


@contextlib.contextmanager
def running_stack(checkout: Path) -> Iterator[Stack]:
    """What `make serve` starts there, on free ports.

    Raises:
        BenchmarkError: it has no environments yet, or did not start.
    """
    python = checkout / ".venv/bin/python"
    if not python.exists():
        raise BenchmarkError(f"{checkout} has no .venv: run `make serve` there once")
    gateway, http_port, grpc, metrics = free_ports(4)
    command = [
        *(str(python), "-m", "deploy.local", f"--http-port={http_port}", f"--grpc-port={grpc}"),
        *(f"--metrics-port={metrics}", "--", f"--port={gateway}", *_computing_every_text(checkout)),
    ]
    ready = answers(gateway, "/health/ready")
    with running(str(checkout), command, f"{HOST}:{grpc}", ready, directory=checkout) as server:
        yield Stack(server, gateway)


def _computing_every_text(checkout: Path) -> list[str]:
    """The gateway's flag for it, where it has one: the same texts come again and again."""
    settings = (checkout / "gateway/settings.py").read_text(encoding="utf-8")
    return ["--answer-cache=0"] if "answer_cache" in settings else []


def alternate(
    stacks: dict[str, Stack], loads: dict[str, Measure], rounds: int, say: Callable[[str], None]
) -> dict[str, list[dict[str, Figures]]]:
    """Put every load on both in every round; the figures by load, round and checkout."""
    found: dict[str, list[dict[str, Figures]]] = {name: [] for name in loads}
    for number in range(rounds):
        for name, measure in loads.items():
            order = list(stacks) if number % 2 == 0 else list(reversed(stacks))
            figures = {checkout: measure(stacks[checkout]) for checkout in order}
            found[name].append(figures)
            said = "; ".join(f"{side} {' '.join(f'{k} {v:,.4g}' for k, v in figures[side].items())}" for side in stacks)
            say(f"round {number + 1}: {name}: {said}")
    return found


def ratios(found: list[dict[str, Figures]], figure: str, of: str, to: str) -> list[float]:
    """One side's figure over the other's, round by round."""
    return [one[of][figure] / one[to][figure] for one in found]


def _over_http(requests: list[str], connections: int, seconds: int) -> Measure:
    def measure(stack: Stack) -> Figures:
        url = f"http://{HOST}:{stack.port}/v1/emotions"
        all_of_it = wrk.measure(url, requests, 1, connections, seconds, {"stack": stack.server.pid})
        if all_of_it["errors"]:
            raise BenchmarkError(f"{all_of_it['errors']:.0f} requests to {url} failed")
        return {name: all_of_it[name] for name in ("requests_per_second", "p50_ms", "p99_ms", "cpu_ms")}

    return measure


def _arguments() -> argparse.Namespace:
    parser = command_parser("benchmarks.compare", __doc__)
    parser.add_argument("other", type=Path, metavar="CHECKOUT", help="the other checkout, ready to serve")
    add_texts_flag(parser)
    parser.add_argument("--rounds", type=positive, default=6, help="default: %(default)s")
    parser.add_argument("--seconds", type=positive, default=4, help="of each load over HTTP (default: %(default)s)")
    parser.add_argument("--connections", type=positive, nargs="+", default=[1, 16, 64], help="default: 1 16 64")
    parser.add_argument("--rows", type=positive, nargs="+", default=[1, 16], help="a request over gRPC (default: 1 16)")
    parser.add_argument("--concurrency", type=positive, default=32, help="over gRPC (default: %(default)s)")
    parser.add_argument(
        "--environment", type=Path, default=Path(".venv-triton"),
        help="Triton's, for perf_analyzer's libraries (default: %(default)s)",
    )  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Measure both and print, for every load, the median and the range of this checkout's ratio to the other."""
    arguments = _arguments()
    texts = workload(read_texts(arguments.texts), newest_version(ROOT / "model_repository", MODEL))
    requests = wrk.bodies(texts.texts, 1)
    analyzer = find_perf_analyzer(read_environment(arguments.environment))

    def over_grpc(rows: int) -> Measure:
        load = Load(arguments.concurrency, rows, window_ms=600 * arguments.seconds)
        return lambda stack: {
            "texts_per_second": measure_point(analyzer, stack.server.url, MODEL, texts, load).measured.texts_per_second
        }

    loads = {
        http.case(1, connections): _over_http(requests, connections, arguments.seconds)
        for connections in arguments.connections
    }
    loads |= {f"gRPC, rows a request {rows}": over_grpc(rows) for rows in arguments.rows}
    with running_stack(ROOT) as this, running_stack(arguments.other.resolve()) as other:
        found = alternate({"this": this, "other": other}, loads, arguments.rounds, lambda said: print(said, flush=True))
    print(f"this checkout over {arguments.other}, median of {arguments.rounds} rounds (lowest to highest)")
    for name, rounds in found.items():
        for figure in rounds[0]["this"]:
            all_of_them = ratios(rounds, figure, "this", "other")
            middle = statistics.median(all_of_them)
            print(f"{name:36} {figure:20} {middle:.3f} ({min(all_of_them):.3f} to {max(all_of_them):.3f})")


if __name__ == "__main__":
    run_command(main)
