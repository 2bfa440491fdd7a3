"""What takes longer: memory, a Triton that dies, kills at any moment. `make drills DRILLS=tests/clients`."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from clients.bulk.engines import opening
from clients.bulk.engines.own_triton import OwnTriton
from clients.bulk.errors import BulkError
from tests.clients.bulk.jobs import HOSTILE, read, score, write_json
from tests.gateway.support import small_model
from tests.support.triton_process import ROOT, TritonProcess, running_triton, triton_environment
from tests.support.waiting import wait_until


def command(source: Path, output: Path, triton: str, repository: Path) -> list[str]:
    program = [sys.executable, "-m", "clients.bulk", str(source), str(output)]
    return [*program, f"--triton={triton}", f"--repository={repository}", "--quiet"]


_MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def peak_memory(command: list[str]) -> int:
    """Bytes that a command had at most."""
    # A child's highest value begins with the size of the process that made it: here of all that the tests import.
    with (Path(command[4]).with_suffix(".log")).open("wb") as log:
        measured = [sys.executable, "-c", _MEASURED, *command]
        used = subprocess.run(measured, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, check=True).stdout
    return int(used.splitlines()[-1]) * 1024


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose small model takes as many rows a call as the real ones."""
    path = tmp_path_factory.mktemp("wide") / "model_repository"
    path.mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(small_model, "MAX_BATCH_SIZE", 64)
        small_model.publish(path, 1)
    return path


@pytest.mark.drill
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_many_rows_need_no_more_memory_than_few(wide: Path, tmp_path: Path, suffix: str) -> None:
    few, many = tmp_path / "few.csv", tmp_path / "many.csv"
    for path, count in ((few, 50_000), (many, 200_000)):
        with path.open("w", encoding="utf-8") as file:
            file.write("id,text\n")
            for number in range(count):
                file.write(f"{number},{'рад и грустно ' * (number % 17)}{number}\n")
    with running_triton(wide) as triton:
        used = [
            peak_memory(command(path, tmp_path / f"scored-{path.stem}.{suffix}", triton.grpc_url, wide))
            for path in (few, many)
        ]
    print(f"\n{suffix}: {[f'{bytes_ / 1e6:.0f} MB' for bytes_ in used]} for 50,000 and 200,000 rows")
    assert used[1] < used[0] + 40e6


@pytest.mark.drill
def test_rows_of_a_megabyte_need_little_memory(wide: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    with source.open("w", encoding="utf-8") as file:
        file.write("id,text\n")
        for number in range(2000):
            file.write(f"{number},{'я' * 1_000_000}\n")
    with running_triton(wide) as triton:
        used = peak_memory(command(source, tmp_path / "out.csv", triton.grpc_url, wide))
    print(f"\n{used / 1e6:.0f} MB for 2,000 rows of 2 MB")
    assert used < 400e6


@pytest.mark.drill
def test_a_triton_that_dies_and_comes_back(repository: Path, tmp_path: Path) -> None:
    source = write_json(tmp_path / "in.jsonl", [*HOSTILE, *(f"рад {number}" for number in range(30_000))])
    with running_triton(repository) as triton:
        assert score(source, tmp_path / "whole.jsonl", f"--triton={triton.grpc_url}", f"--repository={repository}") == 0
        port = f"--grpc-port={triton.grpc_port}"
        job = subprocess.Popen(command(source, tmp_path / "out.jsonl", triton.grpc_url, repository), cwd=ROOT)
        part = tmp_path / "out.jsonl.part"
        wait_until(lambda: part.exists() and part.stat().st_size > 100_000, job.poll)
        triton.stop(signal.SIGTERM)
    time.sleep(2)
    assert job.poll() is None
    with running_triton(repository, port):
        assert job.wait(120) == 0
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.drill
def test_killed_at_any_moment(triton: TritonProcess, repository: Path, tmp_path: Path) -> None:
    source = write_json(tmp_path / "in.jsonl", [*HOSTILE, *(f"рад {number}" for number in range(20_000))])
    for suffix in ("csv", "parquet"):
        whole, output = tmp_path / f"whole.{suffix}", tmp_path / f"out.{suffix}"
        assert score(source, whole, f"--triton={triton.grpc_url}", f"--repository={repository}") == 0
        kills = 0
        chance = random.Random(7)  # noqa: S311
        while not output.exists():
            job = subprocess.Popen(command(source, output, triton.grpc_url, repository), cwd=ROOT)
            try:
                assert job.wait(chance.uniform(0.5, 4)) == 0
            except subprocess.TimeoutExpired:
                job.kill()
                job.wait()
                kills += 1
            assert kills < 100
        print(f"\n{suffix}: {kills} kills")
        subprocess.run(command(source, output, triton.grpc_url, repository), cwd=ROOT, check=False)
        assert output.read_bytes() == whole.read_bytes()
        assert not list(tmp_path.glob("*.part*"))


def test_a_triton_of_its_own(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "USUAL_TRITON", "127.0.0.1:1")
    source = write_json(tmp_path / "in.jsonl", HOSTILE)
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    flags = [f"--repository={repository}", f"--environment={triton_environment()}"]
    assert score(source, tmp_path / "out.jsonl", *flags) == 0
    assert len(read(tmp_path / "out.jsonl")) == len(HOSTILE)
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before
    with pytest.raises(BulkError, match="has no model in it"):
        score(source, tmp_path / "none.jsonl", f"--repository={tmp_path}", *flags[1:])


@pytest.mark.drill
def test_its_own_triton_is_started_again(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "USUAL_TRITON", "127.0.0.1:1")
    started: list[OwnTriton] = []
    monkeypatch.setattr(opening, "OwnTriton", lambda *given: started.append(OwnTriton(*given)) or started[-1])
    source = write_json(tmp_path / "in.jsonl", [f"рад {number}" for number in range(30_000)])
    flags = [f"--repository={repository}", f"--environment={triton_environment()}"]
    assert score(source, tmp_path / "whole.jsonl", *flags) == 0
    killer = subprocess.Popen(
        [sys.executable, "-c", KILL, str(os.getpid()), str(tmp_path / "out.jsonl.part")], stdout=subprocess.PIPE
    )
    assert score(source, tmp_path / "out.jsonl", *flags) == 0
    assert killer.communicate()[0].strip() == b"killed"
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len(started) == 2


KILL = """
import pathlib, psutil, sys, time
part = pathlib.Path(sys.argv[2])
while not part.exists() or part.stat().st_size < 100_000:
    time.sleep(0.05)
for process in psutil.Process(int(sys.argv[1])).children(recursive=True):
    if process.name() == "tritonserver":
        process.kill()
        print("killed")
        break
"""


@pytest.mark.drill
def test_its_own_triton_goes_with_a_killed_job(repository: Path) -> None:
    code = (
        "from clients.bulk.engines.own_triton import OwnTriton; from pathlib import Path; import time;"
        f"own = OwnTriton(Path({str(repository)!r}), Path({str(triton_environment())!r})); print(1, flush=True);"
        "time.sleep(600)"
    )
    job = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert job.stdout is not None
    assert job.stdout.readline() == b"1\n"
    family = psutil.Process(job.pid).children(recursive=True)
    assert len(family) >= 3
    job.kill()
    job.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
