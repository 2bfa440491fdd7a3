"""What a client reads when an endpoint raises; bugs are the middleware's."""

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from gateway.api.services import get_services
from gateway.errors import problems
from gateway.errors.problems import Problem
from gateway.errors.triton_errors import TritonError, to_problem
from gateway.http.deadline import ClientDisconnectedError
from gateway.http.request_state import request_state
from gateway.telemetry import log

logger = logging.getLogger("gateway")

CLIENT_DISCONNECTED: Final = 499
"""Status of a request whose client has hung up, in log and metrics; nobody receives it."""


Handlers = dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]


def exception_handlers(methods: Mapping[str, Sequence[str]]) -> Handlers:
    """The handlers, for FastAPI.

    Args:
        methods: of each path, for the answer to a method that it does not have.
    """

    async def method_not_allowed(request: Request, _: HTTPException) -> Response:
        record = request_state(request.scope).record
        return problems.method_not_allowed(record.method, record.endpoint, methods[record.endpoint]).response()

    return {
        HTTPStatus.METHOD_NOT_ALLOWED: method_not_allowed,
        Problem: _problem,
        TritonError: _triton_error,
        ClientDisconnectedError: _client_disconnected,
    }


async def _problem(_: Request, problem: Problem) -> Response:
    return problem.response()


async def _triton_error(request: Request, error: TritonError) -> Response:
    meant = to_problem(error, get_services(request).limits.request_timeout_seconds)
    if meant.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        record = request_state(request.scope).record
        logger.error("Triton failed a request with %s", error, extra={log.REQUEST_FIELDS: record.log_fields()})
    return meant.response()


async def _client_disconnected(_: Request, __: ClientDisconnectedError) -> Response:
    return Response(status_code=CLIENT_DISCONNECTED)
