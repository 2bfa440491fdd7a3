"""One bucket, below one prefix: list, read, write and remove objects.

Arrow's object store does it (`obstore`); it takes credentials and region from the usual AWS_… variables.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

_ADDRESS: Final = re.compile(
    r"s3://(?:(?P<endpoint>https?://[^/\s]+)/)?(?P<bucket>[A-Za-z0-9][A-Za-z0-9.-]{1,62})(?:/(?P<prefix>\S*))?"
)
_CLIENT: Final = {"connect_timeout": "5s", "timeout": "120s", "allow_http": True}
"""For one request, of up to a whole graph. HTTP only where the address or AWS_ENDPOINT_URL asks for it."""
_RETRIES: Final = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_MOST_OBJECTS: Final = 20_000
"""Far more than a repository has; below another prefix may lie anything."""
_CHUNK: Final = 1 << 20
# What of a store's answer people look for, and what it means.
_MEANINGS: Final = (
    ("NoSuchBucket", "there is no such bucket"),
    ("InvalidAccessKeyId", "the store does not know AWS_ACCESS_KEY_ID"),
    ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY is wrong"),
    ("RequestTimeTooSkewed", "this machine's clock is wrong"),
    ("AccessDenied", "these credentials may not do that"),
    ("/api/token", "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("error sending request", "the store can't be reached"),
)


class StorageError(Exception):
    """The store, or a directory, can't be used; says why."""


class Bucket:
    """A bucket, below a prefix; names of objects are relative to it."""

    def __init__(self, address: str) -> None:
        """Nothing is sent yet.

        Args:
            address: as Triton takes it: `s3://bucket/prefix` or `s3://http://host:port/bucket/prefix`.

        Raises:
            StorageError: it is no such address.
        """
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise StorageError(
                f"{address!r} is no address of a bucket: write s3://bucket/prefix or "
                f"s3://http://host:port/bucket/prefix"
            )
        self.address = address
        settings: dict[str, Any] = {"client_options": _CLIENT, "retry_config": _RETRIES}
        if match["endpoint"]:
            settings["endpoint"] = match["endpoint"]
        with self._explained("use"):
            self._store = S3Store(match["bucket"], prefix=(match["prefix"] or "").strip("/") or None, **settings)

    def list(self, below: str | None = None) -> dict[str, tuple[int, str]]:
        """Every object's size in bytes and entity tag; `below` a directory of the prefix, if it is given.

        Raises:
            StorageError: the store does not say.
        """
        found: dict[str, tuple[int, str]] = {}
        with self._explained("list"):
            for chunk in obstore.list(self._store, below):
                found |= {row["path"]: (row["size"], row["e_tag"] or "") for row in chunk}
                if len(found) > _MOST_OBJECTS:
                    raise StorageError(f"{self.address} holds more than {_MOST_OBJECTS} objects: is it a repository?")
        return found

    def read(self, name: str, most: int) -> bytes:
        """An object of `most` bytes at most.

        Raises:
            StorageError: it can't be read, or is larger.
        """
        return b"".join(self._chunks(name, most))

    def download(self, name: str, path: Path, most: int) -> None:
        """Write an object of `most` bytes at most to a file.

        Raises:
            StorageError: it can't be read or written, or is larger.
        """
        try:
            with path.open("wb") as file:
                for chunk in self._chunks(name, most):
                    file.write(chunk)
        except OSError as error:
            raise StorageError(f"{path} can't be written: {error.strerror}") from error

    def upload(self, name: str, content: Path | bytes) -> str | None:
        """Put an object in place as a whole; returns its entity tag, if the store tells it.

        Raises:
            StorageError: the store does not take it.
        """
        with self._explained(f"write {name} in"):
            tag: str | None = obstore.put(self._store, name, content)["e_tag"]
        return tag

    def remove(self, name: str) -> None:
        """Remove an object; one that is not there is no error.

        Raises:
            StorageError: the store refuses.
        """
        with self._explained(f"remove {name} from"):
            obstore.delete(self._store, name)

    def _chunks(self, name: str, most: int) -> Iterator[bytes]:
        size = 0
        with self._explained(f"read {name} in"):
            for chunk in obstore.get(self._store, name).stream(min_chunk_size=_CHUNK):
                size += len(chunk)
                if size > most:
                    raise StorageError(f"{name} in {self.address} is larger than {most} bytes")
                yield bytes(chunk)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            raise StorageError(f"can't {what} {self.address}: it is not there") from error
        except (BaseError, ValueError) as error:
            raise StorageError(f"can't {what} {self.address}: {_meaning(str(error))}") from error


def _meaning(words: str) -> str:
    for sign, meaning in _MEANINGS:
        if sign in words:
            return meaning
    first = words.partition("\n")[0]
    return first[:300]


Report = Callable[[str], None]
"""Told in one sentence what was done."""
