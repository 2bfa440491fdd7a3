"""The body of a request, of any protocol, to a checked one, or to the right problem."""

import codecs
import json
import urllib.parse
from collections.abc import Iterable
from typing import Final, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.api.classify import ClassifyRequest
from gateway.api.protocols import INPUT_KINDS, ClassificationRequest, PredictRequest
from gateway.api.schemas import EmotionsRequest, Limits
from gateway.errors import problems
from gateway.errors.problems import FieldError
from gateway.inference.query import Query

AnyRequest = TypeVar("AnyRequest", EmotionsRequest, PredictRequest, ClassificationRequest, ClassifyRequest)

_MOST_ERRORS: Final = 100
"""Errors spelled out; a body of a few hundred thousand wrong fields is not worth it."""
_LONGEST_SEGMENT: Final = 100
"""Characters of a client's own field name that come back in a pointer."""

_GZIP: Final = b"\x1f\x8b"

_MESSAGES: Final = {
    "missing": "is needed",
    "extra_forbidden": "is no field of this request",
    "string_type": "must be a string",
    "list_type": "must be a list",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "model_type": "must be an object",
    "too_short": "must not be empty",
    "too_long": "must be one text: these models read no pairs",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "finite_number": "must be a number",
    "literal_error": "must be {expected}",
}
"""pydantic's error types in words that fit a JSON client."""


def parse_request(kind: type[AnyRequest], body: bytes, limits: Limits) -> tuple[AnyRequest, Query]:
    """Read and check a request; gives it and what it asks for.

    Raises:
        Problem: 400 if the body is not JSON, 422 with every field that is wrong.
    """
    # A byte order mark is no part of the text, and some clients send it (RFC 8259, 8.1).
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        if error.error_count() > _MOST_ERRORS:
            detail = f"{error.error_count()} fields or values are wrong"
            raise problems.unprocessable([FieldError(pointer="#", detail=detail)]) from None
        details = error.errors(include_url=False, include_context=True, include_input=False)
        if details[0]["type"] == "json_invalid":
            _refuse_json(body, details[0]["msg"])
        raise problems.unprocessable(
            [
                FieldError(
                    pointer=_pointer(entry["loc"]),
                    detail=_in_words(entry),
                )
                for entry in details
            ]
        ) from None
    query = request.query()
    _check_limits(query, limits)
    return request, query


def _in_words(entry: ErrorDetails) -> str:
    message = _MESSAGES.get(entry["type"])
    return message.format(**entry.get("ctx", {})) if message else entry["msg"].removeprefix("Value error, ")


def _check_limits(query: Query, limits: Limits) -> None:
    if len(query.texts) > limits.max_texts:
        detail = f"{len(query.texts)} texts, and a request may have {limits.max_texts}"
        raise problems.unprocessable([FieldError(pointer=query.list_pointer, detail=detail)])
    errors = [
        FieldError(
            pointer=query.pointer_to(index),
            detail=f"{len(text)} characters, and a text may have {limits.max_characters}",
        )
        for index, text in enumerate(query.texts)
        if len(text) > limits.max_characters
    ]
    if errors:
        raise problems.unprocessable(errors)


def _refuse_json(body: bytes, message: str) -> NoReturn:
    """Tell JSON with half a character in it (422) from what is no JSON (400).

    `"\\ud83d"` alone is grammatical JSON, but no text: pydantic's parser refuses both alike.
    """
    try:
        path = _path_to_lone_surrogate(json.loads(body.decode(), parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        path = None
    if path is not None:
        detail = "holds half of a surrogate pair, which is no character"
        raise problems.unprocessable([FieldError(pointer=_pointer(path), detail=detail)])
    raise problems.bad_json(_what_it_is(body) or message.removeprefix("Invalid JSON: "))


def _what_it_is(body: bytes) -> str:
    """What is wrong with a body that was not meant to be JSON in UTF-8; empty if it may have been."""
    if not body.strip():
        return "it is empty"
    if body.startswith(_GZIP):
        return "it is compressed with gzip; send it as it is"
    start = body[:4]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start:
        # Of JSON the first character is ASCII, so in these encodings at least one of four bytes is zero.
        return "it looks like UTF-16 or UTF-32; encode it in UTF-8"
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8; encode the text in UTF-8, not in windows-1251 or the like"
    return ""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _path_to_lone_surrogate(value: object) -> tuple[str | int, ...] | None:
    if isinstance(value, str):
        return None if _is_text(value) else ()
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, list):
        items = enumerate(value)
    elif isinstance(value, dict):
        if not all(map(_is_text, value)):
            return ()
        items = value.items()
    for key, item in items:
        if (rest := _path_to_lone_surrogate(item)) is not None:
            return (key, *rest)
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _pointer(path: tuple[str | int, ...]) -> str:
    segments = (
        str(part)[:_LONGEST_SEGMENT].replace("~", "~0").replace("/", "~1") for part in path if part not in INPUT_KINDS
    )
    return "#" + "".join(f"/{urllib.parse.quote(segment, safe='~')}" for segment in segments)
