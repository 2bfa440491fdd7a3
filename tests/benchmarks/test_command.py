"""`python -m benchmarks`, short, on the real parts; and how every benchmark command ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report.results import Results
from tests.support.triton_process import ROOT, triton_environment


def bench(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    texts = tmp_path / "texts.jsonl"
    lines = [json.dumps({"text": f"Текст {number}." + " И ещё." * (number % 8)}) for number in range(64)]
    texts.write_text("\n".join(lines))
    command = [
        *(sys.executable, "-m", "benchmarks", f"--texts={texts}", f"--environment={triton_environment()}"),
        *(f"--output={tmp_path / 'out/REPORT.md'}", "--seconds=1", *arguments),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_two_rounds_of_one_part(tmp_path: Path) -> None:
    ended = bench(tmp_path, "--parts", "ceilings", "--subjects", "tokenizer", "--rounds", "2")
    assert ended.returncode == 0, ended.stderr
    found = Results.load(tmp_path / "out/report/results.json")
    assert [one.round for one in found.measurements] == [1, 1, 2, 2]
    assert found.machine.triton["nvidia-pytriton"] == "0.7.0"
    assert "## Without a server" in (tmp_path / "out/REPORT.md").read_text(encoding="utf-8")


def test_a_subject_that_is_not_there(tmp_path: Path) -> None:
    ended = bench(tmp_path, "--parts", "ceilings", "--subjects", "nothing")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no subject has nothing in its name; there are: tokenizer, CPU graph")


def command_that(does: str) -> list[str]:
    lines = ("import sys", "from pathlib import Path", "from benchmarks.command import run_command")
    return [sys.executable, "-c", "\n".join([*lines, "def main():", f"    {does}", "run_command(main)"])]


def test_a_full_disk_is_a_sentence() -> None:
    full = command_that("Path('/dev/full').write_text('x')")
    ended = subprocess.run(full, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "error: [Errno 28] No space left on device\n")


WAITS = """
    try:
        print("begun", flush=True)
        sys.stdin.read()
    finally:
        print("cleared away", flush=True)
"""


def waiting(command: list[str]) -> subprocess.Popen[str]:
    """One that waits until its standard input is closed."""
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_it_lets_it_clear_away(number: signal.Signals) -> None:
    python, flag, code = command_that(WAITS)
    # As in a terminal, also where the tests themselves run under nohup.
    usual = [python, flag, f"import signal\nsignal.signal({int(number)}, signal.SIG_DFL)\n{code}"]
    with waiting(usual) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.stdout.read() == "cleared away\n"
    assert process.returncode == 128 + number


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    with waiting(["nohup", *command_that(WAITS)]) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGHUP)
        process.stdin.close()
        assert process.stdout.read() == "cleared away\n"
    assert process.returncode == 0
