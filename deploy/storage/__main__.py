"""`python -m deploy.storage`: `push` a model repository into a bucket, or `fetch` it from one.

    python -m deploy.storage push model_repository s3://bucket/models
    python -m deploy.storage fetch s3://bucket/models /repository/models --every 15

Exit status: 0 done, 1 not (one sentence says why), 2 a wrong command line, 130 or 143 stopped by a signal before it
was done.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

try:
    from deploy.storage.bucket import Bucket, StorageError
    from deploy.storage.copy import LocalCopy
    from deploy.storage.push import push
except ModuleNotFoundError as missing:
    print(
        f"error: {missing.name} is not installed here: pip install --no-deps --require-hashes --requirement "
        "locks/storage.txt",
        file=sys.stderr,
    )
    sys.exit(2)

_RETRY_SECONDS: Final = 5.0
_STUCK_SECONDS: Final = 3.0
_STOPPED: Final = 128 + signal.SIGTERM
_ADDRESS: Final = "s3://bucket/prefix, or s3://http://host:port/bucket/prefix for a store of your own"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; `sys.argv`'s if None.
    """
    parsed = _parser().parse_args(arguments)
    os.umask(0o022)  # Triton runs as another user and reads what is written here.
    # What goes on for ever is done whenever it is stopped; anything else is not.
    stopped = 0 if getattr(parsed, "every", None) is not None else _STOPPED
    with _stoppable(stopped):
        return _run(parsed)


@contextlib.contextmanager
def _stoppable(status: int) -> Iterator[None]:
    """End with this status at SIGTERM, and within seconds at any signal, though the store does not answer.

    Python's own handlers wait for the library's call to return, and it may take minutes.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(status))
    told, tell = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(tell, False)

    def end_if_stuck() -> None:
        number = os.read(told, 1)
        os.close(told)
        if number:
            time.sleep(_STUCK_SECONDS)
            os._exit(status if number[0] == signal.SIGTERM else 128 + number[0])

    threading.Thread(target=end_if_stuck, daemon=True).start()
    before = signal.set_wakeup_fd(tell)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(tell)


def _run(parsed: argparse.Namespace) -> int:
    try:
        bucket = Bucket(parsed.bucket)
        if parsed.command == "push":
            push(parsed.repository, bucket, _say, prune=parsed.prune)
            return 0
        return _fetch(LocalCopy(parsed.directory, bucket, keep_seconds=parsed.keep), parsed.every, parsed.patience)
    except (StorageError, OSError) as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _fetch(copy: LocalCopy, every: float | None, patience: float) -> int:
    """Until the copy can be served; with `every`, then for ever."""
    said: set[str] = set()
    give_up_at = time.monotonic() + patience
    with copy.locked():
        while True:
            try:
                problems = copy.update(_say)
            except (StorageError, OSError) as error:
                problems = [str(error)]
            for problem in problems:
                if problem not in said:
                    _say(f"warning: {problem}")
            said = set(problems)  # what is over and comes again is said again
            if every is not None:
                time.sleep(every)
                continue
            lacking = copy.lacking()
            if lacking is None:
                return 0
            if time.monotonic() >= give_up_at:
                raise StorageError(f"{lacking} after {patience:g} s{': ' if problems else ''}{'; '.join(problems)}")
            time.sleep(min(_RETRY_SECONDS, max(give_up_at - time.monotonic(), 0.1)))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.storage",
        description="The model repository in a bucket. Credentials and region: the variables AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and so on.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    pushing = commands.add_parser("push", help="a local repository into the bucket", allow_abbrev=False)
    pushing.add_argument("repository", type=Path, help="model repository on this machine")
    pushing.add_argument("bucket", help=_ADDRESS)
    pushing.add_argument(
        "--prune", action="store_true", help="then remove versions that are neither here nor named by a configuration"
    )
    fetching = commands.add_parser("fetch", help="the bucket's repository into a directory", allow_abbrev=False)
    fetching.add_argument("bucket", help=_ADDRESS)
    fetching.add_argument("directory", type=Path, help="is made if need be; new versions are made beside it")
    fetching.add_argument("--every", type=_seconds, metavar="SECONDS", help="go on for ever, looking this often")
    fetching.add_argument(
        "--patience",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="without --every: until every model has a whole version (default: %(default)g)",
    )
    fetching.add_argument(
        "--keep",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="for which a version that left the bucket stays here, as Triton may still serve it (default: %(default)g)",
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0 seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
