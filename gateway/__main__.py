"""`python -m gateway`: read the settings, take the port, serve until told to stop.

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 the port can't be had, 2 wrong settings.
"""

import logging
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

import uvicorn

from gateway.app import make_app
from gateway.settings import Settings, SettingsError, flag, read_settings

logger = logging.getLogger("gateway")

_BACKLOG: Final = 2048
_GRACE_SECONDS: Final = 1
"""On top of the request timeout, for answers under way when the stop comes."""


class PortError(OSError):
    """The address can't be listened on; says why."""


def main(arguments: Sequence[str]) -> int:
    """Run the gateway; returns the exit code."""
    try:
        settings = read_settings(arguments)
        listener = _listen(settings)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except PortError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # uvicorn says "Started server process" and the like; its errors are wanted.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # When it has stopped, uvicorn raises the signal that stopped it once more, for whoever
    # listened before: a stop that was asked for is no failure.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: None)
    server = _Server(_configuration(settings))
    server.run(sockets=[listener])
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            logger.info("listening on http://%s:%d", shown, port)


def _configuration(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(settings),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=int(settings.request_timeout) + _GRACE_SECONDS,
    )


def _listen(settings: Settings) -> socket.socket:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
