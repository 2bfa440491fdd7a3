"""Long polling: updates are confirmed to Telegram only when they are answered.

Telegram repeats what is not confirmed (a call with an offset confirms all updates before it) and gives at most 100 at
a time. So while an answer is under way the bot asks every half second from the oldest open update on; if 100 have piled
up behind an answer that can't be sent yet, they are confirmed all the same, and remembered as `released`.
"""

import asyncio
import contextlib
import logging
from typing import Any, Final

import telegram
from telegram.constants import PollingLimit, UpdateType
from telegram.error import Conflict, EndPointNotFound, InvalidToken, RetryAfter, TelegramError

from clients.telegram.health import Health
from clients.telegram.outbox import Outbox, Refused, back_off, seconds
from clients.telegram.updates.intake import Intake

logger = logging.getLogger(__name__)

UPDATE_TYPES: Final = (UpdateType.MESSAGE, UpdateType.CALLBACK_QUERY)
LONG_POLL: Final = 30
"""Seconds Telegram waits for an update before it answers that there is none."""
_READ_SECONDS: Final = 20
_LAST_CALL_SECONDS: Final = 5
_OPEN_PAUSE: Final = 0.5
_MOST_OPEN: Final = 1_000
"""Jobs that may wait; beyond, no more are fetched: Telegram keeps them for a day."""
_CONFLICT: Final = (
    "Telegram says that somebody else fetches this bot's updates (409 Conflict: %s). Stop the other instance, or give "
    "it a token of its own. Next try in %.0f s"
)


class TokenRefused(Exception):  # noqa: N818
    """Telegram does not know the token."""


class Polling:
    """Fetches updates and hands them to the intake."""

    def __init__(self, bot: telegram.Bot, intake: Intake, outbox: Outbox, health: Health) -> None:
        self._bot = bot
        self._intake = intake
        self._outbox = outbox
        self._health = health
        self._following: int | None = None

    async def run(self) -> None:
        """Poll until cancelled.

        Raises:
            TokenRefused: Telegram does not know the token any more.
            StateError: the state can't be read or written.
        """
        # A webhook that was set earlier would get the updates; what waits at Telegram stays there.
        try:
            await self._outbox.call(lambda: self._bot.delete_webhook(drop_pending_updates=False))
        except Refused as refusal:
            logger.warning("Telegram refuses to remove the webhook: %s", refusal)
        logger.info("polling: the bot answers")
        failures = 0
        while True:
            try:
                updates = await self._fetch(LONG_POLL)
            except RetryAfter as limit:
                await asyncio.sleep(seconds(limit))
            except (InvalidToken, EndPointNotFound):
                raise TokenRefused from None
            except TelegramError as error:
                failures += 1
                pause = back_off(failures)
                if isinstance(error, Conflict):
                    logger.error(_CONFLICT, error, pause)
                else:
                    logger.warning("updates can't be fetched, next try in %.1f s: %s", pause, error)
                await asyncio.sleep(pause)
            else:
                failures = 0
                self._health.in_contact()
                await self._take(updates)

    async def confirm(self) -> None:
        """Confirm what was answered since the last poll, so that no other instance gets it again."""
        if self._following is not None:
            with contextlib.suppress(TelegramError, TimeoutError):
                async with asyncio.timeout(_LAST_CALL_SECONDS):
                    await self._fetch(0, limit=1)

    async def _fetch(self, timeout: int, limit: int = PollingLimit.MAX_LIMIT) -> list[dict[str, Any]]:
        """The updates from the offset on, as Telegram sends them."""
        parameters: dict[str, Any] = {"limit": limit, "timeout": timeout, "allowed_updates": list(UPDATE_TYPES)}
        if (offset := self._offset()) is not None:
            parameters["offset"] = offset
        try:
            fetched = await self._bot.do_api_request(
                "getUpdates", api_kwargs=parameters, read_timeout=timeout + _READ_SECONDS
            )
            return [update for update in fetched if isinstance(update["update_id"], int)]
        except (KeyError, TypeError) as error:
            raise TelegramError(f"no answer of the Bot API's ({type(error).__name__})") from None

    async def _take(self, fetched: list[dict[str, Any]]) -> None:
        taken = [self._intake.take(update, self._bot) for update in fetched]
        if len(fetched) == PollingLimit.MAX_LIMIT and not any(taken):
            self._intake.release(self._intake.unfinished())
        if fetched:
            following = max(update["update_id"] for update in fetched) + 1
            # A repeated update sets nothing back; a new one may: after a week of silence numbers begin anew.
            self._following = following if any(taken) else max(following, self._following or 0)
        await self._intake.wait(self._intake.unfinished(), _OPEN_PAUSE)
        while self._intake.count() >= _MOST_OPEN:
            await asyncio.sleep(_OPEN_PAUSE)

    def _offset(self) -> int | None:
        """The oldest update that is still open, or else what follows the newest."""
        return None if self._following is None else min([self._following, *self._intake.unfinished()])
