"""What keeps the parts of `make serve` running: when one counts as ready, and what it is not stopped by."""

import errno
import os
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from unittest.mock import Mock

import pytest

from deploy import supervisor
from deploy.supervisor import SupervisedProcess
from server.processes.child import Child
from tests.support.triton_process import ROOT

ENDS = ["server", "nonsense"]
"""A process that ends with status 2, as one whose port is in use ends."""


def until_given_up(process: SupervisedProcess) -> int:
    while (status := process.poll()) is None:
        time.sleep(0.01)
    return status


def test_another_process_that_answers_in_its_place_does_not_make_it_ready(capfd: pytest.CaptureFixture[str]) -> None:
    """With a second `make serve` it was "ready" at once, ended, and was started again and again."""
    assert until_given_up(SupervisedProcess("Triton", ENDS, lambda: True, max_restarts=8)) == 2
    said = capfd.readouterr().err
    assert "error: Triton ended with exit status 2; everything is stopped." in said
    assert "again" not in said


def test_what_it_left_behind_may_answer_for_a_moment() -> None:
    answers = iter((True, True, False, True))
    process = SupervisedProcess("Triton", ["http.server", "--bind=127.0.0.1", "0"], lambda: next(answers), 8)
    found = []
    try:
        for _ in range(4):
            assert process.poll() is None
            found.append(process.is_ready)
    finally:
        process.stop()
    assert found == [False, False, False, True]


def test_what_can_not_be_started_for_a_moment_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As where a limit on processes is reached."""
    answers = cycle((False, True))
    process = SupervisedProcess("Triton", ["http.server", "--bind=127.0.0.1", "0"], lambda: next(answers), 8)
    try:
        assert process.poll() is None
        assert process.poll() is None
        assert process._process is not None
        process._process.kill_group()
        process._process.wait()
        assert process.poll() is None
        process._start_at = 0.0
        monkeypatch.setattr(supervisor, "Child", Mock(side_effect=BlockingIOError(errno.EAGAIN, "no more processes")))
        assert process.poll() is None
        monkeypatch.undo()
        process._start_at = 0.0
        assert process.poll() is None
        assert process._process is not None
    finally:
        process.stop()
    said = capfd.readouterr().err
    assert (
        "error: Triton could not be started (no more processes). It is started again in 1 s (restart 2 of 8)." in said
    )


def test_what_can_not_be_started_leaves_no_file_open() -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        Child(["/bin/true"], {}, directory=Path("/nowhere"))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("status", "said"), [(137, "137 (signal SIGKILL)"), (255, "255")])
def test_a_status_that_stands_for_a_signal_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    (tmp_path / "part.py").write_text(f"raise SystemExit({status})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert until_given_up(SupervisedProcess("part", ["part"], lambda: False, 8)) == status
    assert f"error: part ended with exit status {said}; everything is stopped." in capfd.readouterr().err


def run(code: str, *before: str, **more: object) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, text=True, timeout=60, **more)  # type: ignore[call-overload,no-any-return]


def test_a_full_disk_under_its_log_ends_nothing(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    (tmp_path / "part.py").write_text(f"import time\nopen({str(starts)!r}, 'a').write('x')\ntime.sleep(0.3)\n")
    code = (
        "from itertools import cycle\n"
        "from deploy.supervisor import SupervisedProcess, supervise\n"
        "from server.processes.child import await_signals\n"
        "await_signals()\n"
        "answers = cycle([False, True])\n"
        "supervise([SupervisedProcess('part', ['part'], lambda: next(answers), max_restarts=1)], lambda: True)"
    )
    with Path("/dev/full").open("w") as full:
        run(code, stdout=full, stderr=full, env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"})
    assert starts.read_text() == "xx"


def test_a_childs_end_is_heard_where_it_was_ignored_at_the_start() -> None:
    """Whoever waited for it would wait for ever, and be told of no status."""
    code = (
        "import sys\n"
        "from server.processes.child import Child, await_signals, next_signal\n"
        "await_signals()\n"
        "child = Child([sys.executable, '-c', 'raise SystemExit(3)'], {})\n"
        "next_signal(20)\n"
        "print(child.poll())"
    )
    ignoring = "from signal import *; signal(SIGCHLD, SIG_IGN)\nimport os, sys\nos.execv(sys.argv[1], sys.argv[1:])"
    assert run(code, sys.executable, "-c", ignoring, capture_output=True, check=True).stdout == "3\n"


@pytest.mark.parametrize("closed", ["1>&-", "2>&-"])
def test_a_log_that_is_closed_ends_nothing(closed: str) -> None:
    code = "import sys\nfrom server.messages import report\nreport('x')\nreport('x', sys.stdout)"
    run(code, "sh", "-c", f'exec "$0" "$@" {closed}', check=True)


def test_what_a_terminal_has_no_letters_for_ends_nothing() -> None:
    code = "import sys\nfrom server.messages import report\nreport('Ж \\udcff', sys.stdout)"
    found = run(code, capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert found.stdout == "\\u0416 \\udcff\n"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("ignored", [False, True])
def test_what_was_ignored_at_the_start_stays_ignored(number: signal.Signals, ignored: bool) -> None:
    """SIGHUP is under nohup, SIGINT in a script's background; SIGTERM always stops it."""
    code = (
        "import os, signal\n"
        "from server.processes.child import await_signals, next_signal\n"
        "await_signals()\n"
        f"os.kill(os.getpid(), {int(number)})\n"
        "print(next_signal(0))"
    )
    # Not a shell: it can't take back what is ignored where the tests themselves run.
    how = f"import os, signal, sys; signal.signal({int(number)}, signal.SIG_{'IGN' if ignored else 'DFL'}); "
    begin = (sys.executable, "-c", f"{how} os.execv(sys.argv[1], sys.argv[1:])")
    found = run(code, *begin, capture_output=True, check=True).stdout.strip()
    assert found == ("None" if ignored and number != signal.SIGTERM else str(int(number)))
