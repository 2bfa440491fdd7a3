"""The body of a request to a checked `EmotionsRequest`, or to the right problem."""

import json
import urllib.parse
from collections.abc import Iterable
from typing import Final, NoReturn

from pydantic import ValidationError

from gateway import problems
from gateway.problems import FieldError
from gateway.schemas import EmotionsRequest, Limits

_MOST_ERRORS: Final = 100
"""Errors spelled out; a body of a few hundred thousand wrong fields is not worth it."""
_LONGEST_SEGMENT: Final = 100
"""Characters of a client's own field name that come back in a pointer."""

_PLAIN: Final = {
    "missing": "is needed",
    "extra_forbidden": "is no field of this request",
    "string_type": "must be a string",
    "list_type": "must be a list",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "model_type": "must be an object",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
    "greater_than_equal": "must be from 0 to 1",
    "less_than_equal": "must be from 0 to 1",
    "finite_number": "must be from 0 to 1",
}
"""pydantic's error types in words that fit a JSON client."""


def parse_request(body: bytes, limits: Limits) -> EmotionsRequest:
    """Read and check a request.

    Raises:
        Problem: 400 if the body is not JSON, 422 with every field that is wrong.
    """
    try:
        request = EmotionsRequest.model_validate_json(body)
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
                    detail=_PLAIN.get(entry["type"], entry["msg"].removeprefix("Value error, ")),
                )
                for entry in details
            ]
        ) from None
    _check_limits(request, limits)
    return request


def _check_limits(request: EmotionsRequest, limits: Limits) -> None:
    texts = request.all_texts
    if len(texts) > limits.max_texts:
        detail = f"{len(texts)} texts, and a request may have {limits.max_texts}"
        raise problems.unprocessable([FieldError(pointer="#/texts", detail=detail)])
    errors = [
        FieldError(
            pointer="#/text" if request.text is not None else f"#/texts/{index}",
            detail=f"{len(text)} characters, and a text may have {limits.max_characters}",
        )
        for index, text in enumerate(texts)
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
    raise problems.bad_json(message.removeprefix("Invalid JSON: "))


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
    segments = (str(part)[:_LONGEST_SEGMENT].replace("~", "~0").replace("/", "~1") for part in path)
    return "#" + "".join(f"/{urllib.parse.quote(segment, safe='~')}" for segment in segments)
