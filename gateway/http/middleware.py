"""What every request gets, whatever answers it: an id, a record and a span, the check of its API key, the
headers of its answer, and its place in metrics and log."""

import logging
import traceback
from collections.abc import Container
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import problems
from gateway.errors.problems import Problem
from gateway.http.api_keys import UNKNOWN, ApiKeys
from gateway.http.heads import header
from gateway.http.request_state import RequestState, request_state
from gateway.telemetry import log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_record import RequestRecord, request_id
from gateway.telemetry.tracing import Tracing

logger = logging.getLogger("gateway")

_LOGGED: Final = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.GATEWAY_TIMEOUT})
"""Statuses whose requests are logged in any case. 503 is not: that Triton is away is said once."""


class RequestMiddleware:
    """Pure ASGI middleware around the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: Container[str],
        open_paths: Container[str],
        api_keys: ApiKeys,
        metrics: Metrics,
        tracing: Tracing,
        log_requests: bool,
    ) -> None:
        """Prepare to answer.

        Args:
            app: what answers.
            paths: of all endpoints; others are answered with 404, and named nowhere.
            open_paths: that need no key.
            api_keys: that are let in.
            metrics: told of every request.
            tracing: told of every request.
            log_requests: whether each is logged, or only those that fail.
        """
        self._app = app
        self._paths = paths
        self._open_paths = open_paths
        self._api_keys = api_keys
        self._metrics = metrics
        self._tracing = tracing
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        endpoint = path if path in self._paths else ""
        record = RequestRecord(endpoint, scope["method"], request_id(header(scope, b"x-request-id")))
        record.span = self._tracing.start_request(scope, endpoint)
        state = request_state(scope)
        state.record = record
        started = False

        async def send_completed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._complete(message, state)
            await send(message)

        try:
            if self._api_keys.are_needed and endpoint not in self._open_paths:
                record.key = UNKNOWN
                record.key = self._api_keys.check(header(scope, b"authorization"))
            if not endpoint:
                raise problems.not_found(f"There is no {path[:200]} here; /docs lists what is.")
            # HEAD is answered wherever GET is; the server leaves out the body.
            routed = {**scope, "method": "GET"} if record.method == "HEAD" else scope
            await self._app(routed, receive, send_completed)
        except Problem as problem:
            await problem.response()(scope, receive, send_completed)
        except Exception as error:
            _log_bug(record, error)
            if started:
                raise
            await problems.bug().response()(scope, receive, send_completed)

    def _complete(self, start: Message, state: RequestState) -> None:
        """Add the headers that every answer has, and count it before it is sent: whoever has it finds it counted."""
        record = state.record
        headers = start["headers"]
        headers.extend(problems.SECURITY_HEADERS)
        headers.append((b"x-request-id", record.id.encode()))
        headers.append((b"server-timing", record.server_timing().encode()))
        names = {name for name, _ in headers}
        headers.extend(header for header in problems.DEFAULT_HEADERS if header[0] not in names)
        if not state.complete:
            # Of a request that never ends nobody would know where the next begins.
            headers.append((b"connection", b"close"))
        self._report(record, start["status"])

    def _report(self, record: RequestRecord, status: int) -> None:
        self._metrics.request(record.endpoint, record.version, status, record.seconds)
        if record.key is not None:
            self._metrics.key_used(record.key, status, record.texts)
        if record.span is not None:
            self._tracing.end_request(record.span, status, record.model_fields())
        if self._log_requests or status in _LOGGED:
            fields = {
                **record.log_fields(),
                "status": status,
                "milliseconds": round(record.seconds * 1e3, 2),
                **record.model_fields(),
            }
            level = logging.WARNING if status in _LOGGED else logging.INFO
            logger.log(level, "answered", extra={log.REQUEST_FIELDS: fields})


def _log_bug(record: RequestRecord, error: Exception) -> None:
    # Where it happened, but not the exception's own words: they may hold the client's.
    fields = {**record.log_fields(), "stack": "".join(traceback.format_tb(error.__traceback__))}
    logger.error("a bug: %s", type(error).__qualname__, extra={log.REQUEST_FIELDS: fields})
