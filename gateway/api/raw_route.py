"""Routes that FastAPI finds and describes, and whose endpoints take the request as it is."""

from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import request_response


class RawRoute(APIRoute):
    """A route without FastAPI's own reading of requests: its endpoint takes a `Request` and gives a `Response`.

    Parameters, bodies and dependencies of FastAPI's are not read here. Their checks word errors in another way
    than this API does (RFC 9457), and cost more than all else that is done for a request in this process but
    tokenizing: PLACEHOLDER
    Used by `FastAPI(routes=…)`; `include_router` would make the handler anew, FastAPI's way.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """See FastAPI."""
        super().__init__(path, endpoint, **options)
        self.app = request_response(self.endpoint)
