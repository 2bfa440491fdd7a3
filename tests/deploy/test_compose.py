"""docker-compose.yml and its .env, checked without a Docker engine.

`compose-spec.json` beside this file is the Compose Specification's own schema, as Docker
Compose 2.40.3 has it built in (from compose-spec/compose-go, Apache-2.0), unchanged.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema
import pytest
import yaml

from benchmarks.setup.texts import newest_version
from contract.version_directory import CPU_GRAPH
from gateway.command_line import read_settings
from gateway.settings import Settings
from server.arguments import command_line_parser, server_options
from server.environment.triton_environment import TritonEnvironment, read_environment
from server.launching.tritonserver import CLOSED_PROTOCOLS, ServerOptions, command_line, variables
from tests.support.plain_triton import plain_triton
from tests.support.triton_process import is_listening, triton_environment

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).with_name("compose-spec.json")
# The newest when this was written; what NVIDIA's bulletins ask for at least.
TRITON_IMAGE = "nvcr.io/nvidia/tritonserver:26.11-py3"
OLDEST_IMAGE = (26, 7)
HTTP_PORT = 8000  # Triton's default; the launcher opens it only if asked to.
TRITON_SERVICES = {"triton": "gpu", "triton-cpu": "cpu"}
MODELS = "/models"
MONITORING = {"prometheus": 9090, "alertmanager": 9093, "grafana": 3000}
Service = dict[str, Any]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = compose["services"]
    return found


@pytest.fixture(params=TRITON_SERVICES)
def triton(request: pytest.FixtureRequest, services: dict[str, Service]) -> Service:
    service: Service = services[request.param]
    return service


@pytest.fixture(scope="module")
def gateway(services: dict[str, Service]) -> Service:
    return services["gateway"]


@pytest.fixture(scope="module")
def environment() -> TritonEnvironment:
    return read_environment(triton_environment())


@pytest.fixture(scope="module")
def triton_help(environment: TritonEnvironment) -> str:
    shown = subprocess.run(
        [environment.tritonserver, "--help"],
        env=os.environ | {"LD_LIBRARY_PATH": environment.library_path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return shown.stdout + shown.stderr


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., list[str]]:
    """What a service starts tritonserver with: its command, run with a stand-in on PATH."""
    stand_in = tmp_path / "tritonserver"
    stand_in.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)

    def run(service: Service, **variables: str) -> list[str]:
        shell = subprocess.run(
            [part.replace("$$", "$") for part in service["command"]],  # as Compose does
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return shell.stdout.splitlines()

    return run


def launched(device: str, environment: TritonEnvironment) -> dict[str, str]:
    """What `python -m server run`, polling, starts tritonserver with."""
    return as_flags(command_line(options(device), environment, Path("/backends"))[1:])


def options(device: str) -> ServerOptions:
    arguments = ["run", f"--model-repository={MODELS}", "--poll-seconds=5", f"--device={device}", "--http", "--metrics"]
    return server_options(command_line_parser().parse_args(arguments))


def as_flags(arguments: list[str]) -> dict[str, str]:
    assert all(argument.startswith("--") and "=" in argument for argument in arguments), arguments
    flags = dict(argument.split("=", 1) for argument in arguments)
    assert len(flags) == len(arguments), f"a flag given twice: {arguments}"
    return flags


def seconds(duration: str) -> int:
    match = re.fullmatch(r"(\d+)s", duration)
    assert match is not None, f"{duration}: write it in seconds"
    return int(match[1])


# The file as Compose reads it


def test_the_file_follows_the_compose_schema(compose: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)] == []


def test_the_schema_refuses_what_compose_refuses(compose: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))
    unknown = {**compose["services"]["gateway"], "helthcheck": {}}
    broken = {**compose, "services": {**compose["services"], "gateway": unknown}}
    assert any("helthcheck" in error.message for error in validator.iter_errors(broken))


def test_a_plain_up_is_the_gpu_machine_and_a_profile_is_the_cpu(services: dict[str, Service]) -> None:
    lines = (ROOT / ".env").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["COMPOSE_PROFILES=gpu"]
    in_profile = {
        profile: {name for name, service in services.items() if profile in service["profiles"]}
        for profile in ("gpu", "cpu", "monitoring")
    }
    assert in_profile == {
        "gpu": {"triton", "gateway"},
        "cpu": {"triton-cpu", "gateway"},
        "monitoring": set(MONITORING),
    }


def test_the_gateway_waits_for_the_triton_that_is_there(gateway: Service) -> None:
    waits = {"condition": "service_healthy", "required": False}
    assert gateway["depends_on"] == dict.fromkeys(TRITON_SERVICES, waits)


def test_everything_mounted_is_the_model_repository_read_only(services: dict[str, Service]) -> None:
    for name in (*TRITON_SERVICES, "gateway"):
        (mount,) = services[name]["volumes"]
        assert mount["type"] == "bind"
        assert mount["target"] == MODELS
        assert mount["read_only"] is True
        assert mount["bind"] == {"create_host_path": False}
        assert (ROOT / mount["source"]).resolve() == ROOT / "model_repository"
        assert list((ROOT / mount["source"]).glob("*/config.pbtxt"))


def test_every_port_is_the_codes_own_and_published_on_this_machine_only(services: dict[str, Service]) -> None:
    run = options("gpu")
    triton = [f"127.0.0.1:{port}:{port}" for port in (run.grpc_port, run.metrics_port)]
    port = Settings.model_fields["port"].default
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "triton": triton,
        "triton-cpu": triton,
        "gateway": [f"127.0.0.1:{port}:{port}"],
        **{name: [f"127.0.0.1:{port}:{port}"] for name, port in MONITORING.items()},
    }


def test_what_fails_is_started_again_and_logs_do_not_fill_the_disk(services: dict[str, Service]) -> None:
    for service in services.values():
        assert service["restart"] == "unless-stopped"
        assert service["logging"] == {"driver": "local"}


# Triton


def test_nobody_has_privileges_or_more_than_its_share(services: dict[str, Service]) -> None:
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert re.fullmatch(r"[1-9][0-9]*g", service["mem_limit"])
        assert 0 < service["pids_limit"] <= 4096
        # Compose refuses a file that says both, differently.
        assert "limits" not in service.get("deploy", {}).get("resources", {})
        assert not service.get("privileged")


def test_triton_runs_as_the_images_own_user(triton: Service) -> None:
    assert triton["user"] == "1000:1000"


def test_triton_is_nvidias_image(triton: Service) -> None:
    assert triton["build"] == {"context": ".", "dockerfile": "deploy/triton.Dockerfile"}
    bases = re.findall(r"^ARG BASE=([^@\n]*)", (ROOT / "deploy/triton.Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert bases == [TRITON_IMAGE]
    version = re.search(r":(\d+)\.(\d+)-py3$", TRITON_IMAGE)
    assert version is not None
    assert (int(version[1]), int(version[2])) >= OLDEST_IMAGE
    assert "entrypoint" not in triton, "the image's own entrypoint sets up the GPU"


@pytest.mark.parametrize(("name", "device"), TRITON_SERVICES.items())
def test_flags_are_the_launchers(
    name: str,
    device: str,
    services: dict[str, Service],
    started: Callable[[Service], list[str]],
    environment: TritonEnvironment,
) -> None:
    ours, launchers = as_flags(started(services[name])), launched(device, environment)
    for flag in ("--http-restricted-api", "--grpc-restricted-protocol"):
        protocols, _, key = ours.pop(flag).partition(":")
        assert protocols == launchers.pop(flag).partition(":")[0] == ",".join(CLOSED_PROTOCOLS)
        assert re.fullmatch(r"closed-[0-9a-f-]{36}=[0-9a-f-]{36}", key)
    # The image has its own backends, and no launcher that leaves a damaged version out. In a container Triton's
    # gRPC and metrics listen on every address and on their usual ports: `ports` says who reaches them.
    doors = {f"--{door}-{what}" for door in ("http", "grpc", "metrics") for what in ("address", "port")}
    apart = doors | {
        "--allow-http",
        "--allow-metrics",
        "--backend-directory",
        "--backend-config",
        "--exit-on-error",
        "--strict-readiness",
    }
    assert {flag: value for flag, value in ours.items() if flag not in apart} == {
        flag: value for flag, value in launchers.items() if flag not in apart and flag != "--model-repository"
    } | {"--model-repository": MODELS}
    assert "--backend-directory" not in ours


def test_http_is_for_the_health_check_alone(triton: Service, started: Callable[[Service], list[str]]) -> None:
    flags = as_flags(started(triton))
    assert flags["--http-address"] == "127.0.0.1"
    # Which would be HTTP's, if it were left out.
    assert flags["--metrics-address"] == "0.0.0.0"  # noqa: S104 - inside the container
    assert not [port for port in triton["ports"] if str(HTTP_PORT) in port]


def test_a_damaged_version_stops_neither_start_nor_health_check(
    triton: Service, started: Callable[[Service], list[str]]
) -> None:
    flags = as_flags(started(triton))
    assert flags["--exit-on-error"] == flags["--strict-readiness"] == "false"


def test_the_command_serves_what_is_whole_and_the_health_check_passes(
    services: dict[str, Service], started: Callable[[Service], list[str]], tmp_path: Path
) -> None:
    """One model has only a damaged version; in the image Triton's own backend would say the same."""
    for name in ("emotion_rubert", "emotion_xlm"):
        shutil.copytree(ROOT / "model_repository" / name, tmp_path / "models" / name)
    (newest_version(tmp_path / "models", "emotion_xlm") / CPU_GRAPH).write_bytes(b"half a graph")
    flags = [flag for flag in started(services["triton-cpu"]) if not flag.startswith("--repository-poll-secs")]
    with plain_triton(tmp_path / "models", *flags, poll_seconds=3600) as triton:
        triton.wait_for(lambda: {model for model, _ in triton.ready()} == {"emotion_rubert"})
        url = f"http://127.0.0.1:{triton.http_port}"
        path = urlsplit(services["triton-cpu"]["healthcheck"]["test"][-1]).path
        triton.wait_for(lambda: is_listening(triton.http_port))  # it listens for gRPC first
        assert httpx.get(url + path, timeout=10).status_code == 200


def test_the_key_of_the_closed_protocols_is_new_at_every_start(
    triton: Service, started: Callable[[Service], list[str]]
) -> None:
    first, second = as_flags(started(triton)), as_flags(started(triton))
    assert first["--http-restricted-api"] != second["--http-restricted-api"]


def test_tritonserver_knows_every_flag(
    triton: Service, started: Callable[[Service], list[str]], triton_help: str
) -> None:
    known = set(re.findall(r"^ +(--[a-z0-9-]+)", triton_help, re.MULTILINE))
    assert len(known) > 50
    assert as_flags(started(triton)).keys() <= known


@pytest.mark.parametrize("door", ["http", "grpc", "metrics"])
def test_the_ports_not_given_are_tritons_defaults(door: str, triton_help: str) -> None:
    described = triton_help.split(f"--{door}-port <integer>", 1)[1].split("\n  --", 1)[0]
    run = options("gpu")
    port = {"http": HTTP_PORT, "grpc": run.grpc_port, "metrics": run.metrics_port}[door]
    assert f"Default is {port}." in described


def test_tritonserver_accepts_the_command(
    triton: Service,
    started: Callable[[Service], list[str]],
    environment: TritonEnvironment,
    tmp_path: Path,
) -> None:
    flags = as_flags(started(triton))
    assert flags["--model-repository"] == MODELS
    # It reads the whole command line first, and only then misses the models: no port is opened.
    nowhere = tmp_path / "nowhere"
    flags["--model-repository"] = str(nowhere)
    flags["--exit-on-error"] = "true"  # otherwise it would wait for the models to appear
    refused = subprocess.run(
        [environment.tritonserver, *(f"{flag}={value}" for flag, value in flags.items())],
        env=os.environ | {"LD_LIBRARY_PATH": environment.library_path, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert "Usage: tritonserver" not in refused.stdout + refused.stderr
    assert str(nowhere) in refused.stdout + refused.stderr


def test_only_the_gpu_service_reserves_a_gpu(services: dict[str, Service]) -> None:
    (device,) = services["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "deploy" not in services["triton-cpu"]


def test_the_cpu_service_hides_gpus_as_the_launcher_does(
    services: dict[str, Service], environment: TritonEnvironment
) -> None:
    own = services["triton-cpu"]["environment"]
    assert own["CUDA_VISIBLE_DEVICES"] == variables(options("cpu"), environment)["CUDA_VISIBLE_DEVICES"]


@pytest.fixture
def named(tmp_path: Path, started: Callable[..., list[str]]) -> Callable[[Service, str], list[str]]:
    """What a service starts with a configuration's name, on a repository in which one of two models has `tuned`."""
    models = tmp_path / "model_repository"
    for name in ("emotion_rubert", "emotion_rubert_text", "emotion_xlm"):
        shutil.copytree(ROOT / "model_repository" / name, models / name, symlinks=True)
    shutil.copy(models / "emotion_rubert/configs/cpu.pbtxt", models / "emotion_rubert/configs/tuned.pbtxt")

    def start(service: Service, name: str) -> list[str]:
        assert service["environment"]["EMOTION_TRITON_CONFIG"] == "${EMOTION_TRITON_CONFIG:-}"
        here = service | {"command": [part.replace(f"{MODELS}/*", f"{models}/*") for part in service["command"]]}
        return started(here, EMOTION_TRITON_CONFIG=name)

    return start


def test_a_named_configuration_is_taken_if_every_model_has_it(
    services: dict[str, Service], named: Callable[[Service, str], list[str]], tmp_path: Path
) -> None:
    cpu, gpu = services["triton-cpu"], services["triton"]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        named(cpu, "tuned")
    configs = "model_repository/emotion_xlm/configs"
    copy = f"cp {configs}/cpu.pbtxt {configs}/tuned.pbtxt"
    said = f"error: {configs}/tuned.pbtxt is not there. To keep the model's default: {copy}\n"
    assert refused.value.stderr == said
    subprocess.run(copy.split(), cwd=tmp_path, check=True)
    assert as_flags(named(cpu, "tuned"))["--model-config-name"] == "tuned"
    assert as_flags(named(cpu, ""))["--model-config-name"] == "cpu"
    assert "--model-config-name" not in as_flags(named(gpu, ""))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        named(gpu, "tuned")
    assert "configs/tuned.pbtxt is for another device than" in refused.value.stderr
    own = tmp_path / configs / "tuned.pbtxt"
    for path in (own, tmp_path / "model_repository/emotion_rubert/configs/tuned.pbtxt"):
        path.write_text("# KIND_CPU in a comment\n" + (path.parents[1] / "config.pbtxt").read_text())
    own.unlink()  # Triton's own choice is the GPU's
    assert as_flags(named(gpu, "tuned"))["--model-config-name"] == "tuned"


def test_a_devices_own_needs_no_default_of_that_device(
    services: dict[str, Service], named: Callable[[Service, str], list[str]], tmp_path: Path
) -> None:
    models = tmp_path / "model_repository"
    shutil.rmtree(models / "emotion_xlm")
    (models / "emotion_rubert/configs/cpu.pbtxt").unlink()
    text = models / "emotion_rubert_text"
    (text / "configs").mkdir()
    shutil.copy(text / "config.pbtxt", text / "configs/tuned.pbtxt")
    assert as_flags(named(services["triton-cpu"], "tuned"))["--model-config-name"] == "tuned"


def test_a_configuration_that_no_model_has_is_refused(
    triton: Service, named: Callable[[Service, str], list[str]]
) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        named(triton, "tund")
    assert refused.value.stderr == "error: no model has a configs/tund.pbtxt: make tune writes configs/tuned.pbtxt\n"


def test_tritons_health_check_asks_for_readiness(triton: Service) -> None:
    check = triton["healthcheck"]
    assert check["test"][:2] == ["CMD", "curl"]
    assert "--fail" in check["test"]
    assert check["test"][-1] == f"http://127.0.0.1:{HTTP_PORT}/v2/health/ready"
    assert seconds(check["start_period"]) >= options("gpu").start_timeout


def test_requests_under_way_get_their_time_when_triton_stops(
    triton: Service, started: Callable[[Service], list[str]]
) -> None:
    assert seconds(triton["stop_grace_period"]) > int(as_flags(started(triton))["--exit-timeout-secs"])


# The gateway


def test_the_gateway_takes_its_variables(gateway: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("EMOTION_")]:
        monkeypatch.delenv(name)
    for name, value in gateway["environment"].items():
        assert name.startswith("EMOTION_")
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("EMOTION_MODEL_REPOSITORY", str(ROOT / "model_repository"))
    settings = read_settings([])  # refuses a variable it doesn't know
    assert settings.port == Settings.model_fields["port"].default
    assert settings.host == "0.0.0.0"  # noqa: S104 - inside the container
    assert gateway["environment"]["EMOTION_MODEL_REPOSITORY"] == MODELS


def test_the_gateways_triton_answers_to_that_name_in_both_profiles(services: dict[str, Service]) -> None:
    host, _, port = services["gateway"]["environment"]["EMOTION_TRITON_ADDRESS"].partition(":")
    assert int(port) == options("gpu").grpc_port
    for name in TRITON_SERVICES:
        aliases = services[name].get("networks", {}).get("default", {}).get("aliases", [])
        assert host in [name, *aliases]


def test_answers_under_way_get_their_time_when_the_gateway_stops(gateway: Service) -> None:
    assert seconds(gateway["stop_grace_period"]) > Settings.model_fields["request_timeout"].default + 1


@pytest.fixture
def answering() -> Iterator[Callable[[int], int]]:
    """Starts a server that answers /health/ready with a status, and only it; gives the port."""
    servers = []

    def start(status: int) -> int:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/health/ready" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False), (None, False)])
def test_the_gateways_health_check_works(
    status: int | None, healthy: bool, gateway: Service, answering: Callable[[int], int]
) -> None:
    kind, program, flag, code = gateway["healthcheck"]["test"]
    assert (kind, program, flag) == ("CMD", "python", "-c")
    port = str(Settings.model_fields["port"].default)
    assert code.count(port) == 1
    assert '"/health/ready"' in code
    elsewhere = answering(status) if status else 1
    done = subprocess.run([sys.executable, "-c", code.replace(port, str(elsewhere))], capture_output=True, timeout=30)
    assert (done.returncode == 0) is healthy


def test_the_gateways_health_check_asks_a_path_it_has() -> None:
    from gateway.api.routes import router

    assert "/health/ready" in [getattr(route, "path", "") for route in router.routes]


# The gateway's image


def test_the_image_is_built_from_the_dockerfile(gateway: Service) -> None:
    assert gateway["build"] == {"context": ".", "dockerfile": "deploy/gateway.Dockerfile"}
    assert (ROOT / "deploy/gateway.Dockerfile").is_file()


def test_the_gateway_in_the_container_may_write_nothing_but_a_temporary_file(gateway: Service) -> None:
    assert gateway["read_only"] is True
    assert gateway["tmpfs"] == ["/tmp"]  # noqa: S108


# Monitoring


@pytest.fixture(scope="module")
def prometheus_settings() -> dict[str, Any]:
    text = (ROOT / "deploy/monitoring/compose/prometheus.yml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def host_and_port(services: dict[str, Service], target: str) -> bool:
    """Whether a service, or an alias of one, listens at a target."""
    host, _, port = target.removeprefix("http://").partition(":")
    return any(
        host in (name, *service.get("networks", {}).get("default", {}).get("aliases", []))
        and any(published.endswith(f":{port}") for published in service.get("ports", []))
        for name, service in services.items()
    )


def test_prometheus_asks_services_that_are_there(
    services: dict[str, Service], prometheus_settings: dict[str, Any]
) -> None:
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in prometheus_settings["scrape_configs"]}
    assert jobs == {"ru-emotions-gateway": ["gateway:8080"], "ru-emotions-triton": ["triton:8002"]}
    (alertmanager,) = prometheus_settings["alerting"]["alertmanagers"]
    data_sources = yaml.safe_load((ROOT / "deploy/monitoring/compose/grafana/datasources.yml").read_text("utf-8"))
    urls = [source["url"] for source in data_sources["datasources"]]
    for target in (
        *jobs["ru-emotions-gateway"],
        *jobs["ru-emotions-triton"],
        *alertmanager["static_configs"][0]["targets"],
        *urls,
    ):
        assert host_and_port(services, target), target


def test_every_file_of_monitoring_is_there_and_read_only(services: dict[str, Service], compose: dict[str, Any]) -> None:
    for name in MONITORING:
        for volume in services[name]["volumes"]:
            source, target, *mode = volume.split(":")
            if source.startswith("./"):
                assert mode == ["ro"]
                assert (ROOT / source).exists(), source
            else:
                assert source in compose["volumes"], source
                assert target in (f"/{name}", "/var/lib/grafana")


def test_prometheus_finds_rules_and_key_where_its_settings_say(
    services: dict[str, Service], prometheus_settings: dict[str, Any], compose: dict[str, Any]
) -> None:
    mounts = dict(volume.split(":")[1::-1] for volume in services["prometheus"]["volumes"])
    home = "/etc/prometheus"
    (rules,) = prometheus_settings["rule_files"]
    assert list((ROOT / mounts[f"{home}/rules"]).glob(rules.removeprefix("rules/")))
    (secret,) = services["prometheus"]["secrets"]
    (gateway,) = [job for job in prometheus_settings["scrape_configs"] if "authorization" in job]
    assert secret["target"] == f"{home}/{gateway['authorization']['credentials_file']}"
    variable, _, default = compose["secrets"][secret["source"]]["file"].strip("${}").partition(":-")
    assert variable == "EMOTION_MONITORING_KEY_FILE"
    assert (ROOT / default).is_file()


def test_the_images_of_monitoring_name_a_version(services: dict[str, Service]) -> None:
    for name in MONITORING:
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", services[name]["image"])


def test_monitoring_starts_in_an_order_that_ends(services: dict[str, Service]) -> None:
    waits = {name: set(services[name].get("depends_on", {})) for name in MONITORING}
    assert waits == {"prometheus": {"alertmanager"}, "alertmanager": set(), "grafana": {"prometheus"}}
    for name, port in MONITORING.items():
        assert f"http://127.0.0.1:{port}/" in services[name]["healthcheck"]["test"][-1]


def test_settings_and_data_are_where_the_flags_say(services: dict[str, Service]) -> None:
    for name in ("prometheus", "alertmanager"):
        flags = as_flags([flag for flag in services[name]["command"] if "=" in flag])
        assert flags["--config.file"] in {volume.split(":")[1] for volume in services[name]["volumes"]}
        path = flags.get("--storage.tsdb.path", flags.get("--storage.path"))
        assert path in {volume.split(":")[1] for volume in services[name]["volumes"]}


def test_nobody_may_change_grafana(services: dict[str, Service]) -> None:
    settings = services["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    provider = yaml.safe_load((ROOT / "deploy/monitoring/compose/grafana/dashboards.yml").read_text("utf-8"))
    mounts = dict(volume.split(":")[1::-1] for volume in services["grafana"]["volumes"])
    (dashboards,) = provider["providers"]
    assert list((ROOT / mounts[dashboards["options"]["path"]]).glob("*.json"))
    home = Path(settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / mounts[str(home.parent)] / home.name).is_file()
