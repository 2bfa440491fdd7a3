"""The application: routes, life time and the one place where problems become responses."""

import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from gateway import problems
from gateway.documentation import openapi
from gateway.failures import TritonError, to_problem
from gateway.problems import Problem
from gateway.routes import router
from gateway.services import running_services
from gateway.settings import Settings

logger = logging.getLogger("gateway")


def make_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_services(settings) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Russian emotions",
        version=_version(),
        lifespan=lifespan,
        docs_url="/docs",
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(router)
    app.openapi = partial(openapi, app, settings)  # type: ignore[method-assign]
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(TritonError, _triton_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _bug)
    return app


def _version() -> str:
    try:
        return version("ru-emotions-triton")
    except PackageNotFoundError:
        return "0"


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - Starlette's types can't say it
    return error.response()


async def _triton_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TritonError)  # noqa: S101
    problem = to_problem(error, request.app.state.services.settings.request_timeout)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("Triton failed a request with %s", error)
    return problem.response()


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    # Not `request.url`, which is made from the Host header and raises if that is malformed.
    path = request.scope["path"][:200]
    detail = {
        HTTPStatus.NOT_FOUND: f"There is no {path} here; /docs lists what is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not for {path}.",
    }.get(status, f"{error.detail}.")
    return Problem(status, detail, headers=error.headers).response()


async def _bug(_: Request, __: Exception) -> Response:
    # Starlette raises the exception again after this answer, and uvicorn logs it.
    return problems.bug().response()
