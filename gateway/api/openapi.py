"""The OpenAPI document: what each endpoint takes, answers and refuses, with examples."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api.classify import ClassifyRequest, ClassifyResponse
from gateway.api.protocols import ClassificationRequest, PredictRequest, Score
from gateway.api.schemas import EmotionsRequest, EmotionsResponse, Health, Limits, ModelsResponse
from gateway.errors.problems import MEDIA_TYPE, ProblemDetails

_REFERENCE: Final = "#/components/schemas/{model}"

DESCRIPTION: Final = """\
Эмоции русского текста: нейтрально, радость, грусть, удивление, страх, злость.

```
curl -s http://127.0.0.1:8080/v1/emotions \\
  -H 'content-type: application/json' \\
  -d '{"text": "Как же я рад тебя видеть!"}'
```

Six independent probabilities for each text. The body is read as JSON in UTF-8 whatever its
content type says, and not compressed. Errors are `application/problem+json` (RFC 9457).
"""

_STATUSES: Final = {
    400: "not JSON, or not well-formed HTTP",
    401: "no key or a wrong one; only where keys are set",
    404: "no such model or version",
    408: "the body did not arrive in time",
    413: "the body is too large",
    415: "the body is compressed",
    422: "JSON, but a field is wrong, or a parameter in the address; `errors` says which",
    429: "too much is being answered; `detail` says which limit is reached",
    431: "the head, or what follows the body, is too large",
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
    "по предложениям": {
        "summary": "Длинный текст: каждое предложение отдельно, и весь текст",
        "value": {"text": "Пальто красивое, очень рада! Но везли его месяц. Больше не закажу.", "parts": "sentences"},
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


def _asking(summary: str, description: str, request: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    reference = {"$ref": _REFERENCE.format(model=request.__name__)}
    return {
        "summary": summary,
        "description": description,
        "tags": ["emotions"],
        "response_model": None,
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": reference, "examples": examples}},
            }
        },
    }


_ASKED: Final = _problems(400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504)

EMOTIONS: Final[dict[str, Any]] = {
    **_asking(
        "Emotions of one text or many",
        "A text without a word in it is answered like any other. A text that is longer than the model reads is cut, "
        "unless `truncate` is false (then it is refused) or `parts` has it read in parts: each is a row of its own, "
        "and the whole's probabilities are the means over its parts. The places of parts are counted in Unicode code "
        "points, as Python does; JavaScript and Java count some signs, such as emoji, as two.",
        EmotionsRequest,
        _EXAMPLES,
    ),
    "responses": {200: {"model": EmotionsResponse}, **_ASKED},
}
CLASSIFY: Final[dict[str, Any]] = {
    **_asking(
        "The same in vLLM's protocol, at `/classify` too",
        "One label for each text, and the probabilities of all six. As in vLLM, a text that is longer than the model "
        "reads is refused unless `truncate_prompt_tokens` is -1. Token ids and chat messages are not taken.",
        ClassifyRequest,
        {
            "один текст": {"summary": "Один текст", "value": {"input": "Мне страшно идти домой одной."}},
            "несколько": {
                "summary": "Несколько текстов",
                "value": {"model": "rubert", "input": ["Ура!", "Опять всё сломалось."], "truncate_prompt_tokens": -1},
            },
        },
    ),
    "responses": {200: {"model": ClassifyResponse}, **_ASKED},
}
PREDICT: Final[dict[str, Any]] = {
    **_asking(
        "The same in text-embeddings-inference's protocol",
        "The default model's six labels with their scores, most probable first: a list for one text, "
        "a list of lists for a list of texts. These models read no pairs: two strings are two texts.",
        PredictRequest,
        {
            "один текст": {"summary": "Один текст", "value": {"inputs": "Мне страшно идти домой одной."}},
            "несколько": {"summary": "Несколько текстов", "value": {"inputs": [["Ура!"], ["Опять всё сломалось."]]}},
        },
    ),
    "responses": {200: {"model": list[Score] | list[list[Score]]}, **_ASKED},
}
CLASSIFICATION: Final[dict[str, Any]] = {
    **_asking(
        "The same as the Hugging Face Inference API's text-classification task",
        "`huggingface_hub.InferenceClient(base_url=…).text_classification(…)` works against this. "
        "The default model's labels with their scores, most probable first; always a list of lists.",
        ClassificationRequest,
        {
            "один текст": {"summary": "Один текст", "value": {"inputs": "Ничего себе, вот это новость!"}},
            "две метки": {
                "summary": "Две самые вероятные",
                "value": {"inputs": "Грустно, что лето кончилось.", "parameters": {"top_k": 2}},
            },
        },
    ),
    "responses": {200: {"model": list[list[Score]]}, **_ASKED},
}
MODELS: Final[dict[str, Any]] = {
    "summary": "Models, versions, labels, limits, profiles and metrics",
    "tags": ["emotions"],
    "response_model": None,
    "responses": {200: {"model": ModelsResponse}, **_problems(401, 422, 500, 503, 504)},
}
LIVE: Final[dict[str, Any]] = {
    "summary": "The process is up",
    "tags": ["operation"],
    "response_model": None,
    "responses": {200: {"model": Health}, **_problems(500)},
}
READY: Final[dict[str, Any]] = {
    "summary": "Triton is there and serves the default model",
    "tags": ["operation"],
    "response_model": None,
    "responses": {200: {"model": Health}, **_problems(500, 503)},
}
METRICS: Final[dict[str, Any]] = {
    "summary": "Figures for Prometheus",
    "tags": ["operation"],
    "response_model": None,
    "response_class": PlainTextResponse,
    "responses": {200: {"description": "Prometheus's text format"}, **_problems(401, 422, 500)},
}


PAGE: Final[dict[str, Any]] = {
    "summary": "A page to try a text on",
    "tags": ["operation"],
    "operationId": "page",
    "responses": {
        "200": {"description": "HTML", "content": {"text/html": {"schema": {"type": "string"}}}},
        **{str(status): problem for status, problem in _problems(401, 500).items()},
    },
}
"""Of the pages the only one whose path an endpoint has too."""


_REQUESTS: Final = (EmotionsRequest, PredictRequest, ClassificationRequest, ClassifyRequest)


def _set_limits(form: dict[str, Any], limits: Limits) -> None:
    if form["type"] == "string":
        form["maxLength"] = limits.max_characters
        return
    form["maxItems"] = min(limits.max_texts, form.get("maxItems", limits.max_texts))
    _set_limits(form["items"], limits)


def openapi_document(app: FastAPI, limits: Limits, open_paths: Iterable[str], *, needs_key: bool) -> dict[str, Any]:
    """The document, made once, with the limits as they are set.

    Args:
        app: whose endpoints it describes.
        limits: of one request.
        open_paths: that need no key.
        needs_key: whether the others do.
    """
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            # Relative to where the document is, below whatever path a proxy serves the gateway.
            servers=[{"url": "./", "description": "where this document is"}],
        )
        _, definitions = models_json_schema(
            [*((kind, "validation") for kind in _REQUESTS), (ProblemDetails, "serialization")],
            ref_template=_REFERENCE,
        )
        request = definitions["$defs"][EmotionsRequest.__name__]
        # Exactly one of the two, which a pydantic model can check but not tell.
        request["oneOf"] = [
            {"required": [name], "properties": {name: {"type": kind}}}
            for name, kind in (("text", "string"), ("texts", "array"))
        ]
        one, many = (request["properties"][name]["anyOf"][0] for name in ("text", "texts"))
        one["maxLength"] = many["items"]["maxLength"] = limits.max_characters
        many["maxItems"] = limits.max_texts
        for kind, name in ((PredictRequest, "inputs"), (ClassificationRequest, "inputs"), (ClassifyRequest, "input")):
            for form in definitions["$defs"][kind.__name__]["properties"][name]["oneOf"]:
                _set_limits(form, limits)
        document["paths"]["/"]["get"] = PAGE
        components = document["components"]
        components["schemas"].update(definitions["$defs"])
        if needs_key:
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"key": []}]
            for path in open_paths:
                for operation in document["paths"][path].values():
                    operation["security"] = []
        app.openapi_schema = document
    return app.openapi_schema
