"""`make serve`, as a person types it, on free ports."""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from server.launching.backend_directory import PREFIX
from tests.gateway.support.gateway_process import assert_tells_nothing, environment
from tests.gateway.support.small_model import publish
from tests.support.triton_process import ROOT, hear_ctrl_c, is_listening
from tests.support.waiting import SECONDS, wait_until


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
        """The first that runs a program."""
        return self._first(lambda process: Path(process.exe()).name == name)

    def part(self, word: str) -> psutil.Process:
        """The first whose command has a word."""
        return self._first(lambda process: word in process.cmdline())

    def supervisor(self) -> psutil.Process:
        return self.part("deploy.local")

    def _first(self, is_it: Callable[[psutil.Process], bool]) -> psutil.Process:
        for process in self.family():
            # The gateway tries tokenizers out in processes that end at any moment.
            with contextlib.suppress(psutil.NoSuchProcess):
                if is_it(process):
                    return process
        raise LookupError(f"no such process: {self.log()[-3000:]}")

    def ask(self) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/emotions", json={"text": "Мне страшно."}, timeout=60, trust_env=False)

    def wait_until_ready(self) -> None:
        self.wait_for("Ready after")

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until its log has a text that often; it must not end before."""

        def found() -> bool:
            assert self.log().count(text) >= count or self.process.poll() is None, self.log()[-3000:]
            return self.log().count(text) >= count

        wait_until(found, lambda: self.log()[-3000:])

    def wait_for_answers(self) -> None:
        """Ask until it answers; nothing but 503 before that."""

        def answered() -> bool:
            status = self.ask().status_code
            assert status in (200, 503)
            return status == 200

        wait_until(answered, lambda: self.log()[-3000:])


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
    # The make that runs the tests must not pass its own settings on.
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
            with contextlib.suppress(LookupError, psutil.NoSuchProcess):
                serving.supervisor().send_signal(signal.SIGINT)
            process.wait(SECONDS)
    left = {path.name for path in temporary.glob(f"{PREFIX}*")}
    assert not left
    # The example that it shows is its own.
    assert_tells_nothing(serving.log().replace("Как же я рад тебя видеть!", ""))


def assert_nothing_left(family: list[psutil.Process], ports: list[int]) -> None:
    _, alive = psutil.wait_procs(family, timeout=SECONDS)
    assert not alive
    assert not [port for port in ports if is_listening(port)]


def repository_copy(directory: Path) -> Path:
    return Path(shutil.copytree(ROOT / "model_repository", directory / "models", symlinks=True))


def small_models(directory: Path) -> Path:
    """A repository with the models' names, whose models load in a moment."""
    models = directory / "models"
    models.mkdir()
    publish(models, 1, "emotion_rubert")
    publish(models, 1, "emotion_xlm")
    return models
