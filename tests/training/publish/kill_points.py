"""Does what changes versions again and again, killed before each of its touches of the file system in turn.

`python -m tests.training.publish.kill_points OPERATION DIRECTORY` prints at how many it was killed. It fails if
anything but whole versions is left, or the next publish does not clear up. In a process of its own: it forks hundreds
of times, and a fork of the tests' process, with PyTorch in it, costs several times as much.
"""

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.training.support.version_directories import MODEL, make_repository, write_version
from training.common.staging import staged
from training.export.integrity import damage
from training.publish.versions import add_version, prune, roll_back, versions_of

TOUCHES = {
    "open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir",
    "shutil.rmtree", "fcntl.flock",
}  # fmt: skip


def numbers(repository: Path) -> list[str]:
    return [path.name for path in versions_of(repository / MODEL)]


def publish_first(repository: Path) -> Path:
    with staged(repository.parent) as directory:
        write_version(directory, b"first")
        return add_version(repository, MODEL, directory)


OPERATIONS: dict[str, tuple[Callable[[Path], object], int]] = {
    "first version": (publish_first, 0),
    "next version": (publish_first, 4),
    "rollback": (lambda repository: roll_back(repository, MODEL, "1"), 4),
    "prune": (lambda repository: prune(repository, MODEL, 2), 4),
}
"""What is done, and how many versions there are before."""


def killed_at(touch: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that gets SIGKILL before its n-th touch of the file system; True if it came so far."""
    child = os.fork()
    if not child:
        touched = 0

        def count(event: str, _: object) -> None:
            nonlocal touched
            if event in TOUCHES:  # os.kill is an event itself.
                touched += 1
                if touched == touch:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def run(operation: str, directory: Path) -> int:
    """Until it is not killed any more; gives at how many touches it was."""
    work, before = OPERATIONS[operation]
    touch, finished = 0, False
    while not finished:
        touch += 1
        place = directory / str(touch)
        place.mkdir()
        repository = make_repository(place, before) if before else place / "models"
        finished = not killed_at(touch, lambda repository=repository: work(repository))  # type: ignore[misc]
        left = versions_of(repository / MODEL)
        for version in left:
            assert damage(version) == [], touch
        names = [path.name for path in left]
        assert names[-2:] in (["3", "4"], ["4", "5"]) if before else len(names) <= 1, (touch, names)
        if (repository / MODEL).exists():
            others = {path.name for path in (repository / MODEL).iterdir()} - set(names)
            assert others == {"config.pbtxt", "configs", "labels.txt"}, (touch, others)
        # The next one clears up and works as if nothing had been.
        publish_first(repository)
        assert numbers(repository)[-1] == str(int(names[-1]) + 1 if left else 1), touch
        assert list(place.iterdir()) == [repository], touch
        shutil.rmtree(place)
    return touch


if __name__ == "__main__":
    print(run(sys.argv[1], Path(sys.argv[2])))
