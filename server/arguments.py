"""The command line of `python -m server`."""

import argparse
import re
import sys
from pathlib import Path

from server.environment import host
from server.environment.installation import install
from server.environment.triton_environment import check_environment, read_environment
from server.errors import LauncherError
from server.launching import launcher
from server.launching.tritonserver import ServerOptions


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; `sys.argv`'s if None.

    Returns:
        The exit status: 0 if all went well, 1 with one sentence of explanation, 2 for a
        wrong command line, or what tritonserver ended with.
    """
    parsed = command_line_parser().parse_args(arguments)
    try:
        if parsed.command == "install":
            return _install(parsed.environment, gpu=parsed.gpu)
        if parsed.command == "check" and parsed.python_only:
            host.check_python(shared_library=False)
            return 0
        if parsed.command == "check" and parsed.host_only:
            host.check_platform()
            host.check_python()
            return 0
        if parsed.command == "check":
            return _check(parsed.environment, gpu=parsed.device == "gpu")
        return launcher.run(server_options(parsed), parsed.environment)
    except LauncherError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130


def command_line_parser() -> argparse.ArgumentParser:
    """The parser of every command; unknown and abbreviated options are errors."""
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="NVIDIA's Triton Inference Server on this machine, from PyPI.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("install", help="make Triton's environment", allow_abbrev=False)
    making.add_argument("--gpu", action="store_true", help="with ONNX Runtime and the libraries for NVIDIA GPUs")
    checking = commands.add_parser("check", help="say what this machine lacks to run Triton", allow_abbrev=False)
    running = commands.add_parser("run", help="serve a model repository", allow_abbrev=False)
    for command in (making, checking, running):
        command.add_argument(
            "--environment",
            type=Path,
            default=Path(".venv-triton"),
            metavar="DIRECTORY",
            help="Triton's environment (default: %(default)s)",
        )
    checking.add_argument(
        "--python-only", action="store_true", help="whether this Python can make environments, and nothing else"
    )
    checking.add_argument(
        "--host-only", action="store_true", help="platform and Python alone, before any environment is made"
    )
    for command in (checking, running):
        command.add_argument(
            "--device",
            choices=("cpu", "gpu"),
            default="cpu",
            help="cpu chooses each model's configs/cpu.pbtxt (default: %(default)s)",
        )
    _add_run_options(running)
    return parser


def _add_run_options(running: argparse.ArgumentParser) -> None:
    running.add_argument("--model-repository", type=Path, required=True, metavar="DIRECTORY", help="what to serve")
    running.add_argument(
        "--config",
        type=_name,
        metavar="NAME",
        help="each model's configs/NAME.pbtxt where it has one, such as tuned (default: the device's)",
    )
    running.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    running.add_argument("--http", action="store_true", help="open Triton's HTTP endpoint too, as for curl")
    running.add_argument("--metrics", action="store_true", help="open Triton's metrics for Prometheus")
    ports = {"http": 8000, "grpc": 8001, "metrics": 8002}
    for name, port in ports.items():
        running.add_argument(
            f"--{name}-port",
            type=_port,
            default=port,
            metavar="PORT",
            help=f"port for {name} (default: %(default)s)",
        )
    running.add_argument(
        "--poll-seconds",
        type=_whole_number,
        default=0,
        metavar="SECONDS",
        help="look for new model versions this often; 0: only at the start (default: 0)",
    )
    running.add_argument(
        "--start-timeout",
        type=_seconds,
        default=120.0,
        metavar="SECONDS",
        help="time until the server must be ready (default: 120)",
    )
    running.add_argument(
        "--stop-timeout",
        type=_whole_number,
        default=10,
        metavar="SECONDS",
        help="time that running requests get when it stops (default: %(default)s)",
    )


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise argparse.ArgumentTypeError(f"{text} is no name (letters, digits, _ and - alone), such as tuned")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535)")
    return int(text)


def _whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 31:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to 2147483647")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return seconds


def server_options(parsed: argparse.Namespace) -> ServerOptions:
    """What a parsed `run` asks for."""
    return ServerOptions(
        model_repository=parsed.model_repository,
        device=parsed.device,
        config=parsed.config or "",
        host=parsed.host,
        http=parsed.http,
        http_port=parsed.http_port,
        grpc_port=parsed.grpc_port,
        metrics=parsed.metrics,
        metrics_port=parsed.metrics_port,
        poll_seconds=parsed.poll_seconds,
        start_timeout=parsed.start_timeout,
        stop_timeout=parsed.stop_timeout,
    )


def _install(directory: Path, *, gpu: bool) -> int:
    host.check_platform()
    made = install(directory, gpu=gpu)
    print(f"Triton's environment {directory} is {'made' if made else 'up to date'}.")
    return 0


def _check(directory: Path, *, gpu: bool) -> int:
    host.check_platform()
    if gpu:
        host.check_gpu()
    environment = read_environment(directory)
    check_environment(environment, gpu=gpu)
    host.check_libraries(environment.stub, environment.library_path, environment.python_version)
    packages = ", ".join(f"{k} {v}" for k, v in environment.packages.items() if v)
    print(
        f"All is well: Linux x86-64, {host.running_libc()}, Python "
        f"{environment.python_version} with a shared libpython, {packages}."
    )
    return 0
