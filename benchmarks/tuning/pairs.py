"""The defaults and tuned settings in turn, in pairs: what the decision rests on."""

from collections.abc import Callable
from typing import Final

from benchmarks.tuning.decision import Pair
from benchmarks.tuning.servers import Servers
from benchmarks.tuning.settings import Settings

_PAIRS_A_START: Final = 4
"""Two processes of the same kind may differ for good, by how their memory lies: after these both are started anew."""
_FEWEST_STARTS, _MOST_STARTS = 2, 6
_POINT_OVERHEAD: Final = 1.3
"""Seconds of a measurement beside its three windows, about."""
_START_SECONDS: Final = 4.0


def fewest_seconds(window_ms: int) -> float:
    """How long the fewest pairs take that a decision can rest on, about, with the climbs before them."""
    return _FEWEST_STARTS * _seconds_of_start(window_ms) + _seconds_of_climbs(window_ms)


def _seconds_of_climbs(window_ms: int) -> float:
    return 2 * (_START_SECONDS + 4 * _seconds_of_point(window_ms))


def _seconds_of_point(window_ms: int) -> float:
    return 3 * window_ms / 1000 + _POINT_OVERHEAD


def _seconds_of_start(window_ms: int) -> float:
    return 2 * _START_SECONDS + 2 * (_PAIRS_A_START + 1) * _seconds_of_point(window_ms)


def starts(seconds: float, window_ms: int) -> int:
    """How often both are started, and measured in four pairs: as often as there is time, and neither once nor for ever.

    It is settled before the first pair: whoever stops when the figures please finds a gain in any noise.
    """
    left = seconds - _seconds_of_climbs(window_ms)
    return max(_FEWEST_STARTS, min(_MOST_STARTS, int(left / _seconds_of_start(window_ms))))


def measure_pairs(
    defaults: Settings, best: Settings, servers: Servers, seconds: float, say: Callable[[str], None]
) -> list[Pair]:
    """Measure both in turn, every other pair in reverse order, both started anew after each four pairs.

    Before that both look in the same way for the number of requests at once with which they do best: the search has
    tried one more number with the candidate, and the defaults' may have been chosen while something disturbed.

    Args:
        defaults: one side.
        best: the other side.
        servers: what measures them.
        seconds: how long it may take, about.
        say: told of every pair.

    Raises:
        BenchmarkError: one of them fails.
    """
    servers.keep()  # the last candidate may have taken memory that the best one needed, and so its life
    from_here = max(servers.rungs[settings] for settings in (defaults, best))
    for settings in (defaults, best):
        servers.climb(settings, from_here)  # if nothing is fast enough now, what was known before holds
    pairs: list[Pair] = []
    for start in range(starts(seconds, servers.window_ms)):
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
