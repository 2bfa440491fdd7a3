"""The OpenAPI document: what each endpoint takes, answers and refuses, with examples."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from gateway.problems import MEDIA_TYPE, ProblemDetails
from gateway.schemas import EmotionsRequest, EmotionsResponse, Health, ModelsResponse
from gateway.settings import Settings

_REFERENCE: Final = "#/components/schemas/{model}"

DESCRIPTION: Final = """\
Эмоции русского текста: нейтрально, радость, грусть, удивление, страх, злость.

```
curl -s http://127.0.0.1:8080/v1/emotions \\
  -H 'content-type: application/json' \\
  -d '{"text": "Как же я рад тебя видеть!"}'
```

Six independent probabilities for each text. The body is read as JSON in UTF-8 whatever its
content type says. Errors are `application/problem+json` (RFC 9457).
"""

_STATUSES: Final = {
    400: "not JSON",
    404: "no such model or version",
    408: "the body did not arrive in time",
    413: "the body is too large",
    422: "JSON, but a field is wrong; `errors` says which",
    429: "too many requests in flight",
    500: "a bug",
    503: "Triton is not there, or its queue is full",
    504: "the deadline has passed",
}

_EXAMPLES: Final[dict[str, Any]] = {
    "один текст": {
        "summary": "Один текст",
        "value": {"text": "Как же я рад тебя видеть!"},
    },
    "несколько текстов": {
        "summary": "Несколько текстов, ответы в том же порядке",
        "value": {
            "texts": [
                "Мне страшно идти домой одной.",
                "Опять отключили воду, сколько можно!",
                "Заседание состоится в среду в десять часов.",
            ]
        },
    },
    "профиль": {
        "summary": "Модерация: не пропустить злость",
        "value": {"text": "Да как вы смеете так со мной разговаривать!", "profile": "moderation"},
    },
    "порог": {
        "summary": "Свой порог вместо профиля",
        "value": {"text": "Ничего себе, вот это новость!", "threshold": 0.3},
    },
    "без обрезки": {
        "summary": "Слишком длинный текст — ошибка, а не обрезка",
        "value": {"text": "Грустно, что лето кончилось.", "truncate": False},
    },
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": _REFERENCE.format(model=ProblemDetails.__name__)}
    retry_after = {"retry-after": {"schema": {"type": "integer"}, "description": "seconds to wait"}}
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {_STATUSES[status]}",
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"headers": retry_after} if status in (429, 503) else {}),
        }
        for status in statuses
    }


EMOTIONS: Final[dict[str, Any]] = {
    "summary": "Emotions of one text or many",
    "description": "A text without a word in it is answered like any other.",
    "tags": ["emotions"],
    "response_model": None,
    "responses": {
        200: {"model": EmotionsResponse},
        **_problems(400, 404, 408, 413, 422, 429, 500, 503, 504),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _REFERENCE.format(model=EmotionsRequest.__name__)},
                    "examples": _EXAMPLES,
                }
            },
        }
    },
}
MODELS: Final[dict[str, Any]] = {
    "summary": "Models, versions, labels, limits, profiles and metrics",
    "tags": ["emotions"],
    "response_model": None,
    "responses": {200: {"model": ModelsResponse}, **_problems(500, 503, 504)},
}
LIVE: Final[dict[str, Any]] = {
    "summary": "The process is up",
    "tags": ["health"],
    "response_model": None,
    "responses": {200: {"model": Health}, **_problems(500)},
}
READY: Final[dict[str, Any]] = {
    "summary": "Triton is there and serves the default model",
    "tags": ["health"],
    "response_model": None,
    "responses": {200: {"model": Health}, **_problems(500, 503)},
}


def openapi(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The document, with the limits as they are set."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        _, definitions = models_json_schema(
            [(EmotionsRequest, "validation"), (ProblemDetails, "serialization")],
            ref_template=_REFERENCE,
        )
        request = definitions["$defs"][EmotionsRequest.__name__]
        # Exactly one of the two, which a pydantic model can check but not tell.
        request["oneOf"] = [
            {"required": [name], "properties": {name: {"type": kind}}}
            for name, kind in (("text", "string"), ("texts", "array"))
        ]
        one, many = (request["properties"][name]["anyOf"][0] for name in ("text", "texts"))
        one["maxLength"] = many["items"]["maxLength"] = settings.max_characters
        many["maxItems"] = settings.max_texts
        document["components"]["schemas"].update(definitions["$defs"])
        app.openapi_schema = document
    return app.openapi_schema
