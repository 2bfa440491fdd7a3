"""From start to end of one tritonserver: start it, wait until it is ready, stop it cleanly.

The launcher has one thread that decides. It waits with `sigtimedwait` for the end of its
child or a request to stop, so nothing happens in signal handlers.
"""

import dataclasses
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.environment import host
from server.environment.triton_environment import check_environment, read_environment
from server.errors import StartError
from server.launching import tritonserver
from server.launching.allocator import ADVICE, C_LIBRARY, allocator_of
from server.launching.backend_directory import backend_directory
from server.launching.log import LogForwarder, explain, failed_models
from server.launching.ports import check_ports
from server.launching.readiness import TritonClient, VersionState, answering
from server.launching.stubs import POLL_SECONDS, DeadStubWatch
from server.launching.tritonserver import ServerOptions
from server.messages import not_loaded, report
from server.processes.child import Child, await_signals, describe, exit_status, next_signal
from server.repository.check import check_repository
from server.repository.configurations import ConfigurationChoice
from server.repository.view import RepositoryView

_KILL_GRACE_SECONDS: Final = 5.0
_LOADING_SECONDS: Final = 0.2
_LISTENING: Final = "Started GRPCInferenceService"
"""The line with which Triton says that it has done with loading; what it says of that stands before it."""
_CRASHES: Final = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS)
_CRASHES_AT_START: Final = 2
"""So often it is started again. On a busy machine 2.51's Python backend ends it now and then while models are loaded
(`boost::interprocess::lock_exception`; github.com/triton-inference-server/server/issues/8882)."""


class _CrashError(StartError):
    """Tritonserver ended by a fault of its own before it was ready; the next try may be better."""


@dataclass(frozen=True)
class _Run:
    """One tritonserver, and what is known of it."""

    process: Child
    log: LogForwarder
    client: TritonClient
    view: RepositoryView
    options: ServerOptions
    began: float


def run(options: ServerOptions, environment_directory: Path) -> int:
    """Serve a model repository until asked to stop or until tritonserver ends.

    Returns:
        0 if it was asked to stop and tritonserver ended cleanly; otherwise tritonserver's
        exit status, or 128 + n if signal n ended it.

    Raises:
        LauncherError: something that was checked before the start is wrong, or tritonserver
            did not become ready.
    """
    await_signals()
    host.check_platform()
    if options.device == "gpu":
        host.check_gpu()
    environment = read_environment(environment_directory)
    check_environment(environment, gpu=options.device == "gpu")
    host.check_libraries(environment.stub, environment.library_path, environment.python_version)
    check_repository(options.model_repository)
    choice = ConfigurationChoice(options.device, options.config) if options.config else None
    if choice:
        choice.check(options.model_repository)
    check_ports(options.host, _open_ports(options))
    for warning in tritonserver.warnings(options):
        report(warning)
    with backend_directory(environment) as backends:
        view = RepositoryView(options.model_repository, backends / "repository", configuration=choice)
        shown = dataclasses.replace(options, model_repository=view.directory)
        command = tritonserver.command_line(shown, environment, backends)
        variables = tritonserver.variables(options, environment)
        crashes = 0
        while True:
            try:
                status = _serve(command, variables, options, view)
            except _CrashError as error:
                crashes += 1
                if crashes > _CRASHES_AT_START:
                    raise
                report(f"warning: {error} It is started again ({crashes} of {_CRASHES_AT_START}).")
                continue
            if status is not None:
                return status
            report("tritonserver is started again without what could not be loaded.")


def _open_ports(options: ServerOptions) -> dict[str, int]:
    ports = {"--grpc-port": options.grpc_port}
    if options.http:
        ports["--http-port"] = options.http_port
    if options.metrics:
        ports["--metrics-port"] = options.metrics_port
    return ports


def _serve(command: list[str], variables: dict[str, str], options: ServerOptions, view: RepositoryView) -> int | None:
    """Run tritonserver once; gives the exit status, or None if it is to be started again with the view as it is now."""
    view.update()
    began = time.monotonic()
    process = Child(command, variables, subprocess.PIPE)
    try:
        assert process.stdout is not None  # noqa: S101 - Popen was asked for a pipe
        log = LogForwarder(process.stdout, view.directory, options.model_repository)
        log.start()
        with TritonClient(options.host, options.grpc_port) as client:
            return _supervise(_Run(process, log, client, view, options, began))
    finally:
        process.end()


def _supervise(run: _Run) -> int | None:
    rows = _wait_for_answer(run)
    if rows is None:
        return _stop(run)
    has_ended = _has_ended(run)
    failed = failed_models(run.log.fresh_lines())
    versions = {key: reason for key, reason in failed.items() if run.view.is_shown(*key)}
    for (model, version), reason in versions.items():
        run.view.leave_out(model, version, reason)
    if versions and run.view.shows_anything():
        # What was loaded beside a damaged version has been unloaded with it, which now and then ends tritonserver 2.51.
        return None
    if has_ended:
        why = explain(run.log.lines()) or "Its log, above, does not say why."
        raise (_CrashError if run.process.returncode in _CRASHES else StartError)(
            f"tritonserver ended with {describe(run.process.returncode)} before it was ready. {why}"
        )
    if not answering(rows):
        known = run.view.reasons() | failed
        why = " ".join(not_loaded(*key, reason) for key, reason in sorted(known.items()))
        raise StartError(f"no model could be loaded. {why or 'Its log, above, does not say why.'}")
    for (model, version), reason in failed.items():
        if not version:  # what is wrong with a version has been said
            report(f"warning: {not_loaded(model, version, reason)}")
    _say_ready(run, rows)
    return _watch(run)


def _wait_for_answer(run: _Run) -> list[VersionState] | None:
    """Every version's state once Triton has tried to load all, none if it has ended; None if it is to stop."""
    while True:
        # Before anything else: it is told once.
        if next_signal(0.1) is not None:
            return None
        if _has_ended(run):
            return []
        rows = run.client.index()
        if rows is not None and run.log.has_seen(_LISTENING):
            return rows
        if time.monotonic() - run.began > run.options.start_timeout:
            raise StartError(
                f"tritonserver was not ready after {run.options.start_timeout:g} seconds and was "
                f"stopped. {explain(run.log.lines()) or 'Its log, above, names no error.'} If the "
                f"models only need longer, raise --start-timeout."
            )


def _has_ended(run: _Run) -> bool:
    """Whether tritonserver has; if so, all that it said is in the log."""
    if run.process.poll() is None:
        return False
    run.process.kill_group()  # stubs hold the pipe open
    run.log.join(timeout=_KILL_GRACE_SECONDS)
    return True


def _watch(run: _Run) -> int:
    """Until it ends or is to stop; with --poll-seconds the view follows the repository."""
    stubs = DeadStubWatch(run.process.pid)
    stubs.ignore_dead()
    poll = run.options.poll_seconds
    updated = time.monotonic()
    settled = True
    while True:
        # While it loads it is looked at more often: what fails is to be out of its sight before it tries again.
        received = next_signal((min(poll, POLL_SECONDS) if poll else POLL_SECONDS) if settled else _LOADING_SECONDS)
        if _has_ended(run):
            return _report_end(run.process.returncode)
        if received is not None:
            return _stop(run)
        rows = run.client.index() or []
        if _leave_out_what_failed(run, rows):
            stubs.ignore_dead()
        settled = bool(rows) and all(row.is_settled for row in rows)
        if settled and (dead := stubs.find_dead()):
            _report_dead_stub(*dead)
            return _stop(run) or 1
        if poll and time.monotonic() - updated >= poll:
            run.view.update()
            updated = time.monotonic()


def _leave_out_what_failed(run: _Run, rows: list[VersionState]) -> bool:
    """Take what Triton has failed to load since the last look out of its sight; whether there was something."""
    ready = {(row.model, row.version) for row in rows if row.is_ready}
    failed = failed_models(run.log.fresh_lines())
    for (model, version), reason in failed.items():
        if not run.view.is_shown(model, version):
            continue
        # One that is ready was damaged in place. If it is all there is, what Triton has in memory answers on.
        if (model, version) not in ready or run.view.shown_versions(model) != [version]:
            run.view.leave_out(model, version, reason)
    for model, version in ready - failed.keys():
        run.view.loaded(model, version)
    return bool(failed)


def _stop(run: _Run) -> int:
    """Ask tritonserver to stop; kill it when its time is up, or at a second request."""
    process = run.process
    process.terminate()
    deadline = time.monotonic() + run.options.stop_timeout + _KILL_GRACE_SECONDS
    while process.poll() is None:
        if next_signal(0.1) is not None or time.monotonic() > deadline:
            process.kill_group()
            process.wait()
            report("tritonserver did not stop in time and was killed.")
            break
    process.kill_group()
    run.log.join(timeout=_KILL_GRACE_SECONDS)
    return exit_status(process.returncode)


def _report_end(returncode: int) -> int:
    report(f"error: tritonserver ended by itself with {describe(returncode)}; its last words are above.")
    return exit_status(returncode)


def _report_dead_stub(pid: int, returncode: int) -> None:
    report(
        f"error: the process of a model instance (pid {pid}) ended by itself with {describe(returncode)}"
        f"{' (out of memory?)' if returncode == -signal.SIGKILL else ''}. Triton would go on and answer "
        f"that instance's requests with errors, so it is stopped: start it again."
    )


def _say_ready(run: _Run, rows: list[VersionState]) -> None:
    options = run.options
    allocator = allocator_of(run.process.pid)
    advice = f" ({ADVICE})" if allocator == C_LIBRARY else ""
    models = ", ".join(sorted(f"{row.model}/{row.version}" for row in answering(rows)))
    http = f"{options.host}:{options.http_port}" if options.http else "off (--http opens it)"
    metrics = f"{options.host}:{options.metrics_port}" if options.metrics else "off (--metrics opens them)"
    report(
        f"tritonserver is ready on {options.device} after {time.monotonic() - run.began:.1f} s: {models}; "
        f"gRPC {options.host}:{options.grpc_port}, HTTP {http}, metrics {metrics}; "
        f"Triton {run.client.version()}; memory from {allocator}{advice}",
        sys.stdout,
    )
