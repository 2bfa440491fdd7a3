"""Where every request comes in: who it is from, which endpoint answers, and what is told of it.

An ASGI application of its own. FastAPI describes the endpoints; sending each request through
its routing and middleware would cost as much as everything else done here.
"""

import logging
import traceback
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import problems
from gateway.errors.problems import Problem
from gateway.errors.triton_errors import TritonError, to_problem
from gateway.http.api_keys import Keys
from gateway.http.bodies import ClientGoneError, header
from gateway.http.protocol import CONNECTION, Connection
from gateway.telemetry import log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_record import Exchange, request_id
from gateway.telemetry.tracing import Tracing

logger = logging.getLogger("gateway")

Endpoint = Callable[[Request], Awaitable[Response]]

EXCHANGE: Final = "emotion.exchange"
"""Where in the scope an endpoint finds its `Exchange`."""
CLIENT_GONE: Final = 499
"""Status of a request whose client has hung up, in log and metrics; nobody receives it."""

_MOST_NAMED: Final = 10
"""Unknown parameters of one request that are named."""
_LOGGED: Final = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.GATEWAY_TIMEOUT})
"""Statuses whose requests are logged in any case. 503 is not: that Triton is away is said once."""


class Front:
    """Dispatches requests by method and path; turns what goes wrong into problems."""

    def __init__(
        self,
        endpoints: Mapping[tuple[str, str], Endpoint],
        *,
        open_paths: frozenset[str],
        parameters_ignored: frozenset[tuple[str, str]],
        keys: Keys,
        metrics: Metrics,
        tracing: Tracing,
        timeout: float,
        log_requests: bool,
        lifespan: ASGIApp,
    ) -> None:
        """Prepare to answer.

        Args:
            endpoints: by method and path; HEAD is answered wherever GET is.
            open_paths: that need no key.
            parameters_ignored: methods and paths of what browsers and probes ask for, with parameters of their
                own; elsewhere a parameter in the address is refused, as an unknown field is.
            keys: that are let in.
            metrics: told of every request.
            tracing: told of every request.
            timeout: seconds a request is given, for sentences about it.
            log_requests: whether each is logged, or only those that fail.
            lifespan: handles the application's start and end.
        """
        # uvicorn sends what answers HEAD without its body.
        heads = {("HEAD", path): endpoint for (method, path), endpoint in endpoints.items() if method == "GET"}
        self._endpoints = {**endpoints, **heads}
        ignored = parameters_ignored | {("HEAD", path) for method, path in parameters_ignored if method == "GET"}
        self._open_paths = open_paths
        self._without_parameters = {place for place in self._endpoints if place not in ignored}
        self._keys = keys
        self._metrics = metrics
        self._tracing = tracing
        self._timeout = timeout
        self._log_requests = log_requests
        self._lifespan = lifespan
        self._methods: dict[str, list[str]] = {}
        for method, path in sorted(self._endpoints):
            self._methods.setdefault(path, []).append(method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        request = Request(scope, receive)
        path, method = scope["path"], scope["method"]
        endpoint = path if path in self._methods else ""
        exchange = Exchange(endpoint, method, request_id(header(scope, b"x-request-id")))
        exchange.span = self._tracing.request(request, endpoint)
        scope[EXCHANGE] = exchange
        response = await self._answer(request, exchange)
        raw = response.raw_headers
        raw.extend(problems.SECURITY_HEADERS)
        raw.append((b"x-request-id", exchange.id.encode()))
        raw.append((b"server-timing", exchange.server_timing().encode()))
        names = {name for name, _ in raw}
        raw.extend(header for header in problems.UNLESS_SET if header[0] not in names)
        connection: Connection | None = scope.get(CONNECTION)
        if connection is not None and not connection.is_read(scope):
            # Of a request that never ends nobody would know where the next begins.
            raw.append((b"connection", b"close"))
        # Before it is sent: whoever has the answer finds it counted.
        self._tell(exchange, response.status_code)
        await response(scope, receive, send)

    async def _answer(self, request: Request, exchange: Exchange) -> Response:
        try:
            if exchange.endpoint not in self._open_paths:
                exchange.key = self._keys.check(header(request.scope, b"authorization"))
            endpoint = self._endpoints.get((exchange.method, exchange.endpoint))
            if endpoint is None:
                raise self._no_such(request.scope["path"], exchange)
            if request.scope["query_string"] and (exchange.method, exchange.endpoint) in self._without_parameters:
                raise _unknown_parameters(request.scope["query_string"])
            return await endpoint(request)
        except Problem as problem:
            return problem.response()
        except TritonError as error:
            meant = to_problem(error, self._timeout)
            if meant.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.error("Triton failed a request with %s", error, extra={log.REQUEST: _facts(exchange)})
            return meant.response()
        except ClientGoneError:
            return Response(status_code=CLIENT_GONE)
        except Exception as error:
            # Where it happened, but not the exception's own words: they may hold the client's.
            stack = "".join(traceback.format_tb(error.__traceback__))
            facts = {**_facts(exchange), "stack": stack}
            logger.error("a bug: %s", type(error).__qualname__, extra={log.REQUEST: facts})
            return problems.bug().response()

    def _no_such(self, path: str, exchange: Exchange) -> Problem:
        if not exchange.endpoint:
            return problems.not_found(f"There is no {path[:200]} here; /docs lists what is.")
        return problems.method_not_allowed(exchange.method, path, self._methods[exchange.endpoint])

    def _tell(self, exchange: Exchange, status: int) -> None:
        self._metrics.request(exchange.endpoint, exchange.version, status, exchange.seconds)
        if exchange.span is not None:
            self._tracing.answered(exchange.span, status, exchange.known())
        if self._log_requests or status in _LOGGED:
            logger.log(
                logging.WARNING if status in _LOGGED else logging.INFO,
                "answered",
                extra={
                    log.REQUEST: {
                        **_facts(exchange),
                        "status": status,
                        "milliseconds": round(exchange.seconds * 1e3, 2),
                        **exchange.known(),
                    }
                },
            )


def _unknown_parameters(query_string: bytes) -> Problem:
    given = urllib.parse.parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="replace")
    names = dict.fromkeys(name for name, _ in given)
    return problems.unknown_parameters([*names][:_MOST_NAMED] or [""])


def _facts(exchange: Exchange) -> dict[str, str | int | float]:
    # A path that is no endpoint is the client's own words.
    return {"request_id": exchange.id, "method": exchange.method, "path": exchange.endpoint or "(unknown)"}
