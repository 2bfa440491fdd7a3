"""The endpoints: each takes its request in, hands it on, and writes the answer."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from gateway.api import openapi
from gateway.api.emotions import to_emotions
from gateway.api.listing import list_models
from gateway.api.parsing import AnyRequest, parse_request
from gateway.api.protocols import ClassificationRequest, PredictRequest, classification_scores, predict_scores
from gateway.api.schemas import EmotionsRequest, Health, ModelsResponse
from gateway.api.services import Services
from gateway.errors import problems
from gateway.errors.triton_errors import TritonError, to_problem
from gateway.http.admission import cost
from gateway.http.bodies import CrowdedOutError, Patience, refuse_content_encoding
from gateway.http.middleware import EXCHANGE
from gateway.inference.pipeline import Reading
from gateway.inference.query import Query
from gateway.telemetry import metrics
from gateway.telemetry.request_record import Exchange

router = APIRouter()

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
"""What needs no key: orchestrators have none."""


@router.post("/v1/emotions", **openapi.EMOTIONS)
async def emotions(request: Request) -> Response:
    """Emotions of one text or many."""
    asked, reading = await _read(request, EmotionsRequest)
    return _json(to_json(to_emotions(asked, reading)))


@router.post("/predict", **openapi.PREDICT)
async def predict(request: Request) -> Response:
    """text-embeddings-inference's protocol."""
    asked, reading = await _read(request, PredictRequest)
    return _json(_dump(predict_scores(asked, reading.probabilities)))


@router.post("/", **openapi.CLASSIFICATION)
async def classification(request: Request) -> Response:
    """The Hugging Face Inference API's text-classification task."""
    asked, reading = await _read(request, ClassificationRequest)
    return _json(_dump(classification_scores(asked, reading.probabilities)))


@router.get("/v1/models", **openapi.MODELS)
async def models(request: Request) -> Response:
    """What is served."""
    services = _services(request)
    if not services.catalogue.served.models:
        try:
            await services.catalogue.look()
        except TritonError as error:
            raise to_problem(error, services.settings.request_timeout) from None
    served, default_model = services.catalogue.served, services.settings.default_model
    listed: ModelsResponse = list_models(served, services.limits, default_model)
    return _json(listed.model_dump_json())


@router.get("/health/live", **openapi.LIVE)
async def live(_: Request) -> Response:
    """The process is up."""
    return _json(Health(status="ok").model_dump_json())


@router.get("/health/ready", **openapi.READY)
async def ready(request: Request) -> Response:
    """Requests can be answered."""
    missing = await _services(request).readiness.what_is_missing()
    if missing is not None:
        raise problems.unavailable(missing)
    return _json(Health(status="ok").model_dump_json())


@router.get("/metrics", **openapi.METRICS)
async def figures(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(_services(request).metrics.text(), media_type=metrics.CONTENT_TYPE)


async def _read(request: Request, kind: type[AnyRequest]) -> tuple[AnyRequest, Reading]:
    services = _services(request)
    timeout = services.settings.request_timeout
    exchange: Exchange = request.scope[EXCHANGE]
    refuse_content_encoding(request.scope)
    services.admission.check(exchange.key)
    query: Query | None = None
    try:
        with Patience(request, timeout) as patience:
            body = await services.receiving.body(request, patience)
            asked, query = parse_request(kind, body, services.limits)
            with services.admission.place(cost(query.texts), exchange.key):
                return asked, await services.inference.read(query, patience.deadline, exchange)
    except TimeoutError:
        late = problems.body_too_slow(timeout) if query is None else problems.deadline_passed(timeout)
        raise late from None
    except CrowdedOutError:
        raise problems.body_crowded_out() from None


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _json(body: str | bytes) -> Response:
    return Response(body, media_type="application/json")


def _dump(answer: list[Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
