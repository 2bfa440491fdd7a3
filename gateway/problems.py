"""Everything that can go wrong for a client, as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE: Final = "application/problem+json"
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


def too_many_requests(limit: int) -> Problem:
    """429: as many requests as may be are being answered."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        f"{limit} requests are being answered already: send this one again later.",
        headers=_retry_after(),
    )


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
