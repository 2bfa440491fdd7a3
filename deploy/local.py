"""Runs Triton and the gateway on this machine, in the foreground. `make serve` calls it.

    python -m deploy.local [--device gpu]

Ctrl-C stops both. One that dies is started again; the exit status is 0 unless one could not start or stay up.
"""

import argparse
import os
import shlex
import sys
import time
from typing import Final

from deploy.supervisor import SupervisedProcess, supervise
from gateway.command_line import SettingsError, read_settings, variable
from gateway.settings import Settings
from server.launching.backend_directory import remove_leftovers
from server.launching.readiness import http_get, is_ready
from server.messages import report
from server.processes.child import await_signals

TEXT: Final = "Как же я рад тебя видеть!"
_TRITON_HOST: Final = "127.0.0.1"


def command_line_parser() -> argparse.ArgumentParser:
    """The parser; what follows -- is the gateway's."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local",
        description="Triton and the gateway on this machine. Ctrl-C stops both.",
        epilog="After --, flags for the gateway: python -m gateway --help lists them.",
        allow_abbrev=False,
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where the models run (default: cpu)")
    parser.add_argument(
        "--config", metavar="NAME", help="each model's configs/NAME.pbtxt where it has one, such as tuned"
    )
    parser.add_argument("--environment", default=".venv-triton", help="Triton's environment (default: %(default)s)")
    parser.add_argument("--http", action="store_true", help="open Triton's HTTP endpoint too, as for curl")
    parser.add_argument("--metrics", action="store_true", help="open Triton's metrics for Prometheus")
    parser.add_argument("--http-port", type=int, default=8000, help="Triton's HTTP port (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, default=8001, help="Triton's gRPC port (default: %(default)s)")
    parser.add_argument("--metrics-port", type=int, default=8002, help="Triton's metrics port (default: %(default)s)")
    parser.add_argument(
        "--max-restarts",
        type=int,
        default=8,
        metavar="COUNT",
        help="a part that dies is started again; one that dies more often than this in a row, each time before it was "
        "ready for 10 s, ends everything (default: %(default)s; 0: never start again)",
    )
    parser.add_argument("gateway", nargs="*", metavar="-- GATEWAY FLAGS", help="such as -- --port 9000")
    return parser


def main() -> int:
    """Start both parts, keep them running, stop both; returns the exit status."""
    arguments = command_line_parser().parse_args()
    for_people = [] if variable("log_format") in os.environ else ["--log-format=text"]
    gateway_flags = [f"--triton-address={_TRITON_HOST}:{arguments.grpc_port}", *for_people, *arguments.gateway]
    try:
        settings = read_settings(gateway_flags)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    await_signals()
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    began = time.monotonic()

    def answers(path: str) -> bool:
        return http_get(host, settings.port, path) is not None

    def say_ready() -> bool:
        if ready := answers("/health/ready"):
            _say_ready(f"http://{host}:{settings.port}", arguments.grpc_port, time.monotonic() - began)
        return ready

    triton = SupervisedProcess(
        "Triton",
        _triton_arguments(arguments, settings),
        lambda: is_ready(_TRITON_HOST, arguments.grpc_port),
        arguments.max_restarts,
    )
    gateway = SupervisedProcess(
        "the gateway", ["gateway", *gateway_flags], lambda: answers("/health/live"), arguments.max_restarts
    )
    try:
        return supervise([triton, gateway], say_ready)
    finally:
        remove_leftovers()  # of a launcher that was killed


def _triton_arguments(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    return [
        *("server", "run", "--poll-seconds=2", f"--model-repository={settings.model_repository}"),
        *(f"--environment={arguments.environment}", f"--device={arguments.device}", f"--host={_TRITON_HOST}"),
        *([f"--config={arguments.config}"] if arguments.config else []),
        *(["--http"] if arguments.http else []),
        *(["--metrics"] if arguments.metrics else []),
        *(f"--http-port={arguments.http_port}", f"--grpc-port={arguments.grpc_port}"),
        f"--metrics-port={arguments.metrics_port}",
    ]


def _say_ready(url: str, grpc_port: int, seconds: float) -> None:
    body = f'{{"text": "{TEXT}"}}'
    report(
        f"\nReady after {seconds:.1f} s. Try it:\n\n"
        f"  curl -s {url}/v1/emotions -H 'content-type: application/json' -d {shlex.quote(body)}\n\n"
        f"Page: {url}/ · API: {url}/docs · Triton's gRPC: {_TRITON_HOST}:{grpc_port} · Ctrl-C stops everything.\n",
        sys.stdout,
    )


if __name__ == "__main__":
    sys.exit(main())
