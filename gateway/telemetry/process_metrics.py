"""The gateway's own processes: which build they run, what they use, and how often a worker was replaced.

Several workers meet in a directory of prometheus_client's, in files that each names by its process id.
"""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from platform import python_version
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

MULTIPROCESS_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where workers meet; read by prometheus_client when it is imported."""
_FILES: Final = ("counter", "histogram", "gauge_livesum", "gauge_livemin", "gauge_livemax")
"""Of each process, by prometheus_client's names for what they hold."""
_FILE_BYTES: Final = 1 << 18
"""Some thousand figures."""
_CPU: Final = "process_cpu_seconds"
_START: Final = "process_start_time_seconds"
_STATE, _PARENT, _CHILDREN_USER, _CHILDREN_SYSTEM = 0, 1, 13, 14
"""Of the fields behind the name in /proc/<pid>/stat, see proc(5)."""


def are_shared() -> bool:
    """Whether this process is one of several workers, or their parent."""
    return MULTIPROCESS_DIRECTORY in os.environ


class NoRoomError(OSError):
    """The directory where workers meet can't be had, or is full; says what to do."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"several workers keep their figures in a temporary directory, which can't be written ({error.strerror}): "
            "make room, set TMPDIR to another one, or run one worker"
        )


def reserve_room() -> None:
    """Take the room that this process's figures need before there are any.

    prometheus_client maps files that have a size and no room yet. Were the disk full when it writes there, the
    process would be killed (SIGBUS).

    Raises:
        NoRoomError: there is none.
    """
    try:
        for kind in _FILES:
            path = Path(os.environ[MULTIPROCESS_DIRECTORY], f"{kind}_{os.getpid()}.db")
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)
    except OSError as error:
        raise NoRoomError(error) from None


def worker_restarts(registry: CollectorRegistry) -> Counter:
    """The counter of workers that died and were replaced; their parent counts."""
    return Counter("emotion_worker_restarts", "Workers that died or hung, and were replaced", registry=registry)


def forget_dead_workers(*, own: bool = False) -> None:
    """What a worker was doing when it died, it does no more; what it has counted stays.

    Args:
        own: also what an earlier worker with this one's process id was doing.
    """
    alive = {worker for worker in _workers() if _stat(worker)[_STATE] != "Z"}
    if own:
        alive.discard(os.getpid())
    for file in Path(os.environ[MULTIPROCESS_DIRECTORY]).glob("gauge_live*_*.db"):
        if _process(file) not in alive:
            file.unlink(missing_ok=True)


class ProcessMetrics(Collector):
    """Build information and the `process_…` metrics; of several workers, of all together."""

    def __init__(self, version: str, revision: str) -> None:
        """Nothing is read yet.

        Args:
            version: the package's.
            revision: what it was built from.
        """
        self._build = {"version": version, "revision": revision, "python": python_version()}

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client."""
        build = GaugeMetricFamily("emotion_build_info", "1; what runs is in the labels", labels=list(self._build))
        build.add_metric(list(self._build.values()), 1)
        yield build
        yield from _of_all_workers() if are_shared() else ProcessCollector(registry=None).collect()


def _of_all_workers() -> Iterator[Metric]:
    """Sums over the workers; when the gateway started is when their parent did.

    Of CPU time also that of workers that have died, and of processes that checked tokenizers for them.
    """
    parent = os.getppid()
    while True:
        # A worker's time, its children's included, moves to its parent's books when it is buried: read while that
        # happens, it would be there twice, or not at all, and a counter must never fall.
        of_the_dead = _seconds_of_children(parent)
        workers = _workers()
        of_each = [_figures(worker) for worker in workers]
        of_children = of_the_dead + sum(map(_seconds_of_children, workers))
        if _seconds_of_children(parent) == of_the_dead:
            break
    totals: dict[str, Metric] = {}
    values: dict[str, float] = {_CPU: of_children}
    for family in chain.from_iterable(of_each):
        totals[family.name] = family
        values[family.name] = values.get(family.name, 0.0) + family.samples[0].value
    for family in _figures(parent):
        if family.name == _START:
            values[_START] = family.samples[0].value
    for name, family in totals.items():
        kind = CounterMetricFamily if name == _CPU else GaugeMetricFamily
        yield kind(name, family.documentation, value=values[name])


def _figures(process: int) -> list[Metric]:
    return [*ProcessCollector(pid=lambda: process, registry=None).collect()]


def _workers() -> list[int]:
    """Those of this worker's parent that have begun to count; who has just died, and is not buried, included."""
    parent = str(os.getppid())
    found = (_process(file) for file in Path(os.environ[MULTIPROCESS_DIRECTORY]).glob("counter_*.db"))
    return sorted(process for process in found if _stat(process)[_PARENT] == parent)


def _seconds_of_children(process: int) -> float:
    """CPU time of its children that have ended, and of theirs."""
    fields = _stat(process)
    return (int(fields[_CHILDREN_USER]) + int(fields[_CHILDREN_SYSTEM])) / os.sysconf("SC_CLK_TCK")


def _stat(process: int) -> list[str]:
    """The fields behind its name of a process's /proc/<pid>/stat; zeros if there is none such."""
    try:
        line = Path("/proc", str(process), "stat").read_text("latin-1")
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * (_CHILDREN_SYSTEM + 1)
    return line.rpartition(")")[2].split()


def _process(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])
