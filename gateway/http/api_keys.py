"""API keys: a client shows one, as `Authorization: Bearer …` or, in a browser, as the password of Basic."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from gateway.errors import problems

UNKNOWN: Final = "(unknown)"
"""What figures call every key that is not known, and none; no key has this name."""
_FINGERPRINT_BYTES: Final = 3
"""So few that millions of keys share a fingerprint, and so slow that trying them takes long: nobody learns a key from
it, nor makes sure of a guess."""
_FINGERPRINT_ROUNDS: Final = 1 << 12


class ApiKeys:
    """The keys that are let in; without any, everybody is."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """Read them, a hundredth of a second for each without a name.

        Args:
            keys: each with what figures call it; "" for its fingerprint.
        """
        # Digests: of one length, so that comparing takes the same time for every key shown.
        self._digests = [_digest(key.encode()) for key in keys]
        self._names = [name or fingerprint(key) for key, name in keys.items()]

    def name(self, number: int | None) -> str:
        """What figures call the key with a number, or a client without a known one; empty if no keys are needed."""
        if not self._names:
            return ""
        return UNKNOWN if number is None else self._names[number]

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


def fingerprint(key: str) -> str:
    """A short name for a key that tells nothing of it: 24 bits of its scrypt hash, such as `key-3f09ac`."""
    derived = hashlib.scrypt(
        key.encode(), salt=b"emotion_key", n=_FINGERPRINT_ROUNDS, r=8, p=1, dklen=_FINGERPRINT_BYTES
    )
    return f"key-{derived.hex()}"


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
