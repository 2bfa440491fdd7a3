"""One source for every setting; what can't work stops the start with a sentence."""

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.command_line import SettingsError, flag, read_settings, variable
from gateway.settings import VARIABLE_ONLY, Settings
from tests.gateway.support.gateway_process import ROOT, environment
from tests.support.waiting import SECONDS


def run(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *flags],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    settings = read_settings([])
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.triton_address == "127.0.0.1:8001"
    assert settings.default_model == "rubert"
    assert settings.request_timeout == 5
    assert (settings.max_texts, settings.max_characters) == (256, 10_000)
    assert (settings.max_body_bytes, settings.max_in_flight) == (2 * 1024 * 1024, 256)
    assert (settings.max_texts_in_flight, settings.key_share, settings.keep_alive) == (4096, 0.5, 75)
    assert settings.answer_cache == 16 * 1024 * 1024


def test_a_flag_wins_over_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_PORT", "9000")
    monkeypatch.setenv("EMOTION_MAX_TEXTS", "3")
    settings = read_settings(["--port=9001", f"--model-repository={tmp_path}"])
    assert (settings.port, settings.max_texts) == (9001, 3)


def test_help_shows_every_flag_default_and_variable() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    words = " ".join(shown.stdout.split())
    for name, field in Settings.model_fields.items():
        if name in VARIABLE_ONLY:
            assert flag(name) + " " not in words
            assert variable(name) in words
            continue
        assert flag(name) in words
        shown_default = "not set" if field.default is None else field.default
        assert f"(default: {shown_default}) [env: {variable(name)}]" in words


@pytest.mark.parametrize(
    ("flags", "variables", "sentence"),
    [
        (["--prot=1"], {}, "--prot=1"),
        (["--por=1"], {}, "--por=1"),
        (["extra"], {}, "extra"),
        ([], {"EMOTION_PROT": "1"}, "EMOTION_PROT is not a setting"),
        (["--port=high"], {}, "--port 'high'"),
        ([], {"EMOTION_PORT": "70000"}, "EMOTION_PORT '70000'"),
        (["--request-timeout=0"], {}, "--request-timeout '0'"),
        (["--triton-address=localhost"], {}, "must be host:port"),
        (["--canary=5"], {}, "--canary '5': '5' is no share of requests: write 5%, shadow or off"),
        ([], {"EMOTION_CANARY": "101%"}, "EMOTION_CANARY '101%'"),
        ([], {"EMOTION_CANARY": ""}, "write 5%, shadow or off"),
        (["--triton-address=localhost:0"], {}, "must be host:port"),
        (["--model-repository=nowhere"], {}, "nowhere is not a directory"),
        (["--max-body-bytes=10"], {}, "max_body_bytes (10) is too small"),
        (["--triton-address=10.0.0.1:8001,triton:8001"], {}, "a name must stand alone"),
        (["--triton-address=10.0.0.1:8001,[::1]:8001"], {}, "must all be IPv4 or all IPv6"),
        (["--triton-tls=perhaps"], {}, "--triton-tls 'perhaps'"),
        (["--triton-tls-ca=pyproject.toml"], {}, "need triton_tls"),
        (["--triton-tls=1", "--triton-tls-ca=pyproject.toml"], {}, "pyproject.toml holds no certificates in PEM"),
        (
            ["--triton-tls=1", "--triton-tls-certificate=LICENSE", "--triton-tls-key=pyproject.toml"],
            {},
            "triton_tls_certificate LICENSE and triton_tls_key pyproject.toml are no certificate in PEM",
        ),
        (["--triton-tls=true", "--triton-tls-key=pyproject.toml"], {}, "are needed together"),
        (["--triton-tls=true", "--triton-tls-ca=nowhere.pem"], {}, "--triton-tls-ca 'nowhere.pem'"),
        (["--workers=0"], {}, "--workers '0'"),
        (["--workers=8", "--max-in-flight=4"], {}, "workers without any"),
        (["--workers=8", "--max-texts-in-flight=4"], {}, "max_texts_in_flight (4) leaves some"),
        (["--keep-alive=0"], {}, "--keep-alive '0'"),
        (["--answer-cache=-1"], {}, "--answer-cache '-1'"),
        ([], {"EMOTION_ANSWER_CACHE": "16MB"}, "EMOTION_ANSWER_CACHE '16MB'"),
        (["--key-share=0"], {}, "--key-share '0'"),
        (["--key-share=1.5"], {}, "--key-share '1.5'"),
        ([], {"EMOTION_GATEWAY_PORT": "8080"}, "EMOTION_GATEWAY_PORT is not a setting"),
        ([], {"EMOTION_GATEWAY_HOST": "10.0.0.1"}, "EMOTION_GATEWAY_HOST is not a setting"),
        ([], {"EMOTION_SERVICE": "tcp://10.0.0.1:80"}, "EMOTION_SERVICE is not a setting"),
        ([], {"EMOTION_HOST_": "tcp://10.0.0.1:80"}, "EMOTION_HOST_ is not a setting"),
        (["--cors-origins=example.org"], {}, "example.org is no origin"),
        (["--log-format=xml"], {}, "--log-format 'xml'"),
        (["--otlp-endpoint=collector:4317"], {}, "must be http://host:port"),
        (["--api-keys=0123456789abcdef"], {}, "--api-keys"),
        ([], {"EMOTION_API_KEYS": ""}, "api_keys holds no key"),
        ([], {"EMOTION_API_KEYS": "too-short"}, "shorter than 16"),
        (["--api-keys-file=pyproject.toml"], {}, "shorter than 16"),
        ([], {"EMOTION_API_KEYS": "0123456789abcdef:shop"}, "shorter than 16"),
        ([], {"EMOTION_API_KEYS": "too-short-for-a-key:0123456789abcdef"}, "holds a name (name:key) that is not"),
        ([], {"EMOTION_API_KEYS": ":0123456789abcdef"}, "holds a name (name:key) that is not"),
        ([], {"EMOTION_API_KEYS": "a:0123456789abcdef,b:0123456789abcdef"}, "one key under two names"),
        (["--revision=two words"], {}, "--revision 'two words'"),
        (["--api-keys-file=README.md"], {"EMOTION_API_KEYS": "0123456789abcdef"}, "contradict each other"),
    ],
)
def test_wrong_settings(
    flags: list[str], variables: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        read_settings(flags)
    said = str(refused.value)
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert "too-short" not in said


@pytest.mark.parametrize("name", ["EMOTION_GATEWAY_URL", "EMOTION_GATEWAY_KEY_FILE", "EMOTION_TELEGRAM_TOKEN"])
def test_the_variables_of_clients_are_no_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv(name, "something")
    assert read_settings([]) == Settings()


@pytest.mark.parametrize("service", ["EMOTION", "EMOTION_GATEWAY", "EMOTION_MAX_TEXTS", "EMOTION_TRITON_2"])
def test_what_kubernetes_says_of_a_service_is_no_setting(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name, value in {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
        "SERVICE_PORT_GRPC_WEB": "8081",
        "PORT": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP_PROTO": "tcp",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_ADDR": "10.0.0.1",
        "PORT_53_UDP": "udp://10.0.0.1:53",
    }.items():
        monkeypatch.setenv(f"{service}_{name}", value)
    monkeypatch.setenv("EMOTION_MAX_TEXTS", "3")
    settings = read_settings([])
    assert (settings.port, settings.max_texts) == (8080, 3)
    monkeypatch.setenv("EMOTION_PROT", "1")
    with pytest.raises(SettingsError, match="EMOTION_PROT is not a setting"):
        read_settings([])


@pytest.mark.parametrize(("flags", "variables"), [(["--prot=1"], {}), ([], {"EMOTION_PORT": "high"})])
def test_wrong_settings_stop_the_start(flags: list[str], variables: dict[str, str]) -> None:
    ended = run(*flags, **variables)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run(f"--port={taken.getsockname()[1]}")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: can't listen on 127.0.0.1:")
    assert len(ended.stderr.splitlines()) == 1


def default(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_the_documentation_has_every_setting() -> None:
    documented = (ROOT / "docs/gateway.md").read_text("utf-8")
    rows = [
        f"| `{variable(name)}` | {'—' if name in VARIABLE_ONLY else f'`{flag(name)}`'} | {default(field.default)} "
        f"| {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    table = "\n".join(rows)
    assert table in documented, f"docs/gateway.md should hold:\n{table}"


def test_the_documentation_has_every_metric() -> None:
    documented = (ROOT / "docs/gateway.md").read_text("utf-8")
    modules = [path.read_text("utf-8") for path in (ROOT / "gateway/telemetry").glob("*.py")]
    names = set(re.findall(r'"(emotion_\w+)"', "".join(modules)))
    assert len(names) == 13 + 7 + 12 + 4
    assert not [name for name in names if name not in documented]
