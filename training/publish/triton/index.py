"""What a running Triton says of its versions: its repository index, asked over gRPC."""

import time
from dataclasses import dataclass
from typing import Final

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from training.common.command import TrainingError

DEFAULT_URL: Final = "127.0.0.1:8001"
_ANSWER_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.5
# Ours look for new versions every 2 or 5 seconds.
_NOTICE_SECONDS: Final = 20.0
_READY: Final = "READY"
# What Triton calls a version that it has taken out itself, as it does with a whole one beside a damaged one.
_NO_REASON: Final = ("", "unloaded")


@dataclass(frozen=True)
class State:
    """A version's state in the repository index."""

    state: str
    """READY, UNAVAILABLE, LOADING or UNLOADING."""
    reason: str

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self.state == _READY

    @property
    def failed(self) -> bool:
        """Whether Triton tried to load it and could not."""
        return not self.ready and self.reason not in _NO_REASON


Index = dict[str, dict[str, State]]
"""State by model and version. A model that Triton cannot make sense of has no versions."""


class NoAnswerError(TrainingError):
    """No Triton answers at an address."""


class NotServedError(TrainingError):
    """A running Triton does not serve a version."""


class NotNoticedError(NotServedError):
    """A running Triton does not know a version: it serves another repository, or does not look at it."""


def ask_index(url: str) -> Index:
    """Ask a Triton what it has.

    Args:
        url: host:port of its gRPC endpoint.

    Raises:
        NoAnswerError: it does not answer within two seconds.
    """
    _check(url)
    # Straight to it: a proxy for the web, which gRPC would take from the environment, knows nothing of it.
    with grpc.insecure_channel(url, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            answer = stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=_ANSWER_SECONDS)
        except grpc.RpcError as error:
            how = "" if error.code() is grpc.StatusCode.UNAVAILABLE else f" ({error.code().name}: {error.details()})"
            raise NoAnswerError(f"Triton at {url} does not answer{how}") from error
    index: Index = {}
    for row in answer.models:
        versions = index.setdefault(row.name, {})
        if row.version:
            versions[row.version] = State(row.state, row.reason)
    return index


def wait_until_served(url: str, model: str, version: str, seconds: float) -> None:
    """Wait until a Triton serves a version.

    Args:
        url: host:port of its gRPC endpoint.
        model: the model's name.
        version: the version that was published.
        seconds: how long it may take to load.

    Raises:
        NoAnswerError: no Triton answers there.
        NotServedError: it does not serve the version; says why. `NotNoticedError` if it does not know it.
    """
    began = time.monotonic()
    noticed = False
    while True:
        versions = ask_index(url).get(model, {})
        state = versions.get(version)
        if state is not None and state.ready:
            return
        noticed = noticed or state is not None
        # A version that fails takes those loaded with it along, and they have no reason of their own.
        newest = sorted(versions, key=int, reverse=True)
        failed = [number for number in newest if versions[number].failed and (noticed or number == version)]
        waited = time.monotonic() - began
        if noticed and failed and (version in failed or waited > min(seconds, _NOTICE_SECONDS)):
            reasons = "; ".join(f"version {number}: {versions[number].reason}" for number in failed)
            raise NotServedError(f"Triton at {url} does not serve {model} {version}, because it can't load {reasons}")
        if not noticed and waited > min(seconds, _NOTICE_SECONDS):
            raise NotNoticedError(
                f"Triton at {url} has not noticed {model} {version} in {waited:.0f} seconds: it serves another "
                f"repository, does not look for new versions (--model-control-mode=poll), or has left it out "
                f"(see its log)"
            )
        if waited > seconds:
            raise NotServedError(
                f"Triton at {url} did not serve {model} {version} in {seconds:g} seconds "
                f"(its state: {state.state if state else 'unknown'}); see its log, or wait longer with --wait"
            )
        time.sleep(_LOOK_SECONDS)


def wait_until_gone(url: str, model: str, version: str) -> None:
    """Wait until a Triton serves a version no more, for as long as it may take to notice; at once if none answers."""
    give_up_at = time.monotonic() + _NOTICE_SECONDS
    was_served = False
    while time.monotonic() < give_up_at:
        try:
            state = ask_index(url).get(model, {}).get(version)
        except NoAnswerError:
            if not was_served:
                return  # Otherwise it is loading what stays, and says nothing meanwhile.
        else:
            was_served = state is not None and state.ready
            if not was_served:
                return
        time.sleep(_LOOK_SECONDS)


def _check(url: str) -> None:
    host, colon, port = url.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16) or "/" in url:
        raise TrainingError(f"{url!r} is no address of Triton's gRPC: write host:port, such as {DEFAULT_URL}")
