"""The Tritons at the gateway's address: a list of IP addresses, or a name that is looked up again and again.

Each has a client with a channel of its own. gRPC's own balancing looks a name up only when it loses a connection,
so that a Triton added to it stays idle, and judges a Triton by the calls that have ended, so that one
that hangs goes on getting calls until their deadlines pass.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final

from tritonclient.grpc.aio import InferenceServerClient

from gateway.triton.addresses import ip_version
from gateway.triton.replica import ModelVersion, Replica
from gateway.triton.threads import in_thread

logger = logging.getLogger("gateway")

LOOK_UP_SECONDS: Final = 3.0
"""Between two looks at what addresses a name has."""
_LOOK_UP_AGAIN_SECONDS: Final = 0.5
"""As long as it has none."""


class Replicas:
    """All Tritons there are, and the choice among them. Lives in one event loop."""

    def __init__(
        self, addresses: str, open_client: Callable[[str], InferenceServerClient], call_seconds: float
    ) -> None:
        """Nothing is sent or looked up yet.

        Args:
            addresses: IP addresses with ports, with commas between them, or a name with a port.
            open_client: opens the client for one of them.
            call_seconds: the deadline of every call.
        """
        self._addresses = addresses
        self._open_client = open_client
        self._call_seconds = call_seconds
        self._is_name = "," not in addresses and ip_version(addresses) is None
        self._all: list[Replica] = []
        self.trouble = f"{addresses} has not been looked up yet"
        """Why there is no Triton, as long as there is none."""
        self._leaving: set[asyncio.Task[None]] = set()
        if not self._is_name:
            self._set(addresses.split(","))

    def __iter__(self) -> Iterator[Replica]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def choose(
        self, served: ModelVersion, load: Mapping[Replica, int], most: int | None, without: Collection[Replica] = ()
    ) -> Replica | None:
        """The Triton that is to have the next call: among those that are well the one with the fewest, in turn.

        Args:
            served: the model version that the call is for.
            load: calls of this kind under way on each.
            most: of them on any one; None: as many as come.
            without: Tritons that have the call, or have turned it away already.

        Returns:
            None if all have as many calls as they may.
        """
        free = [
            replica for replica in self._all if (most is None or load.get(replica, 0) < most) and replica not in without
        ]
        if not free:
            return None
        chosen = free[0]
        if len(free) > 1:
            chosen = min(free, key=lambda replica: (*_ailing(replica, served), load.get(replica, 0)))
        if len(self._all) > 1:
            self._all.remove(chosen)
            self._all.append(chosen)
        return chosen

    def choose_well(
        self, served: ModelVersion, load: Mapping[Replica, int], without: Collection[Replica]
    ) -> Replica | None:
        """The same, of those alone that are well and serve a model version."""
        ailing = [replica for replica in self._all if any(_ailing(replica, served))]
        return self.choose(served, load, None, [*ailing, *without])

    def by_health(self, served: ModelVersion) -> list[Replica]:
        """All, those first that are well and serve a model version."""
        return sorted(self._all, key=lambda replica: _ailing(replica, served))

    async def follow(self) -> None:
        """Keep to the addresses that the name has; returns at once if there is no name."""
        host, _, port = self._addresses.rpartition(":")
        while self._is_name:
            try:
                found = await in_thread(partial(socket.getaddrinfo, host, int(port), type=socket.SOCK_STREAM))
            except (OSError, UnicodeError, RuntimeError) as error:  # RuntimeError: no thread can be started
                # A name server that is away for a moment takes no Triton away.
                self.trouble = f"{host} can't be looked up: {error}"
            else:
                try:
                    self._set(sorted({_joined(address[0], port) for *_, address in found}))
                except OSError as error:  # a file for TLS can't be read at the moment
                    self.trouble = f"no connection to {host} can be opened: {error}"
                    logger.warning("%s", self.trouble)
            await asyncio.sleep(LOOK_UP_SECONDS if self._all else _LOOK_UP_AGAIN_SECONDS)

    async def close(self, grace: float) -> None:
        """Close all connections, once their calls have ended or `grace` seconds have passed."""
        await asyncio.gather(*(replica.close(grace) for replica in self._all))
        for task in self._leaving:
            task.cancel()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _set(self, addresses: list[str]) -> None:
        known = {replica.address: replica for replica in self._all}
        for address in addresses:
            if address not in known:
                self._all.append(Replica(address, self._open_client(address), self._call_seconds))
                if self._is_name:
                    logger.info("%s has the address %s", self._addresses, address)
        for address, replica in known.items():
            if address not in addresses:
                logger.info("%s has the address %s no more", self._addresses, address)
                self._all.remove(replica)
                task = asyncio.create_task(replica.close(self._call_seconds))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)


def _ailing(replica: Replica, served: ModelVersion) -> tuple[bool, bool, bool]:
    return bool(replica.slow), replica.failing, served not in replica.versions


def _joined(host: Any, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
