"""Who is let in: how much may be under way at once, for all and for each key."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gateway.errors import problems
from gateway.telemetry.metrics import Metrics

CHARACTERS_PER_TEXT: Final = 2000
"""As dear as another text: to tokenize them takes a millisecond."""
_HEADROOM: Final = 2


def cost(texts: Sequence[str]) -> int:
    """What a request costs, in texts."""
    return len(texts) + sum(map(len, texts)) // CHARACTERS_PER_TEXT


class Admission:
    """Counts what is under way, and refuses what is beyond the limits at once."""

    def __init__(self, most_requests: int, most_texts: int, key_share: float, metrics: Metrics) -> None:
        """Begin with nothing under way.

        Args:
            most_requests: answered at once.
            most_texts: answered at once, by what they cost.
            key_share: how much of both one key may take; 1 if there is but one.
            metrics: told of every change.
        """
        self._most_requests = most_requests
        self._most_texts = most_texts
        self.key_share = key_share
        """May change when there are other keys."""
        self._metrics = metrics
        self.in_flight = 0
        self._texts = 0
        self._requests_of: Counter[str] = Counter()
        self._texts_of: Counter[str] = Counter()

    def check(self, key: str | None) -> None:
        """Whether there is any slot at all: asked before a body is read.

        Args:
            key: the name of the client's key, if it has one.

        Raises:
            Problem: 429, there is none.
        """
        if self.in_flight >= self._most_requests:
            raise problems.too_many_requests(
                f"{self._most_requests} requests are being answered already (max_in_flight): send this one again later."
            )
        if key is not None and self._requests_of[key] >= max(self.key_share * self._most_requests, 1):
            raise problems.too_many_requests(
                f"{self._requests_of[key]} requests with this key are being answered already, its share of all "
                "(key_share): send this one again later."
            )

    @contextlib.contextmanager
    def slot(self, texts: int, key: str | None) -> Iterator[Callable[[int], None]]:
        """An admission slot for one request, for as long as the context lasts.

        A request must leave as much free as it takes. So those that cost much never take everything: one that
        costs little is still let in beside them. While nothing is under way, everything is let in.

        What the context gives is called with what the request costs after all, where that shows later and is
        more; it raises as this does.

        Args:
            texts: what it costs.
            key: the name of the client's key, if it has one.

        Raises:
            Problem: 429, there is no slot; says which limit is reached.
        """
        self.check(key)
        self._check_room(texts, 0, key)
        held = texts

        def hold(texts: int) -> None:
            nonlocal held
            if texts > held:
                self._check_room(texts, held, key)
                self._count(0, texts - held, key)
                held = texts

        self._count(1, texts, key)
        try:
            yield hold
        finally:
            self._count(-1, -held, key)

    def _check_room(self, texts: int, held: int, key: str | None) -> None:
        """Whether there is room for what a request costs, beside what others hold."""
        others = self._texts - held
        if others and others + _HEADROOM * texts > self._most_texts:
            raise problems.too_many_requests(
                f"What is being answered leaves too little room for {_texts(texts)} (max_texts_in_flight): "
                "send this one again later, or fewer texts at a time."
            )
        others = self._texts_of[key] - held if key is not None else 0
        if others and others + texts > self.key_share * self._most_texts:
            raise problems.too_many_requests(
                f"What is being answered for this key leaves too little of its share (key_share) for {_texts(texts)}: "
                "send this one again later, or fewer texts at a time."
            )

    def _count(self, requests: int, texts: int, key: str | None) -> None:
        self.in_flight += requests
        self._texts += texts
        if key is not None:
            self._requests_of[key] += requests
            self._texts_of[key] += texts
        self._metrics.in_flight(self.in_flight)


def _texts(cost: int) -> str:
    return f"a request that costs as much as {cost} {'text' if cost == 1 else 'texts'}"
