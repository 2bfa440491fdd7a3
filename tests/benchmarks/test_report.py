"""The report says what was measured, what failed, and what can't be concluded."""

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.command import BenchmarkError
from benchmarks.parts import http, triton
from benchmarks.parts.rounds import Failure, Measurement
from benchmarks.report.machine import Machine, this_machine
from benchmarks.report.results import Results
from benchmarks.report.writing import write_report
from server.environment.triton_environment import read_environment
from tests.support.triton_process import ROOT, triton_environment

QUIET = Machine(
    processor="A Processor", cores=2, memory_gb=8.0, gpus=[], system="Linux", load=0.1, python="3.11.9",
    packages={"numpy": "2.4.6"}, triton={"nvidia-pytriton": "0.7.0"}, allocator="glibc", commit="abc1234",
)  # fmt: skip


def measurements(subject: str, *rates: float) -> list[Measurement]:
    return [
        Measurement(
            part=http.PART, subject=subject, case=http.case(1, connections), round=number,
            figures={"requests_per_second": rate, "texts_per_second": rate, "p99_ms": 5e4 / rate, "errors": 0.0},
        )
        for connections in (16, 64) for number, rate in enumerate(rates, start=1)
    ]  # fmt: skip


def results(*rows: Measurement, **changes: object) -> Results:
    fields: dict[str, object] = {
        "title": "Benchmarks", "started": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
        "command": "python -m benchmarks", "machine": QUIET, "model": {"emotion_rubert": "version 1"},
        "tokens": {"texts": 10, "mean": 23.5, "p50": 21.0, "p95": 44.0, "longest": 90}, "rounds": 2, "remarks": [],
        "measurements": list(rows), "failures": [],
    }  # fmt: skip
    return Results.model_validate(fields | changes)


def report(found: Results, directory: Path) -> str:
    write_report(found, directory / "REPORT.md", directory / "report")
    return (directory / "REPORT.md").read_text(encoding="utf-8")


def test_goals_tables_and_plots(tmp_path: Path) -> None:
    ours, bar = measurements(http.ours(1), 1300, 1250), measurements(http.fastapi("int8", 2), 1000, 1000)
    text = report(results(*ours, *bar), tmp_path)
    assert "A Processor, 2 cores" in text
    assert (
        "| one text a request, 16 at once: requests/s of the best peer's | ≥ 1.2 | 1.27 | 1.25 to 1.30 | **reached** |"
        in text
    )
    assert "| this project, 1 gateway worker | 1 text a request, 64 at once | 1,275 |" in text
    assert "| not measured |" in text
    image = tmp_path / "report/http-1-text-a-request.png"
    assert f"]({image.relative_to(tmp_path)})" in text
    assert image.read_bytes().startswith(b"\x89PNG")
    assert "⚠ marks" in text
    assert "> **" not in text


def test_what_is_too_far_apart_is_marked(tmp_path: Path) -> None:
    text = report(results(*measurements(http.ours(1), 1000, 1400)), tmp_path)
    assert "| 1,200 ⚠ |" in text
    assert "> **2 of 2 throughputs have rounds too far apart to conclude from; they are marked.**" in text


def test_a_busy_machine_one_round_and_failures_are_said(tmp_path: Path) -> None:
    failure = Failure(part=http.PART, subject="a peer", round=1, reason="it did not start")
    busy = QUIET.model_copy(update={"load": 0.3})
    rows = measurements(http.ours(1), 1000)
    text = report(results(*rows, machine=busy, rounds=1, failures=[failure], remarks=["Weights are random."]), tmp_path)
    assert "> **The machine was busy" in text
    assert "> **There was one round only" in text
    assert "> **http: a peer failed in round 1: it did not start**" in text
    assert "> **Weights are random.**" in text


def test_other_figures_leave_cells_empty(tmp_path: Path) -> None:
    row = Measurement(part=triton.PART, subject=triton.SUBJECT, case=triton.case(16, 4), round=1,
                      figures={"texts_per_second": 2700.4, "rows_per_execution": 8.25})  # fmt: skip
    text = report(results(row), tmp_path)
    assert "|  |  | texts/s | rows an execution |" in text
    assert "| Triton | 16 rows a request, 4 at once | 2,700 | 8.25 |" in text


def test_nothing_measured_is_no_report(tmp_path: Path) -> None:
    failure = Failure(part=http.PART, subject="a peer", round=1, reason="it did not start")
    with pytest.raises(BenchmarkError, match=r"nothing was measured .a peer: it did not start"):
        report(results(failures=[failure]), tmp_path)
    assert not (tmp_path / "REPORT.md").exists()


def test_the_report_is_made_again_from_raw_figures(tmp_path: Path) -> None:
    found = results(*measurements(http.ours(1), 1000, 1010))
    first = report(found, tmp_path)
    raw = tmp_path / "results.json"
    found.save(raw)
    assert Results.load(raw) == found
    again = tmp_path / "again/REPORT.md"
    again.parent.mkdir()
    command = [sys.executable, "-m", "benchmarks.report", str(raw), f"--output={again}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert again.read_text(encoding="utf-8") == first


def test_a_file_that_holds_no_results_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "results.json"
    raw.write_text('{"title": "x", "unknown": 1}')
    with pytest.raises(BenchmarkError, match="holds no results"):
        Results.load(raw)


def test_this_machine() -> None:
    found = this_machine(read_environment(triton_environment()))
    assert found.processor
    assert found.cores >= 1
    assert found.packages["tokenizers"]
    assert found.triton["nvidia-pytriton"] == "0.7.0"
    assert 0 <= found.load <= 1
