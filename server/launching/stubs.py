"""The processes of model instances: noticing one that died, which Triton itself does not report.

NVIDIA's Python backend runs each instance in a stub process. When one is killed or crashes,
tritonserver stays ready and answers that instance's share of all requests with errors, for
ever (triton-inference-server/server issues 7230 and 8604). It waits for a stub that it has
stopped itself, but not for one that died: that one remains a zombie.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 2.0
_PARENT, _EXIT_CODE = 1, 49  # fields of /proc/<pid>/stat after the name (proc(5): 4 and 52)


class DeadStubWatch:
    """Finds a child that remained a zombie from one look to the next."""

    def __init__(self, parent: int, proc: Path = Path("/proc")) -> None:
        self._parent = parent
        self._proc = proc
        self._seen: dict[int, int] = {}
        self._ignored: set[int] = set()

    def find_dead(self) -> tuple[int, int] | None:
        """Pid and return code (negative: the signal) of a dead stub, None if all live."""
        zombies = dict(_zombies(self._parent, self._proc))
        self._ignored &= zombies.keys()
        before, self._seen = self._seen, {pid: code for pid, code in zombies.items() if pid not in self._ignored}
        return next(((pid, code) for pid, code in self._seen.items() if pid in before), None)

    def ignore_dead(self) -> None:
        """Leave out those that are dead now: their versions could not be loaded, and serve nobody."""
        self._ignored.update(pid for pid, _ in _zombies(self._parent, self._proc))
        self._seen = {}


def _zombies(parent: int, proc: Path) -> Iterator[tuple[int, int]]:
    for directory in proc.glob("[0-9]*"):
        try:
            # The name, in parentheses, may hold anything.
            fields = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        if fields[0] == "Z" and int(fields[_PARENT]) == parent:
            yield int(directory.name), os.waitstatus_to_exitcode(int(fields[_EXIT_CODE]))
