"""Heads of requests: one header, upgrades to another protocol, and what is no HTTP."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.types import Scope

from gateway.errors.problems import Problem

MOST_HEAD_BYTES: Final = 65_536
MOST_TRAILER_BYTES: Final = 8_192

_UPGRADE_HEADERS: Final = frozenset({b"upgrade", b"http2-settings"})
_HTTP_2: Final = "PRI"
_TLS_HANDSHAKE: Final = 0x16


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, given in lower case."""
    # Not Starlette's own look-up: there a header that is missing, as most are, costs an exception.
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def without_upgrade(method: bytes, url: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head of a request without its offer to upgrade to another protocol.

    A server may ignore such an offer and answer as if it had not been made (RFC 9110, 7.8); Java's HttpClient
    and `curl --http2` make one by default.

    Args:
        method: such as `POST`.
        url: the request's target.
        version: such as `1.1`.
        headers: names in lower case.
    """
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode())]
    for name, value in headers:
        if name in _UPGRADE_HEADERS:
            continue
        if name == b"connection":
            kept = [option for part in value.split(b",") if (option := part.strip()).lower() not in _UPGRADE_HEADERS]
            value = b", ".join(kept)
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join((*lines, b"", b""))


def malformed(reason: str, data: bytes) -> Problem:
    """400: this is no request.

    Args:
        reason: the parser's own words.
        data: in which it stopped.
    """
    if data[:1] == bytes([_TLS_HANDSHAKE]):
        detail = "This port speaks HTTP without TLS: ask http://, or a proxy in front that has TLS"
    elif _HTTP_2 in reason:
        detail = "HTTP/2 is not spoken here: use HTTP/1.1"
    else:
        detail = f"This is not a well-formed HTTP/1.1 request: {reason[:1].lower()}{reason[1:].rstrip('.')}"
    return Problem(HTTPStatus.BAD_REQUEST, f"{detail}.")


def head_too_large() -> Problem:
    """431: more header lines than anybody needs."""
    return Problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"The head of the request is larger than {MOST_HEAD_BYTES} bytes.",
    )


def trailers_too_large() -> Problem:
    """431: header lines behind the body, or extensions of a chunk's length."""
    return Problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"Trailers, or a chunk's length and extensions, are larger than {MOST_TRAILER_BYTES} bytes; nothing here "
        "reads any.",
    )


def framing_too_large() -> Problem:
    """400: a chunked body that is hardly anything but its chunks' lengths."""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        f"Chunk lengths, extensions and trailers take {MOST_HEAD_BYTES} bytes more than the body itself: "
        "send larger chunks, or a Content-Length.",
    )


def connect_refused() -> Problem:
    """405: CONNECT is a proxy's."""
    return Problem(HTTPStatus.METHOD_NOT_ALLOWED, "CONNECT is for proxies, which this is not.", headers={"allow": ""})
