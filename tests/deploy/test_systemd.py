"""The systemd units: accepted by systemd itself, and their commands by our own parsers."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.command_line import read_settings
from server.arguments import command_line_parser, server_options
from tests.support.triton_process import ROOT

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
HOME = "/opt/ru-emotions-triton"
NEW_IN_254 = ("RestartSteps", "RestartMaxDelaySec")


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


def command(name: str) -> list[str]:
    (unit,) = [unit for unit in UNITS if name in unit.name]
    python, *arguments = shlex.split(read(unit)["Service"]["ExecStart"])
    assert python == f"{HOME}/.venv/bin/python"
    return arguments


def test_there_is_one_for_each_part() -> None:
    assert [unit.name for unit in UNITS] == ["ru-emotions-gateway.service", "ru-emotions-triton.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_it(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian, Ubuntu: apt install systemd)")
    for each in UNITS:  # one names the other
        (tmp_path / each.name).write_text(each.read_text(encoding="utf-8").replace(HOME, str(ROOT)))
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )
    complaints = done.stderr.splitlines()
    if int(version.split()[1]) < 254:
        new = re.compile(rf"Unknown key (?:name )?'({'|'.join(NEW_IN_254)})'")
        complaints = [line for line in complaints if not new.search(line)]
    # What is wrong with other units of this machine is not ours.
    assert not [line for line in complaints if "ru-emotions" in line], complaints


def test_triton_takes_its_flags() -> None:
    module, name, *arguments = command("triton")
    assert (module, name) == ("-m", "server")
    parsed = command_line_parser().parse_args(arguments)
    options = server_options(parsed)
    assert (options.host, options.http, options.metrics) == ("127.0.0.1", False, False)
    assert options.poll_seconds > 0
    (unit,) = [unit for unit in UNITS if "triton" in unit.name]
    service = read(unit)["Service"]
    assert int(service["TimeoutStopSec"]) > options.stop_timeout
    assert int(service["TimeoutStartSec"]) > options.start_timeout


def test_the_gateway_takes_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, *arguments = command("gateway")
    assert (module, name) == ("-m", "gateway")
    monkeypatch.chdir(ROOT)
    settings = read_settings(arguments)
    grpc_port = server_options(command_line_parser().parse_args(command("triton")[2:])).grpc_port
    assert settings.triton_address == f"127.0.0.1:{grpc_port}"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_it_is_restarted_and_confined(unit: Path) -> None:
    parsed = read(unit)
    service = parsed["Service"]
    assert service["Restart"] == "always"
    assert parsed["Unit"]["StartLimitIntervalSec"] == "0", "systemd would give it up"
    assert service["User"] == service["Group"] == "ru-emotions"
    for name in ("NoNewPrivileges", "PrivateTmp", "ProtectHome"):
        assert service[name] == "true"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    for name in ("MemoryMax", "TasksMax", "LimitNOFILE"):
        assert service[name]
    # It would remove the shared memory of the other one, which the same user runs.
    assert "RemoveIPC" not in service
