"""The gateway, asked over HTTP: the emotions of a text, and what it serves."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
from pydantic import ValidationError

from clients.telegram.state import Choice
from gateway.api.schemas import EmotionsResponse, ModelsResponse

logger = logging.getLogger(__name__)

_CALL_SECONDS: Final = 10.0
_LONGEST_PAUSE: Final = 4.0
_Answer = TypeVar("_Answer")
_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


class GatewayAway(Exception):  # noqa: N818
    """The gateway gave no usable answer for as long as a person would wait."""


class ChoiceRefused(Exception):  # noqa: N818
    """The gateway does not serve the chosen model or profile."""


class Gateway:
    """A gateway and the connections to it. Use as an asynchronous context manager."""

    def __init__(self, url: str, key: str | None, patience: float) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=_CALL_SECONDS)
        self._patience = patience

    async def __aenter__(self) -> "Gateway":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def emotions(self, text: str, choice: Choice) -> EmotionsResponse:
        """The emotions of one text.

        Raises:
            ChoiceRefused: the chosen model or profile is not served.
            GatewayAway: it gave no usable answer for `patience` seconds, or refuses what we send; the log has more.
        """
        body: dict[str, Any] = {"text": text}
        body |= {key: value for key, value in choice.__dict__.items() if value is not None}
        return await self._ask(
            lambda: self._http.post("/v1/emotions", json=body),
            EmotionsResponse.model_validate_json,
            may_refuse=choice != Choice(),
        )

    async def models(self) -> ModelsResponse:
        """The models and profiles that are served.

        Raises:
            GatewayAway: as above.
        """
        return await self._ask(lambda: self._http.get("/v1/models"), ModelsResponse.model_validate_json)

    async def _ask(
        self,
        call: Callable[[], Awaitable[httpx.Response]],
        read: Callable[[bytes], _Answer],
        *,
        may_refuse: bool = False,
    ) -> _Answer:
        give_up, pause = time.monotonic() + self._patience, 0.25
        while True:
            retry_after = 0.0
            try:
                response = await call()
            except httpx.HTTPError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if response.status_code == HTTPStatus.OK:
                    return _read(response, read)
                reason = f"{response.status_code}: {response.text[:300]}"
                if may_refuse and response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
                    raise ChoiceRefused(reason)
                if response.status_code not in _TRY_AGAIN:
                    # Not text of a person: the gateway's errors name fields, never what they hold.
                    logger.error("the gateway refuses: %s", reason)
                    raise GatewayAway(reason)
                retry_after = _seconds(response.headers.get("retry-after"))
            pause = max(retry_after, min(_LONGEST_PAUSE, 2 * pause) * random.uniform(0.7, 1))  # noqa: S311
            if time.monotonic() + pause >= give_up:
                logger.error("the gateway is away: %s", reason)
                raise GatewayAway(reason)
            await asyncio.sleep(pause)


def _read(response: httpx.Response, read: Callable[[bytes], _Answer]) -> _Answer:
    try:
        return read(response.content)
    except ValidationError as error:
        where = error.errors(include_url=False, include_input=False)[0]
        logger.error("what the gateway answers can't be read (%s: %s)", where["loc"], where["msg"])
        raise GatewayAway("an answer that can't be read") from None


def _seconds(header: str | None) -> float:
    return float(header) if header is not None and header.isdecimal() else 0.0
