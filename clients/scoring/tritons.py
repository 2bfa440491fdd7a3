"""Calls to one Triton or several, each with so many at once; while all are busy or away, calls wait.

A call is never cancelled, and its deadline hardly ever passes: tritonserver 2.51 dies of that.
"""

import ipaddress
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from clients.scoring.errors import RefusedError, UnreachableError

CALL_SECONDS: Final = 300.0
"""The deadline of a call, for a Triton that never answers."""
_LOOK_UP_SECONDS: Final = 10.0
"""Between two looks at what addresses a name has."""
_FIRST_REST_SECONDS: Final = 0.2
_LONGEST_REST_SECONDS: Final = 10.0
_PASSES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,  # away, starting, or its queue is full
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.NOT_FOUND,  # the version is not loaded yet
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INTERNAL,  # a model instance has died, and Triton is about to be restarted
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""What waiting may change."""
_OPTIONS: Final = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


class CallError(Exception):
    """One call failed in a way that waiting may change."""


class _Triton:
    """One address: its client, what is under way there, and until when it is left alone."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = InferenceServerClient(address, channel_args=_OPTIONS)
        self.under_way = 0
        self.failures = 0
        self.rests_until = 0.0


class Tritons:
    """All there are. Safe to use from several threads."""

    def __init__(self, addresses: str, calls: int, patience: float, on_wait: Callable[[str], None]) -> None:
        """Nothing is sent yet.

        Args:
            addresses: host:port, several with commas between them; a name stands for all addresses it has.
            calls: at once at each.
            patience: seconds that one call is tried for.
            on_wait: told why a call waits, each time one does.
        """
        self._names = [part.strip() for part in addresses.split(",") if part.strip()]
        self._calls = calls
        self._patience = patience
        self._on_wait = on_wait
        self._changed = threading.Condition()
        self._all: dict[str, _Triton] = {}
        self._looked_up_at = float("-inf")
        self._closed = False

    def call(self, ask: Callable[[InferenceServerClient], Any]) -> Any:
        """What `ask` gives, tried again and again while that may help.

        Args:
            ask: makes one call of a client's; raises CallError for an answer that is none.

        Raises:
            UnreachableError: it failed for as long as the patience.
            RefusedError: Triton refuses it.
        """
        until = time.monotonic() + self._patience
        why = "no answer"
        while True:
            self._look_up()
            with self._taken(until, why) as triton:
                try:
                    answer = ask(triton.client)
                    triton.failures = 0
                    return answer
                except InferenceServerException as error:
                    status = grpc.StatusCode[str(error.status()).removeprefix("StatusCode.")]
                    why = f"Triton at {triton.address}: {status.name}, {' '.join(str(error.message()).split())[:300]}"
                    if status not in _PASSES:
                        raise RefusedError(why) from None
                except CallError as error:
                    why = f"Triton at {triton.address}: {error}"
                self._rest(triton)
            self._on_wait(why)

    def each(self, ask: Callable[[InferenceServerClient], Any]) -> Iterator[Any]:
        """What every Triton gives that answers; nothing of the others."""
        self._look_up()
        for triton in list(self._all.values()):
            try:
                yield ask(triton.client)
            except InferenceServerException:
                continue

    def count(self) -> int:
        """How many addresses there are now, at least 1."""
        self._look_up()
        return max(len(self._all), 1)

    def give_up(self) -> None:
        """End the waiting of those that have no call under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Close the connections; no call may be under way."""
        self.give_up()
        with self._changed:
            for triton in self._all.values():
                triton.client.close()

    @contextmanager
    def _taken(self, until: float, why: str) -> Iterator[_Triton]:
        """The Triton for the next call: of those that don't rest the one with the fewest under way."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._closed or now >= until:
                    raise UnreachableError(f"no Triton answered within {self._patience:g} s. {why}")
                free = [one for one in self._all.values() if one.under_way < self._calls and one.rests_until <= now]
                if free:
                    break
                wake = min((one.rests_until for one in self._all.values() if one.rests_until > now), default=now + 1)
                self._changed.wait(max(min(wake, until) - now, 0.01))
            chosen = min(free, key=lambda one: one.under_way)
            chosen.under_way += 1
        try:
            yield chosen
        finally:
            with self._changed:
                chosen.under_way -= 1
                self._changed.notify()

    def _rest(self, triton: _Triton) -> None:
        seconds = min(_FIRST_REST_SECONDS * 2**triton.failures, _LONGEST_REST_SECONDS)
        with self._changed:
            triton.failures = min(triton.failures + 1, 10)
            triton.rests_until = time.monotonic() + seconds * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

    def _look_up(self) -> None:
        with self._changed:
            if time.monotonic() - self._looked_up_at < _LOOK_UP_SECONDS and self._all:
                return
            self._looked_up_at = time.monotonic()
        found = {address for name in self._names for address in _addresses(name)}
        with self._changed:
            for address in found - self._all.keys():
                self._all[address] = _Triton(address)
            for address in self._all.keys() - found:
                # Its calls end by themselves; its channel goes with the last of them.
                del self._all[address]
            self._changed.notify_all()


def _addresses(name: str) -> list[str]:
    """IP addresses with ports behind a name; the name itself if it is an address or can't be looked up now."""
    host, _, port = name.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        try:
            found = {row[4][0] for row in socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError):
            return [name]
        return [f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}" for ip in found]
    return [name]
