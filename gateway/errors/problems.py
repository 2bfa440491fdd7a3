"""Everything that can go wrong for a client, as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE: Final = "application/problem+json"
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
DEFAULT_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""Of an answer that has none of its own."""
RETRY_AFTER_SECONDS: Final = 1
"""One look at what Triton serves, by default: sooner nothing can have changed."""


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pointer: str = Field(description="JSON pointer to the field, as a URI fragment", examples=["#/texts/3"])
    detail: str = Field(examples=["312 tokens, and the model takes 128 at most"])


class ProblemDetails(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(default="about:blank", description="always `about:blank`: the status says what kind it is")
    title: str = Field(description="the status in words", examples=["Service Unavailable"])
    status: int = Field(description="the HTTP status", examples=[503])
    detail: str = Field(description="one sentence: what happened and what to do")
    errors: list[FieldError] | None = Field(default=None, description="with status 422 only: each field that is wrong")


class Problem(Exception):  # noqa: N818 - RFC 9457's own name for it
    """An answer that is an error; raised anywhere, turned into a response in one place."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The problem as it goes over the wire."""
        details = ProblemDetails(
            title=self.status.phrase,
            status=self.status,
            detail=self.detail,
            errors=list(self.errors) or None,
        )
        return Response(
            details.model_dump_json(exclude_none=True),
            status_code=self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def bad_json(reason: str) -> Problem:
    """400: the body is not JSON at all."""
    return Problem(HTTPStatus.BAD_REQUEST, f"The body is not JSON in UTF-8: {reason}.")


def unprocessable(errors: Sequence[FieldError]) -> Problem:
    """422: JSON, but not what the endpoint takes."""
    first, rest = errors[0], len(errors) - 1
    more = f" (and {rest} more, see errors)" if rest else ""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{first.pointer}: {first.detail}{more}.",
        errors=errors,
    )


def unauthorized(detail: str) -> Problem:
    """401: no key, or a wrong one. A browser asks for it on seeing Basic."""
    challenge = 'Bearer realm="emotions", Basic realm="emotions: the key is the password", charset="UTF-8"'
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"www-authenticate": challenge})


def not_found(detail: str) -> Problem:
    """404: no such model or version."""
    return Problem(HTTPStatus.NOT_FOUND, detail)


def method_not_allowed(method: str, path: str, allowed: Sequence[str]) -> Problem:
    """405: the path is there, the method isn't for it."""
    return Problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not for {path}.", headers={"allow": ", ".join(allowed)})


def body_too_large(limit: int) -> Problem:
    """413: more bytes than a request may have."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {limit} bytes: send fewer texts at a time.",
    )


def body_too_slow(timeout: float) -> Problem:
    """408: the client did not finish sending."""
    return Problem(HTTPStatus.REQUEST_TIMEOUT, f"The body did not arrive whole within {timeout:g} s.")


def body_evicted() -> Problem:
    """408: others' bodies needed the memory, and this one had been coming longest."""
    return Problem(
        HTTPStatus.REQUEST_TIMEOUT,
        "The body arrived too slowly while many others were being received: send this one again later.",
        headers=_retry_after(),
    )


def content_encoding(given: str) -> Problem:
    """415: the body is compressed (RFC 9110, 15.5.16)."""
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"The content encoding {given[:100]!r} is not understood here: send the body as it is.",
        headers={"accept-encoding": "identity"},
    )


def unknown_parameters(names: Sequence[str]) -> Problem:
    """422: something after the question mark, where nothing is read."""
    errors = [
        FieldError(pointer="#", detail=f"{name[:100]!r} in the address is no parameter of this request: it takes none")
        for name in names
    ]
    detail = f"{errors[0].detail}; what it takes are fields of the JSON body."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def too_many_requests(detail: str) -> Problem:
    """429: as much as may be is being answered; `detail` says which limit is reached."""
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers=_retry_after())


def unavailable(detail: str) -> Problem:
    """503: Triton is not there or can't take more."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=_retry_after())


def deadline_passed(timeout: float) -> Problem:
    """504: no answer in time."""
    return Problem(HTTPStatus.GATEWAY_TIMEOUT, f"There was no answer from Triton within {timeout:g} s.")


def bug(detail: str = "The gateway has a bug; its log says more.") -> Problem:
    """500: nothing a client did."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _retry_after() -> dict[str, str]:
    return {"retry-after": str(RETRY_AFTER_SECONDS)}
