"""NVIDIA's perf_analyzer: taken out of its wheel, run over gRPC, and its CSV read."""

import csv
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.command import BUILD, BenchmarkError
from server.environment.triton_environment import TritonEnvironment

_REQUIREMENTS: Final = Path(__file__).with_name("requirements-perf-analyzer.txt")
_LIBRARIES: Final = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}
"""What it links, and under which name nvidia-pytriton's wheel carries that."""
_WINDOWS: Final = 3
"""It averages the last three windows, and its own way with unsteady ones is to write no report at all: so it
is given exactly three and told to accept them, and how far they lie apart is reported instead."""
_PROXIES: Final = {"grpc_proxy", "https_proxy", "http_proxy"}
"""Variables that gRPC obeys; a proxy set for the way out must not get in between."""
_WINDOW: Final = re.compile(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec")


@dataclass(frozen=True)
class PerfAnalyzer:
    """A perf_analyzer that runs here: the program, and its LD_LIBRARY_PATH."""

    program: Path
    library_path: str


@dataclass(frozen=True)
class Load:
    """What is asked of it: requests of `rows` rows, `concurrency` of them at once, for three windows."""

    concurrency: int
    rows: int = 1
    window_ms: int = 2000

    def longest(self) -> float:
        """Seconds after which it hangs: every window, and the slack between windows."""
        return 60 + 3 * _WINDOWS * self.window_ms / 1000


@dataclass(frozen=True)
class Measured:
    """Its own figures; times in milliseconds a request, queue and compute by Triton's statistics.

    `window_spread` is how far its windows' throughputs lie apart, as a share of their mean.
    """

    texts_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    queue_ms: float
    compute_ms: float
    window_spread: float


def find_perf_analyzer(environment: TritonEnvironment, program: Path | None = None) -> PerfAnalyzer:
    """The perf_analyzer at `program`, or the one in the pinned wheel, which is downloaded once.

    Args:
        environment: Triton's, which has the libraries.
        program: one that is there already.

    Raises:
        BenchmarkError: it can't be downloaded or doesn't run here.
    """
    directory = BUILD / "perf_analyzer"
    program = program or _unpacked(directory)
    bundled = environment.site_packages / "nvidia_pytriton.libs"
    links = directory / "lib"
    links.mkdir(parents=True, exist_ok=True)
    for name, pattern in _LIBRARIES.items():
        found = sorted(bundled.glob(pattern))
        if not found:
            raise BenchmarkError(f"{bundled} holds no {pattern}, which perf_analyzer needs: python -m server install")
        (links / name).unlink(missing_ok=True)
        (links / name).symlink_to(found[0])
    analyzer = PerfAnalyzer(program, f"{links}:{environment.library_path}")
    said = _run(analyzer, ["--version"], 30)
    if said.returncode != 0:
        raise BenchmarkError(f"{program} does not run here: {_last_line(said.stdout)}")
    return analyzer


def _unpacked(directory: Path) -> Path:
    """The program out of the wheel, downloaded with pip if it isn't there yet."""
    program = directory / "perf_analyzer"
    if program.exists():
        return program
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"),
            *("--no-deps", "--only-binary=:all:", "--require-hashes"),
            *(f"--dest={scratch}", f"--requirement={_REQUIREMENTS}"),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            raise BenchmarkError(
                f"perf_analyzer can't be downloaded ({_last_line(done.stderr)}): see whether the network and"
                f" the package index answer, or name one that is there with --perf-analyzer"
            )
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = directory / "perf_analyzer.unfinished"
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith("data/bin/perf_analyzer"))
            unfinished.write_bytes(wheel.read(member))
        unfinished.chmod(0o755)
        unfinished.rename(program)
    return program


def measure(analyzer: PerfAnalyzer, grpc_url: str, model: str, input_file: Path, load: Load) -> Measured:
    """Run perf_analyzer at one concurrency.

    Raises:
        BenchmarkError: it fails, hangs, or says nothing that can be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.csv"
        arguments = [
            *("-m", model, "-u", grpc_url, "-i", "grpc", "--async", "--input-data", str(input_file)),
            *("-b", str(load.rows), "--concurrency-range", f"{load.concurrency}:{load.concurrency}"),
            *("-p", str(load.window_ms), "-s", "999", "-r", str(_WINDOWS), "-v", "-f", str(report)),
        ]
        done = _run(analyzer, arguments, load.longest())
        if done.returncode != 0 or not report.exists():
            raise BenchmarkError(f"perf_analyzer failed at concurrency {load.concurrency}: {_last_line(done.stdout)}")
        rows = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    if not rows:
        raise BenchmarkError(
            f"perf_analyzer measured nothing at concurrency {load.concurrency}: {_last_line(done.stdout)}"
        )
    return read_report(rows[0], window_spread(done.stdout))


def window_spread(said: str) -> float:
    """How far the windows that perf_analyzer printed (with -v) lie apart, as a share of their mean."""
    rates = [float(rate) for rate in _WINDOW.findall(said)]
    if not rates or not sum(rates):
        raise BenchmarkError("perf_analyzer printed no windows: this reads 2.48.0's words")
    return (max(rates) - min(rates)) * len(rates) / sum(rates)


def read_report(row: Mapping[str, str], spread: float) -> Measured:
    """One line of perf_analyzer's CSV; its times are in microseconds.

    Raises:
        BenchmarkError: a column is missing, as with another version.
    """
    try:
        compute = sum(float(row[f"Server Compute {part}"]) for part in ("Input", "Infer", "Output"))
        return Measured(
            texts_per_second=float(row["Inferences/Second"]),
            p50_ms=float(row["p50 latency"]) / 1000,
            p95_ms=float(row["p95 latency"]) / 1000,
            p99_ms=float(row["p99 latency"]) / 1000,
            queue_ms=float(row["Server Queue"]) / 1000,
            compute_ms=compute / 1000,
            window_spread=spread,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"perf_analyzer's CSV lacks {error}: this reads 2.48.0's") from None


def _run(analyzer: PerfAnalyzer, arguments: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name not in _PROXIES}
    try:
        return subprocess.run(  # noqa: S603 - our own command
            [str(analyzer.program), *arguments],
            env={**variables, "LD_LIBRARY_PATH": analyzer.library_path},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=seconds,
        )  # fmt: skip
    except OSError as error:
        raise BenchmarkError(f"{analyzer.program} can't be started ({error})") from None
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"perf_analyzer did not end within {seconds:.0f} seconds and was killed") from None


def _last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
