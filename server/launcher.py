"""From start to end of one tritonserver: start it, wait until it is ready, stop it cleanly.

The launcher has one thread that decides. It waits with `sigtimedwait` for the end of its
child or a request to stop, so nothing happens in signal handlers.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

from server import host, triton
from server.allocator import ADVICE, C_LIBRARY, allocator_of
from server.backends import backend_directory
from server.child import AWAITED_SIGNALS, describe, exit_status, kill_group, next_signal, start
from server.environment import check_environment, read_environment
from server.errors import StartError
from server.log import LogPump, explain
from server.ports import check_ports
from server.readiness import is_ready, served_models
from server.repository import check_repository
from server.stubs import LOOK_SECONDS, DeadStubWatch
from server.triton import ServerOptions

_KILL_GRACE_SECONDS = 5.0


def run(options: ServerOptions, environment_directory: Path) -> int:
    """Serve a model repository until asked to stop or until tritonserver ends.

    Returns:
        0 if it was asked to stop and tritonserver ended cleanly; otherwise tritonserver's
        exit status, or 128 + n if signal n ended it.

    Raises:
        LauncherError: something that was checked before the start is wrong, or tritonserver
            did not become ready.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED_SIGNALS)
    host.check_platform()
    if options.device == "gpu":
        host.check_gpu()
    environment = read_environment(environment_directory)
    check_environment(environment, gpu=options.device == "gpu")
    host.check_libraries(environment.stub, environment.library_path, environment.python_version)
    check_repository(options.model_repository)
    ports = {
        "--http-port": options.http_port,
        "--grpc-port": options.grpc_port,
        "--metrics-port": options.metrics_port,
    }
    check_ports(options.host, ports)
    with backend_directory(environment) as backends:
        command = triton.command_line(options, environment, backends)
        process = start(command, triton.variables(options, environment), subprocess.PIPE)
        try:
            return _attend(process, options)
        finally:
            kill_group(process)
            process.wait()


def _attend(process: subprocess.Popen[bytes], options: ServerOptions) -> int:
    assert process.stdout is not None  # noqa: S101 - Popen was asked for a pipe
    log = LogPump(process.stdout)
    log.start()
    began = time.monotonic()
    stubs = DeadStubWatch(process.pid)
    ready = False
    while True:
        received = next_signal(LOOK_SECONDS if ready else 0.1)
        if process.poll() is not None:
            kill_group(process)  # stubs hold the pipe open
            log.join(timeout=_KILL_GRACE_SECONDS)
            if ready:
                return _report_end(process.returncode)
            raise StartError(
                f"tritonserver ended with {describe(process.returncode)} before it was ready. "
                f"{explain(log.lines()) or 'Its log, above, does not say why.'}"
            )
        if received is not None:
            return _stop(process, log, options.stop_timeout)
        if ready:
            if dead := stubs.look():
                _report_dead_stub(*dead)
                return _stop(process, log, options.stop_timeout) or 1
            continue
        if is_ready(options.host, options.http_port):
            ready = True
            _say_ready(options, time.monotonic() - began, allocator_of(process.pid))
        elif time.monotonic() - began > options.start_timeout:
            raise StartError(
                f"tritonserver was not ready after {options.start_timeout:g} seconds and was "
                f"stopped. {explain(log.lines()) or 'Its log, above, names no error.'} If the "
                f"models only need longer, raise --start-timeout."
            )


def _stop(process: subprocess.Popen[bytes], log: LogPump, stop_timeout: int) -> int:
    """Ask tritonserver to stop; kill it when its time is up, or at a second request."""
    process.terminate()
    deadline = time.monotonic() + stop_timeout + _KILL_GRACE_SECONDS
    while process.poll() is None:
        if next_signal(0.1) is not None or time.monotonic() > deadline:
            kill_group(process)
            process.wait()
            print("tritonserver did not stop in time and was killed.", file=sys.stderr)
            break
    kill_group(process)
    log.join(timeout=_KILL_GRACE_SECONDS)
    return exit_status(process.returncode)


def _report_end(returncode: int) -> int:
    print(
        f"error: tritonserver ended by itself with {describe(returncode)}; its last words are above.",
        file=sys.stderr,
        flush=True,
    )
    return exit_status(returncode)


def _report_dead_stub(pid: int, returncode: int) -> None:
    print(
        f"error: the process of a model instance (pid {pid}) ended by itself with {describe(returncode)}"
        f"{' (out of memory?)' if returncode == -signal.SIGKILL else ''}. Triton would go on and answer "
        f"that instance's requests with errors, so it is stopped: start it again.",
        file=sys.stderr,
        flush=True,
    )


def _say_ready(options: ServerOptions, seconds: float, allocator: str) -> None:
    advice = f" ({ADVICE})" if allocator == C_LIBRARY else ""
    models = ", ".join(served_models(options.host, options.http_port)) or "no model"
    print(
        f"tritonserver is ready on {options.device} after {seconds:.1f} s: {models}; HTTP "
        f"{options.host}:{options.http_port}, gRPC {options.host}:{options.grpc_port}, "
        f"metrics {options.host}:{options.metrics_port}; memory from {allocator}{advice}",
        flush=True,
    )
