"""What is known of one request from its head on: typed, and carried in ASGI's `scope["state"]`."""

from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from gateway.errors.problems import Problem
from gateway.telemetry.request_record import RequestRecord

_KEY: Final = "emotion_request"


class ConnectionState:
    """What requests may know of the connection they came on."""

    __slots__ = ("on_lost",)

    def __init__(self) -> None:
        self.on_lost: Callable[[], None] | None = None
        """Called when the client hangs up; set by the request being answered, if there is one."""


class RequestState:
    """Made by the protocol, completed by the middleware, read by the endpoints."""

    __slots__ = ("complete", "connection", "malformed", "record")

    record: RequestRecord
    """Set by the middleware, before any endpoint runs."""

    def __init__(self, connection: ConnectionState, *, complete: bool = False) -> None:
        self.connection = connection
        self.complete = complete
        """Whether the request has been received to its end."""
        self.malformed: Problem | None = None
        """What is wrong with its body, found while it was received."""

    def take_malformed(self) -> Problem:
        """What is wrong with its body, to be raised: kept here, it would hold this by its traceback."""
        problem, self.malformed = self.malformed, None
        assert problem is not None  # noqa: S101 - asked for only where there is one
        return problem


def begin_request(scope: Scope, connection: ConnectionState) -> RequestState:
    """The state of a request whose head begins to arrive."""
    state = scope["state"][_KEY] = RequestState(connection)
    return state


def request_state(scope: Scope) -> RequestState:
    """The state of a request.

    One that came by another server than this gateway's own protocol, as in a test client, is taken to be
    complete, and its client not to hang up.
    """
    found: RequestState | None = scope["state"].get(_KEY)
    if found is None:
        found = scope["state"][_KEY] = RequestState(ConnectionState(), complete=True)
    return found
