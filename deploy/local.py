"""Runs Triton and the gateway on this machine, in the foreground. `make serve` calls it.

    python -m deploy.local [--device gpu]

Ctrl-C stops both. If one of them dies the other is stopped, and the exit status says so.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from typing import Final

from gateway.command_line import SettingsError, read_settings, variable
from server.child import AWAITED_SIGNALS, describe, exit_status, kill_group, next_signal, start
from server.readiness import ask

TEXT: Final = "Как же я рад тебя видеть!"
_STOP_SECONDS: Final = 20.0


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local",
        description="Triton and the gateway on this machine. Ctrl-C stops both.",
        epilog="After --, flags for the gateway: python -m gateway --help lists them.",
        allow_abbrev=False,
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where the models run (default: cpu)")
    parser.add_argument("--environment", default=".venv-triton", help="Triton's environment (default: %(default)s)")
    parser.add_argument("--http-port", type=int, default=8000, help="Triton's HTTP port (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, default=8001, help="Triton's gRPC port (default: %(default)s)")
    parser.add_argument("--metrics-port", type=int, default=8002, help="Triton's metrics port (default: %(default)s)")
    parser.add_argument("gateway", nargs="*", metavar="-- GATEWAY FLAGS", help="such as -- --port 9000")
    arguments = parser.parse_args()
    return arguments, arguments.gateway


def _stop(parts: dict[str, subprocess.Popen[bytes]]) -> None:
    """The gateway first, so that nobody asks a Triton that is going."""
    for part in reversed(parts.values()):
        if part.poll() is None:
            part.terminate()
        try:
            part.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print("a part did not stop in time and is killed", file=sys.stderr)
            kill_group(part)
            part.wait()


def _say_ready(url: str, grpc_port: int, seconds: float) -> None:
    body = f'{{"text": "{TEXT}"}}'
    print(
        f"\nReady after {seconds:.1f} s. Try it:\n\n"
        f"  curl -s {url}/v1/emotions -H 'content-type: application/json' -d {shlex.quote(body)}\n\n"
        f"Page: {url}/ · API: {url}/docs · Triton's gRPC: 127.0.0.1:{grpc_port} · Ctrl-C stops everything.\n",
        flush=True,
    )


def main() -> int:
    """Start both parts, wait, stop both; returns the exit status."""
    arguments, gateway_flags = _arguments()
    for_people = [] if variable("log_format") in os.environ else ["--log-format=text"]
    gateway_flags = [f"--triton-address=127.0.0.1:{arguments.grpc_port}", *for_people, *gateway_flags]
    try:
        settings = read_settings(gateway_flags)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED_SIGNALS)
    commands = {
        "Triton": [
            "server", "run", "--poll-seconds=2",
            f"--model-repository={settings.model_repository}", f"--environment={arguments.environment}",
            f"--device={arguments.device}", f"--http-port={arguments.http_port}", f"--grpc-port={arguments.grpc_port}",
            f"--metrics-port={arguments.metrics_port}",
        ],
        "the gateway": ["gateway", *gateway_flags],
    }  # fmt: skip
    began = time.monotonic()
    parts: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            # SIGTERM, so that Triton's launcher can stop its own child if this process is killed.
            parts[name] = start([sys.executable, "-m", *command], dict(os.environ), death_signal=signal.SIGTERM)
        return _attend(parts, settings.host, settings.port, arguments.grpc_port, began)
    finally:
        _stop(parts)


def _attend(parts: dict[str, subprocess.Popen[bytes]], host: str, port: int, grpc_port: int, began: float) -> int:
    reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    ready = False
    while True:
        received = next_signal(None if ready else 0.2)
        for name, part in parts.items():
            if (returncode := part.poll()) is not None:
                print(f"error: {name} ended with {describe(returncode)}; everything is stopped.", file=sys.stderr)
                return exit_status(returncode) or 1
        if received is not None:
            print("stopping", file=sys.stderr)
            return 0
        if not ready and ask(reachable, port, "GET", "/health/ready") is not None:
            ready = True
            _say_ready(f"http://{reachable}:{port}", grpc_port, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
