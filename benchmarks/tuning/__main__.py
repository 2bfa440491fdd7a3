"""Find this machine's best settings of Triton for your own texts. `make tune TEXTS=file` calls it.

    python -m benchmarks.tuning --texts FILE [--p99 50 | --clients 4]

It starts this project's Triton again and again with other numbers of instances and threads, preferred batch sizes and
queue delays, and asks it with NVIDIA's perf_analyzer. What does best is measured beside the defaults in pairs. If it is
better by more than the noise, it is written to model_repository/<model>/configs/tuned.pbtxt, for `make serve
CONFIG=tuned`. Otherwise nothing is written, and the exit status is 3.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from benchmarks.command import BenchmarkError, add_texts_flag, add_triton_flags, positive, run_command
from benchmarks.load.perf_analyzer import find_perf_analyzer
from benchmarks.report.machine import Machine, this_machine
from benchmarks.setup.texts import read_texts, workload
from benchmarks.tuning.decision import Decision
from benchmarks.tuning.goals import Goal
from benchmarks.tuning.pairs import fewest_seconds, measure_pairs
from benchmarks.tuning.search import Search, search
from benchmarks.tuning.servers import Model, Servers
from benchmarks.tuning.settings import Settings, Step, settings_of, steps
from benchmarks.tuning.writing import NAME, check_writable, tuned_path, write_tuned
from server.environment.triton_environment import read_environment
from training.common.command import command_parser

NO_GAIN: Final = 3
"""The exit status if the defaults stay."""
_DEFAULT_P99: Final = 50.0


def _arguments() -> argparse.Namespace:
    parser = command_parser("benchmarks.tuning", __doc__)
    add_texts_flag(parser)
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument(
        "--p99",
        type=_milliseconds,
        metavar="MS",
        help="as many texts/s as possible with this p99 at most (default: 50)",
    )
    wish.add_argument("--clients", type=positive, help="as short a latency as possible with so many requests at once")
    parser.add_argument(
        "--percentile", type=int, choices=(50, 99), default=99, help="of the clients' latency (default: %(default)s)"
    )
    parser.add_argument("--rows", type=positive, default=1, help="texts a request (default: %(default)s)")
    parser.add_argument("--minutes", type=_minutes, default=10.0, help="how long, about (default: %(default)g)")
    add_triton_flags(parser)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="default: %(default)s")
    parser.add_argument(
        "--window", type=positive, default=700, help="milliseconds of one of three windows (default: %(default)s)"
    )
    return parser.parse_args()


def _milliseconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no number of milliseconds above 0")
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e4:
        raise argparse.ArgumentTypeError(f"{text} is no number of minutes above 0")
    return number


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Search, pair the best with the defaults, and write it or say why not."""
    began = time.monotonic()
    arguments = _arguments()
    clients = arguments.clients
    bound = None if clients else arguments.p99 or _DEFAULT_P99
    goal = Goal(bound, clients, arguments.percentile, arguments.rows)
    model = Model(arguments.repository, arguments.model, arguments.device)
    config = model.configuration()
    check_writable(model)
    texts = workload(read_texts(arguments.texts), model.version)
    environment = read_environment(arguments.environment)
    analyzer = find_perf_analyzer(environment, arguments.perf_analyzer)
    machine = this_machine(environment)
    busy = [f"The machine was busy: {machine.load:.0%} of its cores were in use before."] if machine.is_busy else []
    defaults = settings_of(config)
    about = [*_about(machine, arguments.device), f"Wished: {goal}", f"Tokens a text: {texts.lengths()}", *busy]
    for line in (*about, f"Defaults: {defaults}"):
        _say(line)
    with Servers(model, arguments.environment, analyzer, texts, goal, arguments.window) as servers:
        end = began + 60 * arguments.minutes
        ways = steps(model.device, machine.cores, config.max_batch_size)
        found = _search(defaults, servers, ways, end - fewest_seconds(arguments.window))
        left = end - time.monotonic()
        pairs = measure_pairs(defaults, found.best, servers, left, _say) if found.best != defaults else []
    tried = [f"Tried, as many times as good as the best until then{'' if found.is_complete else ' (time was up)'}:"]
    tried += [f"  {trial}" for trial in found.trials]
    if not pairs:
        _refuse(model, f"none of {len(found.trials)} others did better than the defaults")
    decision = Decision(goal, pairs)
    figures = [f"Tuned: {found.best}", *decision.figures()]
    at_once = ", ".join(
        f"{servers.rungs[one]} at once with the {name}" for one, name in ((defaults, "defaults"), (found.best, "tuned"))
    )
    for line in (*figures, at_once):
        _say(line)
    if reason := decision.refusal():
        _refuse(model, reason)
    remarks = [
        *(f"Date: {datetime.now(UTC):%Y-%m-%d}", f"Command: python -m benchmarks.tuning {shlex.join(sys.argv[1:])}"),
        *(*about, f"Defaults: {defaults}", *figures, f"Requests: {at_once}", *tried),
    ]
    _say(f"Written: {write_tuned(model, found.best, machine.cores, remarks)}. Serve it: make serve CONFIG={NAME}")


def _about(machine: Machine, device: str) -> list[str]:
    where = f"{machine.gpus[0]}, " if device == "gpu" and machine.gpus else ""
    packages = ", ".join(f"{name} {version}" for name, version in machine.triton.items())
    return [
        f"Machine: {where}{machine.processor}, {machine.cores} cores, {machine.memory_gb:g} GB, {machine.system}",
        f"Software: commit {machine.commit}, {packages}, memory from {machine.allocator}",
    ]


def _search(defaults: Settings, servers: Servers, ways: Sequence[Step], end: float) -> Search:
    goal, measured = servers.goal, servers.climb(defaults)
    if measured is None:
        raise BenchmarkError(
            f"with the defaults even one request at once has a p99 above {goal.p99_ms:g} ms: raise --p99"
        )
    _say(f"The defaults with {servers.rungs[defaults]} at once: {goal.figure(measured):,.1f} {goal.unit}")
    longest, last = 0.0, time.monotonic()

    def has_time() -> bool:
        nonlocal longest, last
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        return now + longest < end

    found = search(defaults, ways, servers, goal, has_time, _say)
    if not found.trials:
        raise BenchmarkError("there was no time to try anything: give more with --minutes (10 are enough for 2 cores)")
    if found.failure:
        raise BenchmarkError(f"none of {len(found.trials)} others could be measured; the last one: {found.failure}")
    return found


def _refuse(model: Model, reason: str) -> None:
    """End without a file."""
    path = tuned_path(model)
    earlier = f" {path}, of an earlier run, stays as it is." if path.exists() else ""
    _say(f"Nothing is written: {reason}. The defaults stay.{earlier}")
    sys.exit(NO_GAIN)


if __name__ == "__main__":
    run_command(main)
