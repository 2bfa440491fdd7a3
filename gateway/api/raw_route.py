"""Routes that FastAPI finds and describes, and whose endpoints take the request as it is."""

from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class RawRoute(APIRoute):
    """A route without FastAPI's own reading of requests: its endpoint takes a `Request` and gives a `Response`.

    FastAPI's parameters, bodies and dependencies are not read here: their errors are worded differently from
    this API's (RFC 9457), and reading them is not cheap. CPU time of the gateway for a request whose endpoint
    does nothing (`GET /health/live`, 16 and 64 connections, two cores): 28 µs with a dispatcher of our own and
    without FastAPI, 43 µs with this class, 81 µs with FastAPI's own class and `include_router`. A text takes
    the gateway 140 to 170 µs, and all processes about 600 µs, so FastAPI's own class would cost 8 to 9 % of
    the requests per second where all share two cores, and a quarter where the gateway has a core of its own.

    For `FastAPI(routes=…)`: `include_router` would make the handler anew, FastAPI's way.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """See FastAPI."""
        super().__init__(path, endpoint, **options)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What it raises is answered once, by the application's exception handlers.
        response: Response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
