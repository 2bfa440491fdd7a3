"""How `make serve` starts, stops and fails."""

import signal
import socket
import subprocess
from pathlib import Path

import httpx

from benchmarks.setup.texts import newest_version
from contract.version_directory import CPU_GRAPH
from deploy import local
from gateway.command_line import read_settings
from server.arguments import command_line_parser, server_options
from tests.gateway.support.gateway_process import SECRET
from tests.gateway.support.small_model import publish
from tests.integration.serving import assert_nothing_left, make_serve, repository_copy, small_models
from tests.support.triton_process import ROOT, free_ports
from tests.support.waiting import SECONDS, wait_until


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with make_serve(tmp_path, free_ports(4), "--log-requests=true", EMOTION_API_KEYS=SECRET) as serving:
        serving.wait_until_ready()
        family = serving.family()
        # What is asked and with which key shows in no line of the log: see make_serve.
        for key, status in ((SECRET, 200), (f"not-{SECRET}", 401)):
            headers = {"authorization": f"Bearer {key}"}
            answer = httpx.post(
                f"{serving.url}/v1/emotions", json={"text": "Мне страшно."}, headers=headers, timeout=60
            )
            assert answer.status_code == status
            assert f"status {status}" in serving.log()
        serving.supervisor().send_signal(signal.SIGINT)
        assert serving.process.wait(SECONDS) == 0
        assert_nothing_left(family, serving.ports)


def test_a_named_configuration_is_handed_on_to_triton() -> None:
    shown = [
        subprocess.run(["make", "-n", "serve", *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for more in ([], ["CONFIG=tuned"])
    ]
    assert ["--config tuned" in one for one in shown] == [False, True]
    settings = read_settings([])
    for given, config in (([], ""), (["--config", "tuned"], "tuned")):
        arguments = local._triton_arguments(local.command_line_parser().parse_args(given), settings)
        assert server_options(command_line_parser().parse_args(arguments[1:])).config == config


def test_killing_the_supervisor_leaves_nothing(tmp_path: Path) -> None:
    models = small_models(tmp_path)
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        serving.wait_until_ready()
        family = serving.family()
        serving.supervisor().kill()
        assert serving.process.wait(SECONDS) != 0
        assert_nothing_left(family, serving.ports)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    ports = free_ports(4)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[1]))
        taken.listen()
        with make_serve(tmp_path, ports) as serving:
            assert serving.process.wait(SECONDS) != 0
            assert f"{ports[1]}" in serving.log()
            assert "--grpc-port" in serving.log()


def test_a_missing_and_a_damaged_model_file_are_named(tmp_path: Path) -> None:
    models = repository_copy(tmp_path)
    damaged, missing = (newest_version(models, name) / CPU_GRAPH for name in ("emotion_rubert", "emotion_xlm"))
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    missing.unlink()
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        assert serving.process.wait(SECONDS) != 0
        (sentence,) = [line for line in serving.log().splitlines() if line.startswith("error: no model")]
        assert f"{damaged} can't be loaded: it is damaged" in sentence
        assert f"{missing} is not there" in sentence


def test_a_new_version_needs_no_restart(tmp_path: Path) -> None:
    models = small_models(tmp_path)
    with make_serve(tmp_path, free_ports(4), f"--model-repository={models}") as serving:
        serving.wait_until_ready()
        publish(models, 2)

        def version() -> str:
            answer = serving.ask()
            assert answer.status_code == 200, answer.text
            return str(answer.json()["version"])

        wait_until(lambda: version() == "2", serving.log)
