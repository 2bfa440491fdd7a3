"""The endpoints: each takes its request in, hands it on, and writes the answer."""

import json
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from gateway.api import openapi
from gateway.api.classify import ClassifyRequest, classify_response
from gateway.api.emotions import emotions_response
from gateway.api.listing import list_models
from gateway.api.parsing import AnyRequest, parse_request
from gateway.api.protocols import ClassificationRequest, PredictRequest, classification_scores, predict_scores
from gateway.api.raw_route import RawRoute
from gateway.api.schemas import EmotionsRequest, Health
from gateway.api.services import get_services
from gateway.errors import problems
from gateway.http.admission import cost
from gateway.http.bodies import refuse_content_encoding
from gateway.http.deadline import BodyEvictedError, RequestDeadline
from gateway.http.draining import process_draining
from gateway.http.request_state import request_state
from gateway.inference.query import Query
from gateway.inference.version_inference import InferenceResult
from gateway.telemetry import metrics

router = APIRouter(route_class=RawRoute)

OPEN_PATHS: Final = frozenset({"/health/live", "/health/ready"})
"""What needs no key: orchestrators have none."""
_MOST_NAMED: Final = 10
"""Unknown parameters of one request that are named."""


@router.post("/v1/emotions", **openapi.EMOTIONS)
async def emotions(request: Request) -> Response:
    """Emotions of one text or many."""
    parsed, result = await _infer(request, EmotionsRequest)
    return _json(to_json(emotions_response(parsed, result)))


@router.post("/v1/classify", **openapi.CLASSIFY)
@router.post("/classify", include_in_schema=False)
async def classify(request: Request) -> Response:
    """vLLM's protocol, at the path of Dynamo and SGLang and at its own."""
    parsed, result = await _infer(request, ClassifyRequest)
    return _json(to_json(classify_response(parsed, result, request_state(request.scope).record.id)))


@router.post("/predict", **openapi.PREDICT)
async def predict(request: Request) -> Response:
    """text-embeddings-inference's protocol."""
    parsed, result = await _infer(request, PredictRequest)
    return _json(_dump(predict_scores(parsed, result.probabilities)))


@router.post("/", **openapi.CLASSIFICATION)
async def classification(request: Request) -> Response:
    """The Hugging Face Inference API's text-classification task."""
    parsed, result = await _infer(request, ClassificationRequest)
    return _json(_dump(classification_scores(parsed, result.probabilities)))


@router.get("/v1/models", **openapi.MODELS)
async def models(request: Request) -> Response:
    """What is served."""
    _refuse_parameters(request)
    services = get_services(request)
    if not services.catalogue.served.models:
        await services.catalogue.refresh()
    return _json(list_models(services.catalogue.served, services.limits, services.default_model).model_dump_json())


@router.get("/health/live", **openapi.LIVE)
async def live(_: Request) -> Response:
    """The process is up."""
    return _json(Health(status="ok").model_dump_json())


@router.get("/health/ready", **openapi.READY)
async def ready(request: Request) -> Response:
    """Requests can be answered."""
    if process_draining().begun:
        raise problems.unavailable("The gateway is about to stop: ask another one.")
    missing = await get_services(request).readiness.reason_not_ready()
    if missing is not None:
        raise problems.unavailable(missing)
    return _json(Health(status="ok").model_dump_json())


@router.get("/metrics", **openapi.METRICS)
async def figures(request: Request) -> Response:
    """Figures for Prometheus."""
    _refuse_parameters(request)
    return Response(get_services(request).metrics.text(), media_type=metrics.CONTENT_TYPE)


async def _infer(request: Request, kind: type[AnyRequest]) -> tuple[AnyRequest, InferenceResult]:
    """Receive and check a request for probabilities, and have them computed, within its deadline."""
    _refuse_parameters(request)
    refuse_content_encoding(request.scope)
    services, state = get_services(request), request_state(request.scope)
    services.admission.check(state.record.key)
    timeout = services.limits.request_timeout_seconds
    query: Query | None = None
    try:
        with RequestDeadline(state.connection, timeout) as deadline:
            body = await services.bodies.read(request, deadline)
            parsed, query = parse_request(kind, body, services.limits)
            with services.admission.slot(cost(query.texts), state.record.key) as hold:
                if query.parts is not None:
                    query = _in_parts(query, hold)
                return parsed, await services.pipeline.infer(query, deadline.at, state.record)
    except TimeoutError:
        late = problems.body_too_slow(timeout) if query is None else problems.deadline_passed(timeout)
        raise late from None
    except BodyEvictedError:
        raise problems.body_evicted() from None


def _in_parts(query: Query, hold: Callable[[int], None]) -> Query:
    """A query whose parts, once they are counted, are let in like as many texts."""
    for_length = cost(query.texts) - len(query.texts)
    return replace(query, admit_parts=lambda parts: hold(parts + for_length))


def _refuse_parameters(request: Request) -> None:
    """An unknown parameter in the address is refused, as an unknown field is.

    Raises:
        Problem: 422, there is something after the question mark.
    """
    query_string: bytes = request.scope["query_string"]
    if query_string:
        given = urllib.parse.parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="replace")
        names = dict.fromkeys(name for name, _ in given)
        raise problems.unknown_parameters([*names][:_MOST_NAMED] or [""])


def _json(body: str | bytes) -> Response:
    return Response(body, media_type="application/json")


def _dump(answer: list[Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
