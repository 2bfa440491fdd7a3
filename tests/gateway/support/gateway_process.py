"""A real `python -m gateway` for tests: started, watched and cleared away."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.triton_process import ROOT
from tests.support.waiting import SECONDS, wait_until

_LISTENING = re.compile(r"listening on (http://[^\s\"]+)")
_TEXT_OF_A_CLIENT = re.compile("[А-Яа-яЁё]|\\\\u04")
SECRET = "a-secret-that-nobody-may-read"  # noqa: S105


@dataclass
class GatewayProcess:
    process: subprocess.Popen[bytes]
    log_path: Path
    url: str = ""

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Its log; every line is JSON."""
        return [json.loads(line) for line in self.log().splitlines()]

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, **{"timeout": SECONDS, **options})

    def async_client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=SECONDS, limits=limits)

    def readiness(self) -> int:
        with self.client() as client:
            return client.get("/health/ready").status_code

    def wait_until_ready(self, *, status: int = 200) -> None:
        """Wait for a readiness status."""
        wait_until(lambda: self.readiness() == status, self.log)


def environment(**variables: str) -> dict[str, str]:
    """The test's own environment without the gateway's variables, and these added."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EMOTION_")}
    return {**inherited, **variables}


def assert_tells_nothing(log: str) -> None:
    """No text and no key of a client is in a log. Tests send Cyrillic; our own words are English."""
    assert SECRET not in log
    assert not _TEXT_OF_A_CLIENT.search(log), log


def assert_harmless(gateway: GatewayProcess) -> None:
    log = gateway.log()
    assert "Traceback" not in log, log
    assert_tells_nothing(log)
    if "--log-format=text" not in gateway.process.args:
        assert all(line["level"] in ("info", "warning", "error") for line in gateway.lines())


@contextlib.contextmanager
def running_gateway(
    repository: Path, triton: str, *flags: str, program: Sequence[str] = ("-m", "gateway"), **variables: str
) -> Iterator[GatewayProcess]:
    """A gateway that listens on a free port; stopped with SIGTERM, which must give 0.

    Whatever a test does to it, its log is JSON throughout, and holds no text, no key and no traceback.

    Args:
        repository: the model repository.
        triton: addresses of Triton.
        flags: further flags. Unless they say otherwise, a request may take a minute (a busy machine is no failure) and
            every text is computed (most tests ask one text again and again, and look at what Triton makes of it).
        program: what Python runs.
        variables: environment variables.
    """
    descriptor, log_path = tempfile.mkstemp(prefix="test-gateway-", suffix=".log")
    command = [
        *(sys.executable, *program, "--port=0"),
        f"--model-repository={repository}",
        f"--triton-address={triton}",
        *flags,
    ]
    variables = {"EMOTION_REQUEST_TIMEOUT": "60", "EMOTION_ANSWER_CACHE": "0", **variables}
    with os.fdopen(descriptor, "wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**variables), stdout=log, stderr=subprocess.STDOUT
        )
    gateway = GatewayProcess(process, Path(log_path))
    try:

        def listening() -> bool:
            assert process.poll() is None, f"did not start:\n{gateway.log()}"
            return _LISTENING.search(gateway.log()) is not None

        wait_until(listening, gateway.log)
        gateway.url = _LISTENING.findall(gateway.log())[0]
        yield gateway
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0, f"stopped with {process.returncode}:\n{gateway.log()}"
        assert_harmless(gateway)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        gateway.log_path.unlink(missing_ok=True)
