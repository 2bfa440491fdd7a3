"""The webhook: Telegram sends updates to a URL of ours, and repeats one until it gets status 200.

So an update gets its 200 when it is answered. One that must wait longer than some seconds gets it then, and is
remembered as `released`: Telegram keeps only so many connections, and others must have theirs.
"""

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
import socket
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import telegram
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram.error import TelegramError

from clients.telegram.health import Health
from clients.telegram.log import hide
from clients.telegram.outbox import Outbox, Refused
from clients.telegram.state import StateError
from clients.telegram.updates.intake import Intake
from clients.telegram.updates.polling import UPDATE_TYPES

logger = logging.getLogger(__name__)

SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105
HOLD_SECONDS: Final = 10.0
_MOST_CONNECTIONS: Final = 100
_MOST_BYTES: Final = 1 << 20
_CHECK_SECONDS: Final = 30.0


class WebhookRefused(Exception):  # noqa: N818
    """Telegram does not take the URL, or the address can't be listened on; says why."""


class Webhook:
    """Listens for Telegram's calls and hands updates to the intake."""

    def __init__(
        self,
        bot: telegram.Bot,
        intake: Intake,
        outbox: Outbox,
        health: Health,
        *,
        url: str,
        listen: tuple[str, int],
        hold: float = HOLD_SECONDS,
    ) -> None:
        self._bot = bot
        self._intake = intake
        self._outbox = outbox
        self._health = health
        self._url = url
        self._listen = listen
        self._hold = hold
        # New at every start: Telegram is told, and nobody else needs to know it.
        self._secret = secrets.token_urlsafe(32)
        hide(self._secret)
        self._stopping = False

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            WebhookRefused: Telegram does not take the URL, or the address is in use.
            StateError: the state can't be read or written.
        """
        path = urlsplit(self._url).path or "/"
        server = _Server(
            uvicorn.Config(
                Starlette(routes=[Route(path, self._receive, methods=["POST"])]),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
                timeout_graceful_shutdown=int(self._hold),
            )
        )
        with self._listener() as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            watching = asyncio.create_task(self._watch())
            try:
                await self._outbox.call(
                    lambda: self._bot.set_webhook(
                        self._url,
                        secret_token=self._secret,
                        allowed_updates=list(UPDATE_TYPES),
                        max_connections=_MOST_CONNECTIONS,
                        drop_pending_updates=False,
                    )
                )
                logger.info("listening on %s:%d for %s: the bot answers", *listener.getsockname()[:2], self._url)
                await asyncio.gather(serving, watching)
            except Refused as refusal:
                raise WebhookRefused(f"Telegram does not take the webhook {self._url}: {refusal}") from None
            finally:
                self._stopping = True
                watching.cancel()
                server.should_exit = True
                await asyncio.gather(serving, watching, return_exceptions=True)

    async def confirm(self) -> None:
        """Nothing: each update was confirmed by its status."""

    def _listener(self) -> socket.socket:
        host, port = self._listen
        try:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise WebhookRefused(
                f"can't listen on {host}:{port} ({error.strerror}): stop what uses it, or choose another with --listen"
            ) from None

    async def _receive(self, request: Request) -> Response:
        shown = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(shown.encode(), self._secret.encode()):
            logger.warning("a call without the webhook's secret was refused")
            return Response(status_code=HTTPStatus.FORBIDDEN)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            update = json.loads(bytes(body))
            update_id = int(update["update_id"])
        except (ValueError, TypeError, KeyError):
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        try:
            return Response(status_code=await self._answered(update, update_id))
        except StateError as error:
            self._intake.fail(error)
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)

    async def _answered(self, update: dict[str, Any], update_id: int) -> HTTPStatus:
        if not self._stopping:
            self._intake.take(update, self._bot)
            if await self._intake.wait([update_id], self._hold):
                return HTTPStatus.OK
        if self._stopping:
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._intake.release([update_id])
        return HTTPStatus.OK

    async def _watch(self) -> None:
        """Ask Telegram now and then whether it reaches us, and say so if it does not."""
        told = None
        while True:
            with contextlib.suppress(TelegramError, KeyError, TypeError):
                state = await self._bot.get_webhook_info()
                self._health.in_contact()
                if state.last_error_message and state.last_error_date != told:
                    told = state.last_error_date
                    logger.warning("Telegram could not reach %s: %s", self._url, state.last_error_message)
            await asyncio.sleep(_CHECK_SECONDS)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the bot has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
