"""A job that is killed, at whatever moment, goes on to the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.triton_process import ROOT, TritonProcess


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_killed_at_every_write(triton: TritonProcess, repository: Path, tmp_path: Path, suffix: str) -> None:
    rows = [f'{number},"{"рад " * (number % 9)}, ""ого""\nстрашно"' for number in range(30)]
    rows[7], rows[20] = "7,", '20,"а\0б"'
    source = tmp_path / "in.csv"
    source.write_text("id,text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    directory = tmp_path / "out"
    directory.mkdir()
    command = [sys.executable, "-m", "tests.clients.bulk.kill_points", triton.grpc_url, str(repository), str(source)]
    done = subprocess.run([*command, str(directory), suffix], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["kills"] >= 20
    assert found["outputs"] == 1
    assert found["statuses"] == [0]
