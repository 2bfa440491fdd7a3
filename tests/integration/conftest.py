"""`make serve`, as a person types it, on free ports."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local import TEXT
from tests.gateway.support.gateway_process import assert_tells_nothing, environment
from tests.triton_process import ROOT, free_ports, hear_ctrl_c, is_listening


@dataclass
class Serving:
    """A running `make serve`."""

    process: subprocess.Popen[bytes]
    ports: list[int]
    log_path: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[3]}"

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self.ports[1]}"

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, name: str) -> psutil.Process:
        return next(p for p in self.family() if Path(p.exe()).name == name)

    def supervisor(self) -> psutil.Process:
        return next(p for p in self.family() if "deploy.local" in p.cmdline())

    def wait_until_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while "Ready after" not in self.log():
            assert self.process.poll() is None, self.log()[-3000:]
            assert time.monotonic() < deadline, self.log()[-3000:]
            time.sleep(0.1)


@contextlib.contextmanager
def make_serve(
    directory: Path, ports: list[int], *gateway_flags: str, more: str = "", **variables: str
) -> Iterator[Serving]:
    """Type `make serve`; nothing of it is left afterwards, and whatever happens, its log holds no text and no key.

    Args:
        directory: for its log and its temporary files.
        ports: Triton's three, of which HTTP and metrics are off unless `more` opens them, and the gateway's.
        gateway_flags: for the gateway.
        more: further flags for both.
        variables: environment variables.
    """
    flags = f"{more} --http-port {ports[0]} --grpc-port {ports[1]} --metrics-port {ports[2]} -- --port {ports[3]}"
    log_path = directory / "serve.log"
    temporary = directory / "temporary"
    temporary.mkdir()
    variables["TMPDIR"] = str(temporary)
    inherited = {key: value for key, value in environment(**variables).items() if not key.startswith("MAKE")}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            ["make", "serve", f"FLAGS={flags} {' '.join(gateway_flags)}"],
            cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=inherited, start_new_session=True,
            preexec_fn=hear_ctrl_c,
        )  # fmt: skip
    serving = Serving(process, ports, log_path)
    try:
        yield serving
    finally:
        if process.poll() is None:
            with contextlib.suppress(StopIteration, psutil.NoSuchProcess):
                serving.supervisor().send_signal(signal.SIGINT)
            process.wait(40)
    left = {path.name for path in temporary.glob("tritonserver-*")}
    assert not left
    # The example that it shows is its own.
    assert_tells_nothing(serving.log().replace(TEXT, ""))


def assert_nothing_left(family: list[psutil.Process], ports: list[int]) -> None:
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    assert not [port for port in ports if is_listening(port)]


def repository_copy(directory: Path) -> Path:
    return Path(shutil.copytree(ROOT / "model_repository", directory / "models"))


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with make_serve(tmp_path_factory.mktemp("serve"), free_ports(4)) as started:
        started.wait_until_ready(60)
        yield started


@pytest.fixture(scope="session")
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url, timeout=30) as client:
        yield client
