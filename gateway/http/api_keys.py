"""API keys: a client shows one, as `Authorization: Bearer …` or, in a browser, as the password of Basic."""

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Final

from gateway.errors import problems

logger = logging.getLogger("gateway")

UNKNOWN: Final = "(unknown)"
"""What figures call every key that is not known, and none; no key can have this name."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at the file with the keys."""
_FINGERPRINT_BYTES: Final = 3
"""So few that of any list of guesses many fit, and slow to try: nobody learns a key from its fingerprint."""
_FINGERPRINT_ROUNDS: Final = 1 << 11
_FINGERPRINTS_REMEMBERED: Final = 10_000


class ApiKeys:
    """The keys that are let in, by name; without any, everybody is."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """Begin with some, each with its name: see `names_of`."""
        self._names = names_of(keys)

    def __len__(self) -> int:
        """How many clients have one."""
        return len(set(self._names.values()))

    @property
    def are_needed(self) -> bool:
        """Whether a client must show one."""
        return bool(self._names)

    async def follow(self, read: Callable[[], Awaitable[Mapping[bytes, str]]], changed: Callable[[], None]) -> None:
        """Keep to the keys that there are; never ends.

        Whatever can't be read, or holds no key, changes nothing: a file that is damaged or emptied must lock nobody
        out, and let nobody in. Nor does what two looks in a row do not find alike: it may be half written, and half a
        key is no key.

        Args:
            read: gives `names_of` all keys; raises ValueError, and says why, if it can't.
            changed: called when they are others than before.
        """
        trouble = ""
        last: Mapping[bytes, str] = self._names
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before, last = last, {}
            try:
                last = await read()
            except (ValueError, RuntimeError, MemoryError) as error:  # RuntimeError: no thread can be started
                if str(error) != trouble:
                    logger.warning("the keys that were read before go on to hold: %s", error)
                trouble = str(error)
                continue
            trouble = ""
            if last == before and last != self._names:
                self._names = last
                changed()
                logger.info("the keys have changed: there are %d now", len(last))

    def check(self, authorization: str | None) -> str | None:
        """Let a client in, or not; gives the name of its key, if keys are needed.

        Raises:
            Problem: 401, no key or a wrong one.
        """
        if not self._names:
            return None
        if authorization is None:
            raise problems.unauthorized("A key is needed: send it as Authorization: Bearer <key>.")
        shown = _digest(_key(authorization))
        # All of them, whichever fits: the time must not tell.
        fits = [hmac.compare_digest(shown, digest) for digest in self._names]
        if not any(fits):
            raise problems.unauthorized("This key is not known.")
        return self._names[shown]


def names_of(keys: Mapping[str, str]) -> Mapping[bytes, str]:
    """The name of each key, by the key's digest; takes a hundredth of a second for each that is new and has none.

    Args:
        keys: each with its name; "" for its fingerprint. Those with one name are one client's.
    """
    # Digests: of one length, so that comparing takes the same time for every key shown.
    digests = {_digest(key.encode()): name for key, name in keys.items()}
    return {digest: name or _fingerprint(digest) for digest, name in digests.items()}


@lru_cache(_FINGERPRINTS_REMEMBERED)
def _fingerprint(digest: bytes) -> str:
    """A name that tells nothing of a key: 24 bits of the scrypt hash of its SHA-256, such as `key-3f09ac`."""
    derived = hashlib.scrypt(digest, salt=b"emotion_key", n=_FINGERPRINT_ROUNDS, r=8, p=1, dklen=_FINGERPRINT_BYTES)
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
