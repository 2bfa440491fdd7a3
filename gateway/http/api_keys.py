"""API keys: a client shows one, as `Authorization: Bearer …` or, in a browser, as the password of Basic."""

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from gateway.errors import problems

logger = logging.getLogger("gateway")

LOOK_SECONDS: Final = 1.0
"""Between two looks at the file with the keys."""
_FINGERPRINT_CHARACTERS: Final = 8


class ApiKeys:
    """The keys that are let in; without any, everybody is."""

    def __init__(self, keys: Iterable[str]) -> None:
        # Digests: of one length, so that comparing takes the same time for every key shown.
        self._digests = _digests(keys)

    def __len__(self) -> int:
        return len(self._digests)

    async def follow(self, read: Callable[[], Awaitable[Collection[str]]], changed: Callable[[], None]) -> None:
        """Keep to the keys that there are; never ends.

        Whatever can't be read, or holds no key, changes nothing: a file that is damaged or emptied must lock nobody
        out, and let nobody in.

        Args:
            read: gives all keys; raises ValueError, and says why, if it can't.
            changed: called when they are others than before.
        """
        trouble = ""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                digests = _digests(await read())
            except ValueError as error:
                if str(error) != trouble:
                    logger.warning("the keys that were read before go on to hold: %s", error)
                trouble = str(error)
                continue
            trouble = ""
            if digests != self._digests:
                self._digests = digests
                changed()
                logger.info("the keys have changed: there are %d now", len(digests))

    def check(self, authorization: str | None) -> str | None:
        """Let a client in, or not; gives the fingerprint of its key, if keys are needed.

        Raises:
            Problem: 401, no key or a wrong one.
        """
        if not self._digests:
            return None
        if authorization is None:
            raise problems.unauthorized("A key is needed: send it as Authorization: Bearer <key>.")
        shown = _digest(_key(authorization))
        # All of them, whichever fits: the time must not tell.
        fits = [hmac.compare_digest(shown, digest) for digest in self._digests]
        if not any(fits):
            raise problems.unauthorized("This key is not known.")
        return shown.hex()[:_FINGERPRINT_CHARACTERS]


def _digests(keys: Iterable[str]) -> list[bytes]:
    return sorted(_digest(key.encode()) for key in keys)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _key(authorization: str) -> bytes:
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value.encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return b""
