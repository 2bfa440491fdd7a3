"""wrk's figures are read, bodies are what servers take, and CPU and memory are of whole process trees."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.command import BenchmarkError
from benchmarks.load import wrk
from benchmarks.load.processes import settle, usage
from benchmarks.setup.serving import HOST, answers, free_ports, running

# As wrk 4.1.0 printed it.
SAID = """\
Running 1s test @ http://127.0.0.1:8080/v1/emotions
Requests/sec:    366.82
Transfer/sec:    141.31KB

FIGURES {"requests": 400, "seconds": 2.000000, "refused": 30, "broken": 2, "timeouts": 1, "p50_ms": 38.5, \
"p95_ms": 108.0, "p99_ms": 117.4, "max_ms": 117.9}
"""


def test_its_figures_are_read() -> None:
    found = wrk.read_figures(SAID, "", "http://localhost")
    assert (found.requests, found.refused, found.broken, found.timeouts) == (400, 30, 2, 1)
    assert (found.seconds, found.p99_ms) == (2.0, 117.4)


def test_its_complaint_is_shown() -> None:
    with pytest.raises(BenchmarkError, match="unable to connect to"):
        wrk.read_figures("", "unable to connect to 127.0.0.1:1 Connection refused\n", "http://127.0.0.1:1")


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchmarkError, match="apt install wrk"):
        wrk.find_wrk()


def test_bodies() -> None:
    texts = ["Мне страшно.", 'в "кавычках"', "три"]
    assert [json.loads(body) for body in wrk.bodies(texts, 1)] == [{"text": text} for text in texts]
    assert [json.loads(body) for body in wrk.bodies(texts, 2)] == [{"texts": texts[:2]}]
    with pytest.raises(BenchmarkError, match="3 texts don't fill one request of 4"):
        wrk.bodies(texts, 4)


class Handler(BaseHTTPRequestHandler):
    """Answers every second text with 503."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append(body["text"])
        self.send_response(200 if body["text"] == "хорошо" else 503)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    handler = type("Seeing", (Handler,), {"seen": seen})
    with ThreadingHTTPServer((HOST, 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://{HOST}:{listening.server_address[1]}/predict", seen
        listening.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="apt install wrk")
def test_a_real_wrk_sends_the_bodies_in_turn(server: tuple[str, list[str]]) -> None:
    url, seen = server
    figures, cpu = wrk.put_under_load(url, wrk.bodies(["хорошо", "плохо"], 1), 4, 1)
    assert 0 < figures.requests <= len(seen) <= figures.requests + 4
    assert set(seen) == {"хорошо", "плохо"}
    assert figures.refused == pytest.approx(figures.requests / 2, abs=4)
    assert 0 < figures.p50_ms <= figures.p95_ms <= figures.p99_ms <= figures.max_ms
    assert cpu > 0


BURNS = """
import subprocess, sys, time
if sys.argv[1:]:
    x, began = bytearray(60_000_000), time.process_time()
    while time.process_time() - began < 0.5: pass
    print("burnt", flush=True); time.sleep(60)
else:
    subprocess.run([sys.executable, __file__, "child"])
"""


def test_usage_is_of_the_whole_tree(tmp_path: Path) -> None:
    program = tmp_path / "burns.py"
    program.write_text(BURNS)
    process = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        found = usage([process.pid])
        assert 0.5 <= found.cpu_seconds < 5
        assert found.memory_megabytes > 60
        began = time.monotonic()
        settle([process.pid])
        assert time.monotonic() - began < 10
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with pytest.raises(BenchmarkError, match="ended during the measurement"):
        usage([process.pid])


def test_a_program_that_does_not_start_says_its_last_words() -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-c", "raise SystemExit('no model here')"]
    with (
        pytest.raises(BenchmarkError, match="the peer did not start; the last words of the peer: no model here"),
        running("the peer", command, f"{HOST}:{port}", answers(port, "/health")),
    ):
        pass
