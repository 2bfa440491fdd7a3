"""CPU time and memory of programs, with all the processes they have started."""

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import psutil

from benchmarks.command import BenchmarkError

_IDLE: Final = 0.5
"""Cores. Some servers never rest: LitServe's polling alone takes a fifth of one."""
_LOOK_SECONDS: Final = 0.3


@dataclass(frozen=True)
class Usage:
    """CPU seconds spent so far, and memory in use now, shared pages divided among those who share them."""

    cpu_seconds: float
    memory_megabytes: float


def usage(pids: Iterable[int]) -> Usage:
    """What these processes and their descendants use, together.

    Raises:
        BenchmarkError: one of them has ended.
    """
    with _alive():
        there = [process for pid in pids for process in _tree(pid)]
        return Usage(sum(map(_cpu, there)), sum(process.memory_full_info().pss for process in there) / 1e6)


def cpu_seconds(pid: int) -> float:
    """What a process and its descendants have spent so far; without their memory, which takes longer to learn.

    Raises:
        BenchmarkError: one of them has ended.
    """
    with _alive():
        return sum(map(_cpu, _tree(pid)))


@contextlib.contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess as error:
        raise BenchmarkError(f"a measured process (pid {error.pid}) ended during the measurement") from None


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    # Time of children that have ended is in their parent's; those that live are counted themselves.
    return float(times.user + times.system + times.children_user + times.children_system)


def settle(pids: Collection[int], seconds: float = 20.0) -> None:
    """Wait until these process trees are idle: requests whose client has gone are often computed all the same.

    Gives up after `seconds`.
    """
    deadline, before = time.monotonic() + seconds, usage(pids).cpu_seconds
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        now = usage(pids).cpu_seconds
        if now - before < _IDLE * _LOOK_SECONDS:
            return
        before = now
