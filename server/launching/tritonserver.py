"""Tritonserver's command line and environment variables."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.environment.triton_environment import TritonEnvironment
from server.launching.allocator import preloaded
from server.launching.backend_directory import shared_memory_prefix

# Closed to clients: nobody knows the key that would open them. `model-repository` stays
# open because the repository index is in it; loading and unloading through it is refused
# by the model control modes used here.
CLOSED_PROTOCOLS: Final = ("shared-memory", "trace", "logging")
# Beyond so many at once every request's messages are allocated anew; Triton's own default is 8.
_KEPT_REQUESTS: Final = 512


@dataclass(frozen=True)
class ServerOptions:
    """What `python -m server run` was asked for."""

    model_repository: Path
    device: str
    """`cpu` or `gpu`."""
    config: str
    """Of each model's `configs/<config>.pbtxt`; empty: the device's default."""
    host: str
    http: bool
    """Whether the HTTP endpoint is open."""
    http_port: int
    grpc_port: int
    metrics: bool
    """Whether the metrics are open, over HTTP too."""
    metrics_port: int
    poll_seconds: int
    """Seconds between two looks at the model repository; 0: only at the start."""
    start_timeout: float
    """Seconds until the server must be ready."""
    stop_timeout: int
    """Seconds that running requests get when it stops."""


def command_line(options: ServerOptions, environment: TritonEnvironment, backends: Path) -> list[str]:
    """The command that starts tritonserver."""
    key = f"closed-{secrets.token_hex(16)}={secrets.token_hex(16)}"
    closed = f"{','.join(CLOSED_PROTOCOLS)}:{key}"
    poll = options.poll_seconds
    config = options.config or ("cpu" if options.device == "cpu" else "")
    regions = f"shm-region-prefix-name={shared_memory_prefix(backends)}"
    return [
        str(environment.tritonserver),
        f"--model-repository={options.model_repository.absolute()}",
        f"--backend-directory={backends}",
        f"--backend-config=python,{regions}",
        *([f"--model-config-name={config}"] if config else []),
        *(["--model-control-mode=poll", f"--repository-poll-secs={poll}"] if poll else ["--model-control-mode=none"]),
        # A version that can't be loaded must not keep the others from being served.
        "--exit-on-error=false",
        *_http("http", options.http, options.host, options.http_port),
        f"--grpc-address={f'[{options.host}]' if ':' in options.host else options.host}",
        f"--grpc-port={options.grpc_port}",
        f"--grpc-infer-allocation-pool-size={_KEPT_REQUESTS}",
        *_http("metrics", options.metrics, options.host, options.metrics_port),
        f"--allow-gpu-metrics={'true' if options.device == 'gpu' else 'false'}",
        f"--http-restricted-api={closed}",
        f"--grpc-restricted-protocol={closed}",
        f"--exit-timeout-secs={options.stop_timeout}",
    ]


def _http(name: str, is_open: bool, host: str, port: int) -> list[str]:
    if not is_open:
        return [f"--allow-{name}=false"]
    return [f"--allow-{name}=true", f"--{name}-address={host}", f"--{name}-port={port}"]


def warnings(options: ServerOptions) -> list[str]:
    """A sentence on what each endpoint that was opened exposes tritonserver to."""
    who = "which any program on this machine may send, and any web page open in its browser"
    if options.host not in ("127.0.0.1", "::1", "localhost"):
        who = "which whoever reaches it may send"
    found = []
    if options.http:
        found.append(
            f"warning: --http opens Triton's HTTP endpoint on {options.host}:{options.http_port}. tritonserver 2.51 "
            f"dies there of a body in very many chunks and of deeply nested JSON, {who}."
        )
    if options.metrics:
        found.append(
            f"warning: --metrics opens Triton's metrics on {options.host}:{options.metrics_port}, over HTTP too. "
            f"tritonserver 2.51 keeps there what it is sent, 2 GB for a body of 2 million chunks, {who}."
        )
    return found


def variables(options: ServerOptions, environment: TritonEnvironment) -> dict[str, str]:
    """The environment variables tritonserver and its stubs run with."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
    own = {
        # The stub imports from the environment whose python3 is the first on PATH.
        "PATH": f"{environment.directory / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": environment.library_path,
        "PYTHONNOUSERSITE": "1",
        # From 1.29 on ONNX Runtime's wheels for Linux report every session to Microsoft unless told not to.
        "ORT_DISABLE_TELEMETRY": "1",
        **preloaded(),
    }
    if options.device == "cpu":
        own["CUDA_VISIBLE_DEVICES"] = ""  # or Triton takes memory on every GPU it sees
    return inherited | own
