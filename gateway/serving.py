"""The port, and the processes that serve it: one, or several workers under one parent."""

import ctypes
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from gateway.command_line import flag
from gateway.http.connections import raise_descriptor_limit
from gateway.settings import Settings, read_keys
from gateway.telemetry.log import set_up_log

logger = logging.getLogger("gateway")

_BACKLOG: Final = 2048
_GRACE_SECONDS: Final = 1
"""On top of the request timeout, for answers under way when the stop comes."""
_SET_PARENT_DEATH_SIGNAL: Final = 1
_KEYS_SECONDS: Final = 1.0
"""Between two looks at keys that can't be read."""
_JOIN_SECONDS: Final = 0.1


class PortError(OSError):
    """The address can't be listened on; says why."""


def listen(settings: Settings) -> socket.socket:
    """Take the port.

    Raises:
        PortError: it can't be had.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        # Connections of an earlier run, still waiting to end, would hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise PortError(
            f"can't listen on {where} ({error.strerror}): stop what uses it, or choose another "
            f"with {flag('host')} and {flag('port')}"
        ) from None
    return listener


def serve(settings: Settings, listener: socket.socket) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    raise_descriptor_limit()
    if settings.workers > 1:
        return _serve_with_workers(settings, listener)
    # When it has stopped, uvicorn raises the signal that stopped it once more, for whoever
    # listened before: a stop that was asked for is no failure.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: None)
    server = _Server(_configuration(settings))
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _serve_with_workers(settings: Settings, listener: socket.socket) -> int:
    try:
        place = tempfile.TemporaryDirectory(prefix="emotion-metrics-")
    except OSError as error:
        logger.error("several workers need a temporary directory, or run one: %s", error.strerror)
        return 1
    with place as directory:
        # Before anybody imports prometheus_client, which looks for it then.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        from gateway.telemetry.process_metrics import NoRoomError

        try:
            supervisor = _Supervisor(_configuration(settings), sockets=[listener])
        except NoRoomError as error:
            logger.error("%s", error)
            return 1
        _say_listening(listener)
        supervisor.run()
    return 1 if any(process.exitcode == uvicorn.config.STARTUP_FAILURE for process in supervisor.processes) else 0


def application(settings: Settings, parent: int) -> ASGIApp:
    """The application in a process that serves it; `parent` is the process that started everything."""
    # Only now: prometheus_client settles at its import whether it shares its figures.
    from gateway.app import make_app
    from gateway.telemetry.process_metrics import NoRoomError

    if os.getpid() != parent:
        set_up_log(settings.log_format)
        # Killed in a way that leaves it no time to stop its workers, it takes them along.
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            logger.error("the process that started this worker is gone")
            sys.exit(1)
        _wait_for_keys(settings)
    try:
        return make_app(settings)
    except NoRoomError as error:
        logger.error("%s", error)
        sys.exit(1)


def _wait_for_keys(settings: Settings) -> None:
    """For a worker that takes another's place while the keys can't be read: the others go on meanwhile."""
    trouble = ""
    # uvicorn's handler would only make a note of it.
    stop = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        try:
            read_keys(settings)
            break
        except ValueError as error:
            if str(error) != trouble:
                logger.warning("a worker waits until the keys can be read: %s", error)
            trouble = str(error)
        time.sleep(_KEYS_SECONDS)
    signal.signal(signal.SIGTERM, stop)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            _say_listening(listener)


class _Supervisor(Multiprocess):
    """Keeps workers running, and counts those that it had to replace. Its figures are shared, as the workers' are."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        # Only now, as for the workers.
        from prometheus_client import CollectorRegistry

        from gateway.telemetry.process_metrics import reserve_room, worker_restarts

        reserve_room()
        self._restarts = worker_restarts(CollectorRegistry())

    def keep_subprocess_alive(self) -> None:
        """Called twice a second: a worker that has died, or answers no more, is replaced."""
        before = [*self.processes]
        super().keep_subprocess_alive()
        self._restarts.inc(sum(now is not then for then, now in zip(before, self.processes, strict=True)))

    def join_all(self) -> None:
        """Called once all are told to stop; whoever tells this process again tells them again."""
        while any(process.process.is_alive() for process in self.processes):
            if self.signal_queue:
                self.signal_queue.clear()
                self.terminate_all()
            time.sleep(_JOIN_SECONDS)
        super().join_all()


def _say_listening(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    logger.info("listening on http://%s:%d", shown, port)


def _configuration(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        partial(application, settings, os.getpid()),
        factory=True,
        workers=settings.workers,
        loop="uvloop",
        http="gateway.http.protocol:HttpProtocol",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        date_header=True,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=int(settings.request_timeout) + _GRACE_SECONDS,
    )
