"""The way without an engine: the same command for every shard, as an Indexed Job starts it."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from clients.bulk.__main__ import main as bulk
from clients.cluster.__main__ import INDEX, main
from clients.cluster.job import JOB
from contract.labels import EMOTIONS
from tests.clients.cluster.conftest import Place, scored_by_one_shard
from tests.clients.cluster.jobs import ROWS_PER_PART, command, parts, start, whole, write_input
from tests.support.triton_process import ROOT
from tests.support.waiting import wait_until

MANIFEST = ROOT / "deploy/kubernetes/bulk-job.yaml"


def flags(triton: Place, *more: str) -> list[str]:
    return [f"--triton={triton.address}", f"--repository={triton.repository}", *more]


def test_one_shard_answers_as_bulk_does(expected: pa.Table, source: Path, triton: Place, tmp_path: Path) -> None:
    output = tmp_path / "scored.parquet"
    assert bulk([str(source), str(output), *flags(triton), "--quiet"]) == 0
    by_bulk = parquet.read_table(output)
    assert expected.schema.equals(by_bulk.schema)
    assert expected["row"].to_pylist() == [*range(1, len(expected) + 1)]
    assert expected["error"].null_count == len(expected) - len(expected) // 10
    for name in expected.column_names:
        ours, others = expected[name].to_pylist(), by_bulk[name].to_pylist()
        # Other texts beside it in a call move a probability's last digit.
        assert ours == (pytest.approx(others, abs=2e-6) if name in EMOTIONS else others), name


def test_the_manifest_scores_every_row_once(
    expected: pa.Table, source: Path, triton: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = next(one for one in yaml.safe_load_all(MANIFEST.read_text("utf-8")) if one["kind"] == "Job")["spec"]
    given = job["template"]["spec"]["containers"][0]["args"]
    output = tmp_path / "scored"
    changed = {"/data/reviews.csv": str(source), "/data/reviews.scored": str(output)}
    arguments = [changed.get(argument, argument) for argument in given]
    for index in range(job["completions"]):
        monkeypatch.setenv(INDEX, str(index))
        # Of a flag that is given twice, the last counts.
        assert main([*arguments, *flags(triton, f"--rows-per-part={ROWS_PER_PART}")]) == 0
    assert whole(output).equals(expected)


def test_a_killed_shard_goes_on(expected: pa.Table, source: Path, triton: Place, tmp_path: Path) -> None:
    output = tmp_path / "scored"
    arguments = command("cluster", source, output, "--shards=1", "--shard=0", *flags(triton))
    killed = start(arguments, tmp_path / "log")
    wait_until(lambda: len(parts(output)) > 3, (tmp_path / "log").read_text)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = parts(output)
    (output / ".part-000001.parquet.killed").write_bytes(b"half")
    subprocess.run(arguments, cwd=ROOT, check=True, timeout=120)
    assert before.items() <= parts(output).items()
    assert whole(output).equals(expected)
    assert not list(output.glob(".part-*"))


def test_a_directory_is_one_input(triton: Place, tmp_path: Path) -> None:
    directory = tmp_path / "input"
    directory.mkdir()
    write_input(directory / "b.csv", 30)
    write_input(directory / "a.csv", 70)
    (directory / "_ignored").write_text("no rows")
    scored = scored_by_one_shard(directory, triton.address, triton.repository, tmp_path / "scored")
    assert scored["row"].to_pylist() == [*range(1, 101)]
    assert scored["id"].to_pylist() == [f"id-{number}" for number in (*range(70), *range(30))]


def said(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main([*arguments, "--shards=1", "--shard=0"])
    return status, capsys.readouterr().err


def test_another_job_in_the_same_place_is_refused(
    triton: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "scored"
    write_input(source, 5)
    arguments = [str(source), str(output), *flags(triton)]
    assert said(arguments, capsys)[0] == 0
    assert said(arguments, capsys)[0] == 0
    status, error = said([*arguments, "--profile=moderation"], capsys)
    assert status == 2
    assert "another profile" in error
    write_input(source, 6)
    status, error = said(arguments, capsys)
    assert status == 2
    assert "another input" in error
    (output / JOB).write_text("{")
    status, error = said(arguments, capsys)
    assert status == 2
    assert "is damaged" in error


def test_a_shard_that_is_asked_to_stop_says_that_it_can_go_on(triton: Place, tmp_path: Path) -> None:
    source, output, log = tmp_path / "in.csv", tmp_path / "scored", tmp_path / "log"
    write_input(source, 20_000)
    arguments = command("cluster", source, output, "--shards=1", "--shard=0", *flags(triton))
    job = start(arguments, log)
    wait_until(lambda: parts(output), log.read_text)
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 128 + signal.SIGTERM
    assert log.read_text().startswith("stopped. What is done is kept")


@pytest.mark.parametrize(("part", "library"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_installed_is_named(part: str, library: str, source: Path, tmp_path: Path) -> None:
    asked = command(part, source, tmp_path / "scored")
    job = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert job.returncode == 2
    assert job.stderr == f"error: {library} is not installed here: pip install '.[{part}]'\n"


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        (["--shard=3"], 2, "no number from 0 to 2"),
        (["--shard=0", "--profile=none"], 2, "has no profile 'none'"),
        (["--shard=0", "--version=77"], 2, "serves no version 77"),
        (["--shard=0", "--text=nowhere"], 2, "no column 'nowhere'"),
        (["--shard=0", "--triton=127.0.0.1:9", "--patience=0.1"], 3, "no Triton answered"),
    ],
)
def test_what_is_wrong_is_said(
    more: list[str],
    status: int,
    told: str,
    source: Path,
    triton: Place,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(source), str(tmp_path / "scored"), *flags(triton), "--shards=3", *more]) == status
    assert told in capsys.readouterr().err


def test_an_output_with_other_files_is_refused(
    source: Path, triton: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.parquet").touch()
    status, error = said([str(source), str(tmp_path), *flags(triton)], capsys)
    assert status == 2
    assert "already holds mine.parquet" in error
