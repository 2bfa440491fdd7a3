"""The commands of Triton's probes, on the real tritonserver. Not run in NVIDIA's image, which is not here."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.deploy.chart.charts import find, resources
from tests.support.plain_triton import PlainTriton, plain_triton
from tests.support.triton_process import ROOT, is_listening
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(not (ROOT / ".venv-triton").exists(), reason="no .venv-triton here: make serve makes it"),
]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainTriton]:
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "model_repository/emotion_rubert", models / "emotion_rubert")
    with plain_triton(models, "--http-address=127.0.0.1", "--strict-readiness=true", poll_seconds=0) as running:
        running.wait_for(lambda: is_listening(running.http_port))
        yield running


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """What the commands would see in its container: the processes of tritonserver, and /tmp."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "tmp").mkdir()
    return tmp_path


def probe(name: str, triton: PlainTriton, container: Path) -> subprocess.CompletedProcess[str]:
    for link in (container / "proc").iterdir():
        link.unlink()
    for process in [psutil.Process(triton.process.pid), *psutil.Process(triton.process.pid).children()]:
        (container / "proc" / str(process.pid)).symlink_to(f"/proc/{process.pid}")
    (each,) = find(resources("cpu"), "Deployment", "triton")["spec"]["template"]["spec"]["containers"]
    here = {
        "127.0.0.1:8000/": f"127.0.0.1:{triton.http_port}/",
        "/tmp/": f"{container}/tmp/",  # noqa: S108 - first, as the container's own place is in there
        "/proc/": f"{container}/proc/",
    }
    command = each[name]["exec"]["command"]
    for place, own in here.items():
        command = [part.replace(place, own) for part in command]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_dead_process_of_a_model_instance_is_noticed(triton: PlainTriton, container: Path) -> None:
    wait_until(lambda: probe("startupProbe", triton, container).returncode == 0, triton.log)
    for name in ("readinessProbe", "livenessProbe"):
        assert probe(name, triton, container).returncode == 0
    stub, *others = [
        process for process in psutil.Process(triton.process.pid).children() if "triton_python" in process.name()
    ]
    assert others, "it has several instances"
    stub.send_signal(signal.SIGKILL)
    wait_until(lambda: probe("livenessProbe", triton, container).returncode == 1, triton.log)
    assert f"the process {stub.pid} of a model instance has died" in probe("livenessProbe", triton, container).stdout
    # Triton itself notices nothing, which is why.
    assert probe("readinessProbe", triton, container).returncode == 0
    # One that was dead when all had started serves nobody.
    assert probe("startupProbe", triton, container).returncode == 0
    assert probe("livenessProbe", triton, container).returncode == 0


def test_a_server_that_stands_still_fails_every_probe(triton: PlainTriton, container: Path) -> None:
    os.kill(triton.process.pid, signal.SIGSTOP)
    try:
        assert probe("readinessProbe", triton, container).returncode == 28  # curl: too late
        assert probe("livenessProbe", triton, container).returncode != 0
        assert probe("startupProbe", triton, container).returncode != 0
    finally:
        os.kill(triton.process.pid, signal.SIGCONT)
