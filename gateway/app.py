"""The application: endpoints, pages and life time, put together."""

import contextlib
import gc
from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import pages
from gateway.api.openapi import openapi
from gateway.api.routes import OPEN_PATHS, router
from gateway.api.services import running_services
from gateway.http.api_keys import Keys
from gateway.http.middleware import Endpoint, Front
from gateway.settings import Settings, read_keys
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing

_CLIENT_HEADERS = ("authorization", "content-type", "x-request-id", "traceparent")
_OBJECTS_BEFORE_COLLECTION = 50_000
_ANSWER_HEADERS = ("x-request-id", "server-timing", "retry-after")


def make_app(settings: Settings) -> ASGIApp:
    """The gateway as an ASGI application.

    Raises:
        TracingError: traces are wanted, but their packages are not installed.
    """
    metrics, tracing = Metrics(), Tracing(settings.otlp_endpoint)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_services(settings, metrics, tracing) as services:
            app.state.services = services
            # What is there now stays for good. Looking through it again, a full collection
            # would hold up every request for tens of milliseconds.
            gc.collect()
            gc.freeze()
            # A request leaves hardly any cycles behind, so looking for them 70 times less often
            # costs no memory and saves some hundredths of each request's time.
            gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
            yield
        tracing.close()

    described = FastAPI(title="Russian emotions", version=_version(), lifespan=lifespan, openapi_url=None)
    described.include_router(router)
    endpoints: dict[tuple[str, str], Endpoint] = {
        (method, route.path): route.endpoint
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    shown = pages.endpoints(partial(openapi, described, settings, OPEN_PATHS))
    endpoints |= shown
    front = Front(
        endpoints,
        open_paths=OPEN_PATHS,
        parameters_ignored=frozenset({*shown, *(("GET", path) for path in OPEN_PATHS)}),
        keys=Keys(read_keys(settings)),
        metrics=metrics,
        tracing=tracing,
        timeout=settings.request_timeout,
        log_requests=settings.log_requests,
        lifespan=described,
    )

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = described
        await front(scope, receive, send)

    if not settings.allowed_origins:
        return application
    return CORSMiddleware(
        application,
        allow_origins=settings.allowed_origins,
        allow_methods=("GET", "POST"),
        allow_headers=_CLIENT_HEADERS,
        expose_headers=_ANSWER_HEADERS,
    )


def _version() -> str:
    try:
        return version("ru-emotions-triton")
    except PackageNotFoundError:
        return "0"
