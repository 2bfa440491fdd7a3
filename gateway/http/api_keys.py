"""API keys: a client shows one, as `Authorization: Bearer …` or, in a browser, as the password of Basic."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from gateway.errors import problems


class ApiKeys:
    """The keys that are let in; without any, everybody is."""

    def __init__(self, keys: Iterable[str]) -> None:
        # Digests: of one length, so that comparing takes the same time for every key shown.
        self._digests = [_digest(key.encode()) for key in keys]

    def check(self, authorization: str | None) -> int | None:
        """Let a client in, or not; gives the number of its key, if keys are needed.

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
        return fits.index(True)


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
