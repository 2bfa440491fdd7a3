"""The application: services, endpoints, pages and middleware, put together."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway import pages
from gateway.api import routes
from gateway.api.exception_handlers import exception_handlers
from gateway.api.openapi import openapi_document
from gateway.api.schemas import Limits
from gateway.api.services import Services
from gateway.http.admission import Admission
from gateway.http.api_keys import ApiKeys, names_of
from gateway.http.bodies import BodyReader
from gateway.http.draining import process_draining
from gateway.http.middleware import RequestMiddleware
from gateway.inference.batching import Batcher
from gateway.inference.challenger import ChallengerCalls
from gateway.inference.pipeline import InferencePipeline
from gateway.inference.text_reader import TextReader
from gateway.inference.version_inference import VersionInference
from gateway.models.canary import CanaryReader
from gateway.models.catalogue import Catalogue
from gateway.models.readiness import Readiness
from gateway.models.version_reader import VersionReader
from gateway.settings import Settings, read_keys
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.channel import open_client
from gateway.triton.client import Triton
from gateway.triton.threads import in_thread

_CLIENT_HEADERS: Final = ("authorization", "content-type", "x-request-id", "traceparent")
_ANSWER_HEADERS: Final = ("x-request-id", "server-timing", "retry-after")
_OBJECTS_BEFORE_COLLECTION: Final = 50_000
_ROUTES: Final = (*routes.router.routes, *pages.routes)
_CALL_SECONDS: Final = 60.0
"""The deadline of a call, on top of the request timeout: it hardly ever passes, see `gateway.triton.replica`."""
_GRACE_SECONDS: Final = 1.0
"""For calls that nobody waits for any more when the gateway stops."""


def make_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application.

    Raises:
        TracingError: traces are wanted, but their packages are not installed.
    """
    metrics, tracing = Metrics(_version(), settings.revision), Tracing(settings.otlp_endpoint)
    api_keys = ApiKeys(read_keys(settings))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_services(settings, api_keys, metrics, tracing) as services:
            app.state.services = services
            _collect_seldom()
            with process_draining().on_sigterm(settings.drain):
                yield
        tracing.close()

    methods = _methods()
    request_middleware = partial(
        RequestMiddleware,
        paths=methods.keys(),
        open_paths=routes.OPEN_PATHS,
        api_keys=api_keys,
        metrics=metrics,
        tracing=tracing,
        log_requests=settings.log_requests,
    )
    app = _Application(
        request_middleware,
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
    document = partial(openapi_document, app, _limits(settings), routes.OPEN_PATHS, needs_key=api_keys.are_needed)
    app.openapi = document  # type: ignore[method-assign]
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_CLIENT_HEADERS,
            expose_headers=_ANSWER_HEADERS,
        )
    return app


class _Application(FastAPI):
    """FastAPI with the one middleware that every request needs.

    FastAPI puts five of its own around the routes: for bugs (`RequestMiddleware` answers them; here the client's
    words would get into the log), telemetry (likewise), a body limit (`gateway.http.bodies` says why not), exception
    handlers, and files that dependencies open. Only the handlers are needed; the others cost 16 to 28 µs a request.
    """

    def __init__(self, request_middleware: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        self._request_middleware = request_middleware
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """Called by FastAPI before the first request."""
        handled = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        app = self._request_middleware(handled)
        for middleware in reversed(self.user_middleware):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app


def _methods() -> dict[str, list[str]]:
    """The methods of every path."""
    methods: dict[str, set[str]] = {}
    for route in _ROUTES:
        if isinstance(route, Route):
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


@contextlib.asynccontextmanager
async def running_services(
    settings: Settings, api_keys: ApiKeys, metrics: Metrics, tracing: Tracing
) -> AsyncIterator[Services]:
    """Connect to Triton and watch it; a Triton that isn't there yet is waited for."""
    triton = Triton(
        settings.triton_address,
        partial(open_client, configured=settings.triton_address, tls=settings.tls),
        call_seconds=settings.request_timeout + _CALL_SECONDS,
    )
    canaries = CanaryReader(settings.model_repository, settings.trial)
    catalogue = Catalogue(triton, VersionReader(settings.model_repository), canaries, metrics)
    readiness = Readiness(triton, catalogue, settings.default_model, settings.refresh_interval, metrics)
    admission = _admission(settings, api_keys, metrics)
    batcher = Batcher(triton, settings.triton_calls, metrics, tracing, cache_bytes=settings.answer_cache)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="tokenize") as threads:
        reader = TextReader(threads, settings.max_texts)
        inference = VersionInference(batcher, reader, metrics)
        challengers = ChallengerCalls(inference, metrics.canary)
        watches = [triton.follow(), readiness.watch()]
        if settings.api_keys_file is not None:
            watches.append(_follow_keys(settings, api_keys, admission))
        watching = [asyncio.create_task(watch) for watch in watches]
        try:
            yield Services(
                limits=_limits(settings),
                default_model=settings.default_model,
                catalogue=catalogue,
                readiness=readiness,
                pipeline=InferencePipeline(inference, challengers, catalogue, settings.default_model),
                admission=admission,
                bodies=BodyReader(settings.max_body_bytes),
                metrics=metrics,
            )
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
            await readiness.close()
            await catalogue.close()
            await batcher.close(_GRACE_SECONDS)
            await challengers.close()
            await triton.close(_GRACE_SECONDS)
            reader.close()


def _limits(settings: Settings) -> Limits:
    """What one request may have, as `GET /v1/models` and the OpenAPI document tell it."""
    return Limits(
        max_texts=settings.max_texts,
        max_characters=settings.max_characters,
        max_body_bytes=settings.max_body_bytes,
        max_in_flight=settings.max_in_flight,
        request_timeout_seconds=settings.request_timeout,
    )


def _admission(settings: Settings, api_keys: ApiKeys, metrics: Metrics) -> Admission:
    return Admission(
        settings.max_in_flight // settings.workers,
        settings.max_texts_in_flight // settings.workers,
        _key_share(settings, api_keys),
        metrics,
    )


def _key_share(settings: Settings, api_keys: ApiKeys) -> float:
    return settings.key_share if len(api_keys) > 1 else 1.0


async def _follow_keys(settings: Settings, api_keys: ApiKeys, admission: Admission) -> None:
    def share_anew() -> None:
        admission.key_share = _key_share(settings, api_keys)

    # Names too in a thread: many take seconds.
    await api_keys.follow(lambda: in_thread(lambda: names_of(read_keys(settings))), share_anew)
