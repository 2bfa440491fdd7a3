"""The defaults and tuned settings in turn, in pairs: what the decision rests on."""

from collections.abc import Callable
from typing import Final

from benchmarks.tuning.decision import Pair
from benchmarks.tuning.servers import Servers
from benchmarks.tuning.settings import Settings

_STARTS: Final = 2
"""Two processes of the same kind may differ for good, by how their memory lies: half of the pairs with fresh ones."""
_PAIRS_A_START: Final = 4
_POINT_OVERHEAD: Final = 1.3
"""Seconds of a measurement beside its three windows, about."""
_START_SECONDS: Final = 4.0


def seconds_of_pairs(window_ms: int) -> float:
    """How long `measure_pairs` takes, about."""
    point = 3 * window_ms / 1000 + _POINT_OVERHEAD
    return _STARTS * (2 * _START_SECONDS + 2 * (_PAIRS_A_START + 1) * point)


def measure_pairs(defaults: Settings, best: Settings, servers: Servers, say: Callable[[str], None]) -> list[Pair]:
    """Measure both so often, every other pair in reverse order, half of the pairs after both were started anew.

    Raises:
        BenchmarkError: one of them fails.
    """
    pairs: list[Pair] = []
    for start in range(_STARTS):
        servers.keep()
        for settings in (defaults, best) if start % 2 == 0 else (best, defaults):
            servers.again(settings)  # not counted: caches and memory pools fill
        for number in range(_PAIRS_A_START):
            order = (defaults, best) if number % 2 == 0 else (best, defaults)
            measured = {settings: servers.again(settings) for settings in order}
            pairs.append((measured[defaults], measured[best]))
            before, after = map(servers.goal.figure, pairs[-1])
            say(f"pair {len(pairs)}: defaults {before:,.2f}, tuned {after:,.2f} {servers.goal.unit}")
    return pairs
