"""Requests in a queue, without a gateway around it."""

import asyncio
from collections.abc import Sequence

from gateway.inference.pending import PendingRequest
from gateway.inference.version_queue import VersionQueue


def waiting_request(
    queue: VersionQueue,
    loop: asyncio.AbstractEventLoop,
    rows: Sequence[Sequence[int]],
    *,
    deadline: float = 0.0,
    keys: Sequence[bytes] | None = None,
) -> PendingRequest:
    """A request that waits there; its rows are shared only if they have keys."""
    request = PendingRequest([[]] * len(rows), deadline, None, loop.create_future())
    for place, ids in enumerate(rows):
        queue.row(keys[place] if keys else b"", ids, may_be_kept=True).join(request, place)
    queue.add(request)
    return request
