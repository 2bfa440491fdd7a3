"""perf_analyzer: its words and CSV are read rightly, and a real one drives the real Triton."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.command import BenchmarkError
from benchmarks.load.perf_analyzer import find_perf_analyzer, read_report, window_spread
from benchmarks.load.statistics import Counts, read_counts
from server.environment.triton_environment import read_environment
from tests.support.triton_process import ROOT, free_ports, triton_environment

# As perf_analyzer 2.48.0 wrote them.
CSV = """\
Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,Server Compute \
Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency
8,606.94,9,2285,1609,39,8228,372,1,7226,27216,50328,90097
"""
WINDOWS = """\
Request concurrency: 8
  Pass [1] throughput: 600 infer/sec. Avg latency: 12689 usec (std 15512 usec).
  Pass [2] throughput: 700 infer/sec. Avg latency: 11039 usec (std 16054 usec).
  Pass [3] throughput: 500.0 infer/sec. Avg latency: 14419 usec (std 19871 usec).
"""


def test_its_csv_is_read_in_milliseconds() -> None:
    (row,) = csv.DictReader(CSV.splitlines())
    found = read_report(row, 0.1)
    assert found.texts_per_second == 606.94
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == (7.226, 50.328, 90.097)
    assert found.queue_ms == 1.609
    assert found.compute_ms == pytest.approx(0.039 + 8.228 + 0.372)


def test_another_versions_csv_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="lacks 'Server Compute Input'"):
        read_report({"Concurrency": "8"}, 0.1)


def test_the_spread_of_its_windows() -> None:
    assert window_spread(WINDOWS) == pytest.approx(1 / 3)
    with pytest.raises(BenchmarkError, match="printed no windows"):
        window_spread("Request concurrency: 8")


def test_rows_an_execution() -> None:
    assert Counts(70, 14).since(Counts(10, 4)) == 6.0
    assert Counts(70, 14).since(Counts(70, 14)) == 0.0


def test_no_triton_is_a_sentence() -> None:
    (port,) = free_ports(1)
    with pytest.raises(BenchmarkError, match="has no statistics of emotion_rubert"):
        read_counts(f"127.0.0.1:{port}", "emotion_rubert")


def perf(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.perf", "--environment", str(triton_environment())]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(f"Это текст номер {number}." + " И ещё." * (number % 9) for number in range(64)))
    return path


def test_a_sweep_of_the_real_triton(texts: Path, tmp_path: Path) -> None:
    found = tmp_path / "perf.json"
    ended = perf("--texts", texts, "--concurrency", 4, "--rows", 1, 8, "--window", 400, "--json", found)
    assert ended.returncode == 0, ended.stderr
    assert "texts/s" in ended.stdout
    one, eight = json.loads(found.read_text())["points"]
    assert (one["load"]["rows"], eight["load"]["rows"]) == (1, 8)
    for point in (one, eight):
        measured = point["measured"]
        assert 0 < measured["p50_ms"] <= measured["p95_ms"] <= measured["p99_ms"]
        assert measured["texts_per_second"] > 0
        assert measured["compute_ms"] > 0
    # Triton counts rows, not requests: else an execution would hold 1 to 4.
    assert eight["rows_per_execution"] >= 8


def test_a_proxy_for_the_way_out_is_not_asked(texts: Path) -> None:
    find_perf_analyzer(read_environment(triton_environment()))  # downloaded, if it must be, without the proxy
    (port,) = free_ports(1)
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), f"http://127.0.0.1:{port}")
    everywhere = dict.fromkeys(("no_proxy", "NO_PROXY", "no_grpc_proxy"), "")
    ended = perf("--texts", texts, "--concurrency", 1, "--rows", 1, "--window", 300, **proxies, **everywhere)
    assert ended.returncode == 0, ended.stderr


def test_a_url_without_triton_is_a_sentence(texts: Path) -> None:
    (port,) = free_ports(1)
    ended = perf("--texts", texts, "--url", f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: Triton at 127.0.0.1")
    assert ended.stderr.count("\n") == 1


def test_without_a_network_it_says_so(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from benchmarks.command import run_command; "
        "import benchmarks.load.perf_analyzer as p;"
        f"run_command(lambda: p._unpacked(Path({str(tmp_path / 'new')!r})))"
    )
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **nowhere}, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "error: perf_analyzer can't be downloaded" in ended.stderr
    assert "--perf-analyzer" in ended.stderr
    assert not (tmp_path / "new").exists()
