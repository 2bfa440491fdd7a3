"""HTTP load by wrk, one request after the other on each of many connections."""

import json
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from benchmarks.command import BenchmarkError
from benchmarks.load.processes import settle, usage

_SCRIPT: Final = Path(__file__).with_name("load.lua")
_GRACE_SECONDS: Final = 60
_FIGURES: Final = re.compile(r"^FIGURES (\{.*\})$", re.MULTILINE)


class WrkFigures(BaseModel):
    """What the Lua script says; `refused` counts answers with a status of 400 or more, which `requests` includes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int
    seconds: float
    refused: int
    broken: int
    timeouts: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def find_wrk() -> str:
    """Where wrk is.

    Raises:
        BenchmarkError: nowhere.
    """
    program = shutil.which("wrk")
    if program is None:
        raise BenchmarkError("wrk, which makes the HTTP load, is not here: apt install wrk")
    return program


def bodies(texts: Sequence[str], texts_per_request: int) -> list[str]:
    """JSON bodies of requests: `{"text": …}` for one text, `{"texts": […]}` for several."""
    if texts_per_request == 1:
        return [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    whole = len(texts) - len(texts) % texts_per_request
    if whole == 0:
        raise BenchmarkError(
            f"{len(texts)} texts don't fill one request of {texts_per_request}: give more with --texts"
        )
    groups = [list(texts[start : start + texts_per_request]) for start in range(0, whole, texts_per_request)]
    return [json.dumps({"texts": group}, ensure_ascii=False) for group in groups]


def put_under_load(url: str, requests: Sequence[str], connections: int, seconds: int) -> tuple[WrkFigures, float]:
    """Run wrk with one thread; what it measured, and the CPU seconds it took itself.

    Raises:
        BenchmarkError: it isn't here, or fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.write("\n".join(requests) + "\n")
        file.flush()
        command = [
            *(find_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=10s", "--latency"),
            *("-s", str(_SCRIPT), url, "--", file.name),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command, capture_output=True, text=True, check=False, timeout=seconds + _GRACE_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"wrk on {url} did not end {_GRACE_SECONDS} seconds after its time") from None
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return read_figures(done.stdout, done.stderr, url), (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    )


def read_figures(said: str, complained: str, url: str) -> WrkFigures:
    """The figures in wrk's output.

    Raises:
        BenchmarkError: there are none.
    """
    match = _FIGURES.search(said)
    if match is None:
        raise BenchmarkError(
            f"wrk on {url} gave no figures: {(complained or said).strip()[-300:] or 'it said nothing'}"
        )
    return WrkFigures.model_validate_json(match[1])


def measure(
    url: str, requests: Sequence[str], texts_per_request: int, connections: int, seconds: int, pids: dict[str, int]
) -> dict[str, float]:
    """Figures of one load: rates, latencies, errors, and of each named process tree CPU a request and memory.

    Raises:
        BenchmarkError: wrk isn't here or fails, a process ends, or no request was answered.
    """
    settle(pids.values())
    put_under_load(url, requests, connections, 1)  # warm
    settle(pids.values())
    before = {name: usage([pid]) for name, pid in pids.items()}
    figures, own_cpu = put_under_load(url, requests, connections, seconds)
    if figures.requests == 0:
        raise BenchmarkError(f"nothing at {url} was answered within {seconds} seconds")
    after = {name: usage([pid]) for name, pid in pids.items()}
    spent = {name: after[name].cpu_seconds - before[name].cpu_seconds for name in pids}
    good = figures.requests - figures.refused
    found: dict[str, Any] = {
        "requests_per_second": good / figures.seconds,
        "texts_per_second": good * texts_per_request / figures.seconds,
        **figures.model_dump(include={"p50_ms", "p95_ms", "p99_ms", "max_ms"}),
        "errors": figures.refused + figures.broken + figures.timeouts,
        "cpu_ms": 1000 * sum(spent.values()) / figures.requests,
        "memory_mb": sum(one.memory_megabytes for one in after.values()),
        "load_generator_cpu_ms": 1000 * own_cpu / figures.requests,
    }
    if len(pids) > 1:
        found |= {f"{name}_cpu_ms": 1000 * seconds_ / figures.requests for name, seconds_ in spent.items()}
        found |= {f"{name}_memory_mb": one.memory_megabytes for name, one in after.items()}
    return {name: float(value) for name, value in found.items()}
