"""What a running server says of itself: Triton over gRPC, the gateway over HTTP.

Triton's own `ServerReady` is asked by nobody here: one version that could not be loaded turns it false for ever.
"""

import http.client
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from server.errors import MissingGrpcError

_SECONDS: Final = 2.0
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_TEXT_MODEL: Final = "_text"
"""Ends a text model's name; the rest names the model that it asks. `contract.text_models` says so too."""
_OPTIONS: Final = (
    # gRPC's own pauses after a refused connection grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True)
class VersionState:
    """One row of Triton's repository index."""

    model: str
    version: str
    """Empty if the model as a whole could not be read."""
    state: str
    """`READY`, `LOADING`, `UNLOADING`, `UNAVAILABLE`, or empty."""
    reason: str

    @property
    def is_ready(self) -> bool:
        """Whether it is served."""
        return self.state == "READY"

    @property
    def is_settled(self) -> bool:
        """Whether it is neither being loaded nor unloaded."""
        return self.state not in ("LOADING", "UNLOADING")

    @property
    def has_failed(self) -> bool:
        """Whether it could not be loaded; of a model as a whole nobody is told."""
        return bool(self.version) and self.state == "UNAVAILABLE" and self.reason != "unloaded"


def answering(rows: Sequence[VersionState]) -> list[VersionState]:
    """The versions that Triton serves and that can answer.

    A text model's is ready by itself, and can't while the model's version that it asks is not.
    """
    ready = {(row.model, row.version) for row in rows if row.is_ready}
    models = {row.model for row in rows}

    def can_answer(row: VersionState) -> bool:
        asked = row.model.removesuffix(_TEXT_MODEL)
        return asked == row.model or asked not in models or (asked, row.version) in ready

    return [row for row in rows if row.is_ready and can_answer(row)]


class TritonClient:
    """Asks one Triton; a context manager that closes the connection."""

    def __init__(self, host: str, port: int) -> None:
        """Connects at the first question.

        Args:
            host: where Triton was told to listen.
            port: its gRPC port.

        Raises:
            MissingGrpcError: this Python has no gRPC.
        """
        try:
            import grpc
            from tritonclient.grpc import service_pb2, service_pb2_grpc
        except ImportError as error:
            raise MissingGrpcError(
                f"python -m server run asks Triton over gRPC, and this Python lacks {error.name}: run it with the "
                f"project's own, .venv/bin/python (make serve makes it), or pip install 'tritonclient[grpc]'."
            ) from None
        self._messages: Any = service_pb2
        self._failed: type[Exception] = grpc.RpcError
        self._channel = grpc.insecure_channel(_address(host, port), options=_OPTIONS)
        self._stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def __enter__(self) -> "TritonClient":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._channel.close()

    def index(self) -> list[VersionState] | None:
        """Every version Triton knows of; None if it does not answer, as while it starts."""
        try:
            answer = self._stub.RepositoryIndex(self._messages.RepositoryIndexRequest(), timeout=_SECONDS)
        except self._failed:
            return None
        return [VersionState(row.name, row.version, row.state, row.reason) for row in answer.models]

    def version(self) -> str:
        """Triton's own version, such as `2.51.0`; empty if it does not answer."""
        try:
            return str(self._stub.ServerMetadata(self._messages.ServerMetadataRequest(), timeout=_SECONDS).version)
        except self._failed:
            return ""


def is_ready(host: str, grpc_port: int) -> bool:
    """Whether a Triton has done with its start and serves something that can answer."""
    with TritonClient(host, grpc_port) as triton:
        rows = triton.index() or []
    # While it has a version in sight that can't be loaded, the launcher is about to start it again without.
    return bool(answering(rows)) and all(row.is_settled and not row.has_failed for row in rows)


def http_get(host: str, port: int, path: str) -> bytes | None:
    """The body of a 200 answer over HTTP; None for any other answer, or none within 2 seconds."""
    connection = http.client.HTTPConnection(_WILDCARDS.get(host, host), port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        return body if response.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _address(host: str, port: int) -> str:
    # A server listens on every address with these; a client can't connect to them everywhere.
    host = _WILDCARDS.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
