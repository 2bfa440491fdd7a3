"""The endpoints: each takes its request in, hands it on, and writes the answer."""

import asyncio

from fastapi import APIRouter, Request, Response

from gateway import documentation, problems
from gateway.failures import TritonError, to_problem
from gateway.intake import ClientGoneError, read_body, until_hang_up
from gateway.listing import list_models
from gateway.parsing import parse_request
from gateway.schemas import EmotionsResponse, Health, Limits, ModelsResponse
from gateway.services import Services
from gateway.settings import Settings

router = APIRouter()


@router.post("/v1/emotions", **documentation.EMOTIONS)
async def emotions(request: Request) -> Response:
    """Emotions of one text or many."""
    services = _services(request)
    try:
        with services.admission.place():
            answer = await _answer(request, services)
    except ClientGoneError:
        # Nobody reads this.
        return Response(status_code=499)
    return _json(answer)


@router.get("/v1/models", **documentation.MODELS)
async def models(request: Request) -> Response:
    """What is served."""
    services = _services(request)
    if not services.catalogue.served.models:
        try:
            await services.catalogue.look()
        except TritonError as error:
            raise to_problem(error, services.settings.request_timeout) from None
    default_model = services.settings.default_model
    return _json(list_models(services.catalogue.served, _limits(services.settings), default_model))


@router.get("/health/live", **documentation.LIVE)
async def live() -> Response:
    """The process is up."""
    return _json(Health(status="ok"))


@router.get("/health/ready", **documentation.READY)
async def ready(request: Request) -> Response:
    """Requests can be answered."""
    missing = await _services(request).readiness.what_is_missing()
    if missing is not None:
        raise problems.unavailable(missing)
    return _json(Health(status="ok"))


async def _answer(request: Request, services: Services) -> EmotionsResponse:
    timeout = services.settings.request_timeout
    deadline = asyncio.get_running_loop().time() + timeout
    try:
        async with asyncio.timeout_at(deadline):
            body = await read_body(request, services.settings.max_body_bytes)
    except TimeoutError:
        raise problems.body_too_slow(timeout) from None
    parsed = parse_request(body, _limits(services.settings))
    try:
        async with asyncio.timeout_at(deadline):
            return await until_hang_up(request, services.inference.answer(parsed, deadline))
    except TimeoutError:
        raise problems.deadline_passed(timeout) from None


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _json(answer: EmotionsResponse | ModelsResponse | Health) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_texts=settings.max_texts,
        max_characters=settings.max_characters,
        max_body_bytes=settings.max_body_bytes,
        max_in_flight=settings.max_in_flight,
        request_timeout_seconds=settings.request_timeout,
    )
