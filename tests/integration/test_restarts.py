"""`make serve` keeps its parts running: what dies is started again, what can't stay up ends it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.serving import Serving, assert_nothing_left, make_serve, small_models
from tests.support.triton_process import ROOT, free_ports
from tests.support.waiting import SECONDS, wait_until


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_tritonserver_that_dies_is_started_again(tmp_path: Path, number: signal.Signals) -> None:
    models = small_models(tmp_path)
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        serving.wait_until_ready()
        gateway = serving.part("gateway")
        died = serving.child("tritonserver")
        died.send_signal(number)
        serving.wait_for("It is started again in 0.5 s (restart 1 of 8).")
        assert f"tritonserver ended by itself with signal {number.name}" in serving.log()
        assert f"Triton ended with exit status {128 + number} (signal {number.name})" in serving.log()
        serving.wait_for_answers()
        serving.wait_for("Triton is ready again.")
        assert gateway.is_running()
        assert serving.child("tritonserver").pid != died.pid
        family = serving.family()
        serving.supervisor().send_signal(signal.SIGTERM)
        assert serving.process.wait(SECONDS) == 0
        assert_nothing_left(family, serving.ports)


def test_every_other_part_is_started_again(tmp_path: Path) -> None:
    models = small_models(tmp_path)
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        serving.wait_until_ready()
        serving.part("gateway").kill()
        serving.wait_for("the gateway ended with signal SIGKILL. It is started again in 0.5 s")
        serving.wait_for("the gateway is ready again.")
        assert serving.ask().status_code == 200
        # An instance of a model: Triton would go on, and fail that instance's requests.
        serving.child("triton_python_backend_stub").kill()
        serving.wait_for("Triton is ready again.")
        serving.wait_for_answers()
        # The launcher, of which nothing can clear up after itself.
        serving.part("run").kill()
        serving.wait_for("Triton is ready again.", 2)
        serving.wait_for_answers()
        family = serving.family()
        serving.supervisor().send_signal(signal.SIGINT)
        assert serving.process.wait(SECONDS) == 0
        assert_nothing_left(family, serving.ports)


def test_what_can_not_stay_up_is_given_up(tmp_path: Path) -> None:
    models = small_models(tmp_path)
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}", more="--max-restarts 2") as serving:
        serving.wait_until_ready()
        family = serving.family()
        for graph in models.glob("*/1/model.cpu.onnx"):
            graph.write_bytes(graph.read_bytes()[:1000])
        serving.child("tritonserver").kill()
        serving.wait_for("It is started again in 0.5 s (restart 1 of 2)")
        assert serving.ask().status_code == 503
        serving.wait_for("It is started again in 1 s (restart 2 of 2)")
        assert serving.process.wait(SECONDS) != 0
        (last,) = [line for line in serving.log().splitlines() if "it can't stay up" in line]
        assert last.startswith("error: Triton ended with exit status 1, for the 3rd time in a row")
        assert "error: no model could be loaded. Model emotion_rubert version 1 could not be loaded: " in serving.log()
        assert_nothing_left(family, serving.ports)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stop_during_a_pause(tmp_path: Path, number: signal.Signals) -> None:
    models = small_models(tmp_path)
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        serving.wait_until_ready()
        family = serving.family()
        supervisor = serving.supervisor()
        models.rename(tmp_path / "away")  # so that it can't start, and the pauses grow
        serving.child("tritonserver").kill()
        serving.wait_for("It is started again in 2 s")
        supervisor.send_signal(number)
        assert (serving.process.wait(SECONDS) == 0) is (number != signal.SIGKILL)
        assert_nothing_left(family, serving.ports)


def test_a_first_start_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    models = small_models(tmp_path)
    for graph in models.glob("*/1/model.cpu.onnx"):
        graph.unlink()
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        assert serving.process.wait(SECONDS) != 0
        assert "error: Triton ended with exit status 1; everything is stopped." in serving.log()
        assert "started again" not in serving.log()


def test_a_model_that_can_not_be_loaded_keeps_nobody_from_the_other(tmp_path: Path) -> None:
    models = small_models(tmp_path)
    graph = models / "emotion_xlm/1/model.cpu.onnx"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    shutil.copytree(models / "emotion_rubert/1", models / "emotion_rubert/2")
    (models / "emotion_rubert/2/model.cpu.onnx").write_bytes(b"cut")
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        serving.wait_until_ready()
        assert serving.ask().status_code == 200
        for name in ("emotion_xlm version 1", "emotion_rubert version 2"):
            assert f"warning: Model {name} could not be loaded: " in serving.log()
        assert "emotion_rubert/1; gRPC" in serving.log()


def test_killed_supervisors_leave_nothing_of_a_restarted_part(tmp_path: Path) -> None:
    models = small_models(tmp_path)
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        serving.wait_until_ready()
        serving.child("tritonserver").kill()
        serving.wait_for("Triton is ready again.")
        family = serving.family()
        serving.supervisor().kill()
        assert serving.process.wait(SECONDS) != 0
        psutil.wait_procs(family, timeout=SECONDS)
        assert_nothing_left(family, serving.ports)


def test_a_part_is_found_beside_processes_that_end(tmp_path: Path) -> None:
    """As one in which the gateway has tried out a tokenizer, and which it has not waited for yet."""
    code = "import subprocess; ends = subprocess.Popen(['true']); subprocess.run(['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        serving = Serving(process, [], tmp_path / "log")
        (tmp_path / "log").touch()
        states = [psutil.STATUS_ZOMBIE, psutil.STATUS_SLEEPING]
        try:
            wait_until(lambda: [one.status() for one in serving.family()] == states)
            assert serving.part("60") == serving.child("sleep") == serving.family()[1]
            with pytest.raises(LookupError):
                serving.part("gateway")
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_its_options_have_help() -> None:
    command = [sys.executable, "-m", "deploy.local", "--help"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--max-restarts COUNT" in text
    assert "--http " in text
