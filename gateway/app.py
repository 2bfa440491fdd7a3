"""The application: endpoints, pages, middleware and life time, put together."""

import contextlib
import gc
from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from gateway import pages
from gateway.api import routes
from gateway.api.exception_handlers import exception_handlers
from gateway.api.openapi import openapi_document
from gateway.http.api_keys import ApiKeys
from gateway.http.middleware import RequestMiddleware
from gateway.lifespan import limits, running_services
from gateway.settings import Settings, read_keys
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing

_CLIENT_HEADERS: Final = ("authorization", "content-type", "x-request-id", "traceparent")
_ANSWER_HEADERS: Final = ("x-request-id", "server-timing", "retry-after")
_OBJECTS_BEFORE_COLLECTION: Final = 50_000
_ROUTES: Final = (*routes.router.routes, *pages.router.routes)


def make_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application.

    Raises:
        TracingError: traces are wanted, but their packages are not installed.
    """
    metrics, tracing = Metrics(), Tracing(settings.otlp_endpoint)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_services(settings, metrics, tracing) as services:
            app.state.services = services
            _collect_seldom()
            yield
        tracing.close()

    methods = _methods()
    api_keys = read_keys(settings)
    app = FastAPI(
        title="Russian emotions",
        version=_version(),
        routes=[*_ROUTES],
        lifespan=lifespan,
        exception_handlers=exception_handlers(methods),
        # Its own pages and document are in `pages`; its own telemetry would hold the client's words.
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        redirect_slashes=False,
    )
    document = partial(openapi_document, app, limits(settings), routes.OPEN_PATHS, needs_key=bool(api_keys))
    app.openapi = document  # type: ignore[method-assign]
    app.add_middleware(
        RequestMiddleware,
        paths=methods.keys(),
        open_paths=routes.OPEN_PATHS,
        api_keys=ApiKeys(api_keys),
        metrics=metrics,
        tracing=tracing,
        log_requests=settings.log_requests,
    )
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_CLIENT_HEADERS,
            expose_headers=_ANSWER_HEADERS,
        )
    return app


def _methods() -> dict[str, list[str]]:
    """The methods of every path."""
    methods: dict[str, set[str]] = {}
    for route in _ROUTES:
        if isinstance(route, APIRoute):
            methods.setdefault(route.path, set()).update(route.methods or ())
    # The middleware answers HEAD wherever GET is.
    return {path: sorted(found | {"HEAD"} if "GET" in found else found) for path, found in methods.items()}


def _collect_seldom() -> None:
    """Spare requests the collector's work."""
    # What is there now stays for good. Looking through it again, a full collection would hold up every
    # request for tens of milliseconds.
    gc.collect()
    gc.freeze()
    # A request leaves hardly any cycles behind, so looking for them 70 times less often costs no memory
    # and saves some hundredths of each request's time.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)


def _version() -> str:
    try:
        return version("ru-emotions-triton")
    except PackageNotFoundError:
        return "0"
