"""Does a job again and again, killed at each of its writes in turn, and finishes what is left.

`python -m tests.clients.bulk.kill_points TRITON REPOSITORY INPUT DIRECTORY SUFFIX STEP` prints, as JSON, how often a
job was killed and how many different outputs came of it; of the writes it tries each STEP-th. In a process of its own:
it forks before gRPC has begun.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet

from clients.bulk import job
from clients.bulk.command import main
from clients.bulk.writing import journal


def in_child(arguments: list[str], kill_at: int | None) -> int:
    """One run; gives its exit status, or minus the signal."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(operation: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                nonlocal count
                count += 1
                if count == kill_at and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                answer = operation(*given, **named)
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

            return call

        # Killed before a rename, and after what is synchronised or written.
        os.fsync, os.replace = counted(os.fsync, after=True), counted(os.replace, after=False)
        journal.Journal.append = counted(journal.Journal.append, after=True)  # type: ignore[method-assign]
        Path.unlink = counted(Path.unlink, after=False)  # type: ignore[method-assign]
        os._exit(main(arguments))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def run(triton: str, repository: str, source: str, directory: str, suffix: str, step: str) -> None:
    # Many chunks and a mark after each, of a file with few rows.
    job._CHUNK_TEXTS, journal._MARK_SECONDS = 8, 0.0  # type: ignore[misc]
    pyarrow.array([""])  # imports what it needs once, and not in every child
    output = Path(directory) / f"scored.{suffix}"
    arguments = [source, str(output), f"--triton={triton}", f"--repository={repository}", "--quiet"]
    digests, statuses, kills, kill_at = set(), set(), 0, 1
    while True:
        killed = in_child(arguments, kill_at) == -signal.SIGKILL
        if killed:
            kills += 1
            if kills % 2:  # once more, where it goes on
                in_child(arguments, kill_at=2 + kills % 7)
            if not output.exists() or list(output.parent.glob("*.part*")):
                statuses.add(in_child(arguments, kill_at=None))
        digests.add(hashlib.sha256(output.read_bytes()).hexdigest())
        left = [path.name for path in output.parent.iterdir() if path != output]
        assert not left, f"killed at write {kill_at}, it left {left}"
        output.unlink()
        if not killed:
            print(json.dumps({"kills": kills, "outputs": len(digests), "statuses": sorted(statuses)}))
            return
        kill_at += int(step)


if __name__ == "__main__":
    run(*sys.argv[1:])
