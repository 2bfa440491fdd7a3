"""A job that is killed, at whatever moment, goes on to the same bytes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.triton_process import ROOT, TritonProcess


def kill_points(triton: TritonProcess, repository: Path, directory: Path, suffix: str, step: int) -> dict[str, Any]:
    rows = [f'{number},"{"рад " * (number % 9)}, ""ого""\nстрашно"' for number in range(20)]
    rows[7], rows[17] = "7,", '17,"а\0б"'
    source = directory / "in.csv"
    source.write_text("id,text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (directory / "out").mkdir()
    command = [sys.executable, "-m", "tests.clients.bulk.kill_points", triton.grpc_url, str(repository), str(source)]
    command += [str(directory / "out"), suffix, str(step)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_killed_at_some_writes(triton: TritonProcess, repository: Path, tmp_path: Path, suffix: str) -> None:
    found = kill_points(triton, repository, tmp_path, suffix, 6)
    assert found == {"kills": found["kills"], "outputs": 1, "statuses": [0]}
    assert found["kills"] >= 4


@pytest.mark.drill
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_killed_at_every_write(triton: TritonProcess, repository: Path, tmp_path: Path, suffix: str) -> None:
    found = kill_points(triton, repository, tmp_path, suffix, 1)
    assert found == {"kills": found["kills"], "outputs": 1, "statuses": [0]}
    assert found["kills"] >= 25
