"""Calls to Telegram at the pace it allows, until they succeed or are refused for good.

Telegram asks for at most one message a second in a chat, 20 a minute in a group and about 30 a second in all
(https://core.telegram.org/bots/faq, "My bot is hitting limits"). Each chat has a lock: what waits for one chat, for its
next second or for a `retry_after`, holds up no other.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from clients.telegram.state import State, StateError

logger = logging.getLogger(__name__)

SECONDS_BETWEEN: Final = 1.0
"""Between the end of a call for a chat and the next: however long the network takes, a second lies between them."""
MOST_IN_A_GROUP: Final = 20
_MINUTE: Final = 61.0
_BETWEEN_ANY: Final = 0.04
_LONGEST_PAUSE: Final = 30.0
_SLACK: Final = 0.1
_MOST_CHATS: Final = 10_000
_RETRIED_REFUSALS: Final = frozenset({401, 408, 409, 425, 429})
"""Of the 4xx, those that may pass; a token that was withdrawn ends the polling too."""

Answer = TypeVar("Answer")


class Refused(Exception):  # noqa: N818
    """Telegram refuses a call for good: the chat is gone, the bot is blocked, the button is too old."""


@dataclass
class _Attempt:
    """One HTTP request."""

    before_writing: Callable[[], None]
    status: int | None = None
    """What it got; None if it got none."""
    failure: StateError | None = None
    """Of `before_writing`; the library would call it an error of the network."""

    async def trace(self, event: str, _: object) -> None:
        """Hear from httpcore that a connection is there and the request is about to be written."""
        if event.endswith("send_request_headers.started"):
            try:
                self.before_writing()
            except StateError as error:
                self.failure = error
                raise


_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


async def follow_request(request: httpx.Request) -> None:
    """For httpx's `event_hooks`: what is about to be sent is noted at the last moment, not while it connects."""
    attempt = _attempt.get()
    if attempt is not None:
        request.extensions["trace"] = attempt.trace


async def note_status(response: httpx.Response) -> None:
    """For httpx's `event_hooks`: the status is known although the connection may break in the body."""
    attempt = _attempt.get()
    if attempt is not None:
        attempt.status = response.status_code


@dataclass
class _Pace:
    """What was sent to one chat."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    not_before: float = 0.0
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_IN_A_GROUP))

    def seconds(self, group: bool) -> float:
        """How long the next call has to wait."""
        earliest = self.not_before
        if group and len(self.sent) == MOST_IN_A_GROUP:
            earliest = max(earliest, self.sent[0] + _MINUTE)
        return max(0.0, earliest - time.monotonic())

    def ended(self, pause: float) -> None:
        """A call has just ended, and the next may start after a pause."""
        self.sent.append(time.monotonic())
        self.not_before = time.monotonic() + max(SECONDS_BETWEEN, pause)

    def is_idle(self) -> bool:
        """Whether nothing of it matters any more."""
        last = self.sent[-1] if self.sent else 0.0
        return not self.lock.locked() and max(self.not_before, last + _MINUTE) < time.monotonic()


class Outbox:
    """Where every call that answers somebody goes through."""

    def __init__(self, state: State) -> None:
        self._state = state
        now = time.monotonic()
        self._paces = {chat: _Pace(not_before=now + left) for chat, left in state.pauses().items()}
        # An earlier run may have called any chat a moment ago.
        self._next_start = now + SECONDS_BETWEEN

    async def send(
        self, call: Callable[[int], Awaitable[Answer]], chat_id: int, *, group: bool, update_id: int | None = None
    ) -> Answer | None:
        """Make a call for a chat when it is the chat's turn.

        It is tried until Telegram has confirmed it: after `retry_after`, or after a growing pause.

        Args:
            call: makes one attempt, for a chat.
            chat_id: the chat, unless Telegram says that it has moved.
            group: whether the chat is a group.
            update_id: the update that this answers, if it must not be answered twice. Not for calls that may be
                repeated without harm.

        Returns:
            What Telegram returned; None if it acted, but the body of its answer was lost.

        Raises:
            Refused: Telegram refuses it for good.
            StateError: the state can't be written.
        """
        return await self._until_confirmed(call, chat_id, self._pace(chat_id), group, update_id)

    async def call(self, call: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """Make a call that is for no chat, as `send` does."""
        return await self._until_confirmed(lambda _: call(), 0, _Pace(), False, None)

    async def _until_confirmed(
        self,
        call: Callable[[int], Awaitable[Answer]],
        chat_id: int,
        pace: _Pace,
        group: bool,
        update_id: int | None,
    ) -> Answer | None:
        async with pace.lock:
            failures = 0
            while True:
                await asyncio.sleep(pace.seconds(group))
                await asyncio.sleep(self._seconds_to_start())
                pause = 0.0
                attempt = _Attempt(partial(self._note_sending, update_id))
                reset = _attempt.set(attempt)
                try:
                    return await call(chat_id)
                except ChatMigrated as moved:
                    chat_id = moved.new_chat_id
                    told = (logging.INFO, "a group is a supergroup now")
                except RetryAfter as limit:
                    pause = seconds(limit) + _SLACK
                    told = (logging.INFO, f"Telegram asks to wait {pause:.0f} s")
                    if chat_id:
                        self._state.pause(chat_id, pause)
                except (BadRequest, Forbidden) as error:
                    raise Refused(str(error)) from None
                except Exception as error:
                    if attempt.failure is not None:
                        raise attempt.failure from None
                    if attempt.status == HTTPStatus.OK:
                        return None
                    if not isinstance(error, TelegramError):
                        raise
                    if _is_refusal(attempt.status):
                        raise Refused(str(error)) from None
                    failures += 1
                    pause = back_off(failures)
                    told = (logging.WARNING, f"a call to Telegram failed, next try in {pause:.1f} s: {error}")
                finally:
                    _attempt.reset(reset)
                    pace.ended(pause)
                if update_id is not None:
                    self._state.not_sent(update_id)
                # Only now: whoever reads it may rely on the state.
                logger.log(*told)

    def _note_sending(self, update_id: int | None) -> None:
        if update_id is not None:
            self._state.sending(update_id)

    def _pace(self, chat_id: int) -> _Pace:
        if len(self._paces) > _MOST_CHATS:
            self._paces = {chat: pace for chat, pace in self._paces.items() if not pace.is_idle()}
        return self._paces.setdefault(chat_id, _Pace())

    def _seconds_to_start(self) -> float:
        """How long a call has to wait for those of all chats together."""
        now = time.monotonic()
        self._next_start = max(now, self._next_start + _BETWEEN_ANY)
        return self._next_start - now


def seconds(limit: RetryAfter) -> float:
    """What Telegram asks to wait; the library is changing from a number to a timedelta."""
    wait: Any = limit.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def back_off(failures: int) -> float:
    """Seconds to wait after so many failures in a row: about 1, 2, 4 and so on, up to half a minute."""
    return min(_LONGEST_PAUSE, 2.0 ** min(failures - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311


def _is_refusal(status: int | None) -> bool:
    return status is not None and 400 <= status < 500 and status not in _RETRIED_REFUSALS
