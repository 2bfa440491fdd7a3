"""From the defaults to what does best: coordinate descent, in which each candidate meets the best one so far.

One thing is changed at a time. A candidate and the best so far are measured one after the other, so that a machine that
drifts drifts for both. A candidate that is behind is dropped at once; one that is ahead three times, every other time
measured first, and by more than 2 % in the middle, takes the place of the best. The search ends after a round in which
nothing did, or when its time is up.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from benchmarks.command import BenchmarkError
from benchmarks.load.perf_analyzer import Measured
from benchmarks.tuning.goals import Goal
from benchmarks.tuning.settings import Settings, Step

_TIMES: Final = 3
_BETTER: Final = 1.02
"""What is less goes without notice; that the best so far is no accident, the pairs with the defaults must show."""


class Arena(Protocol):
    """What the search needs of `servers.Servers`."""

    def try_beside(self, settings: Settings, known: Settings, /) -> Measured:
        """Measure new settings, starting from what others do best with."""

    def again(self, settings: Settings) -> Measured:
        """Measure settings that were measured before."""

    def keep(self, *wanted: Settings) -> None:
        """Stop all others."""


@dataclass(frozen=True)
class Trial:
    """A candidate, and how many times as good as the best so far it was."""

    settings: Settings
    ratios: tuple[float, ...]
    failure: str = ""
    """Why it could not be measured."""

    @property
    def is_better(self) -> bool:
        """Whether it takes the place of the best so far."""
        ahead = len(self.ratios) == _TIMES and min(self.ratios) > 1
        return ahead and statistics.median(self.ratios) > _BETTER

    def __str__(self) -> str:
        said = ", ".join(f"{ratio:.3f}" for ratio in self.ratios) if self.ratios else f"failed: {self.failure}"
        return f"{self.settings}: {said}{': the best so far' if self.is_better else ''}"


@dataclass
class Search:
    """What was tried, and what did best."""

    best: Settings
    trials: list[Trial] = field(default_factory=list)
    is_complete: bool = True
    """Whether there was time for all."""

    @property
    def failure(self) -> str:
        """Why no candidate could be measured, if none could."""
        failures = [trial.failure for trial in self.trials]
        return failures[-1] if failures and all(failures) else ""


def search(
    defaults: Settings,
    steps: Sequence[Step],
    arena: Arena,
    goal: Goal,
    has_time: Callable[[], bool],
    say: Callable[[str], None],
) -> Search:
    """Try what `steps` name beside the best so far, until nothing is better or there is no time for another one.

    Raises:
        BenchmarkError: the best so far fails, started anew too.
    """
    found = Search(defaults)
    tried = {defaults}
    while True:
        before = found.best
        for step in steps:
            for candidate in step(found.best):
                if candidate in tried:
                    continue
                if not has_time():
                    found.is_complete = False
                    return found
                tried.add(candidate)
                trial = _meet(candidate, found.best, arena, goal)
                found.trials.append(trial)
                say(str(trial))
                if trial.is_better:
                    found.best = candidate
                arena.keep(found.best)
        if found.best == before:
            return found


def _meet(candidate: Settings, best: Settings, arena: Arena, goal: Goal) -> Trial:
    before = _again_or_anew(best, arena)
    try:
        ratios = [goal.score(arena.try_beside(candidate, best)) / goal.score(before)]
        while ratios[-1] > 1 and len(ratios) < _TIMES:
            order = (candidate, best) if len(ratios) % 2 else (best, candidate)
            scores = {settings: goal.score(arena.again(settings)) for settings in order}
            ratios.append(scores[candidate] / scores[best])
    except BenchmarkError as error:
        return Trial(candidate, (), " ".join(str(error).split())[:200])
    return Trial(candidate, tuple(ratios))


def _again_or_anew(best: Settings, arena: Arena) -> Measured:
    """Measure the best so far. An earlier candidate may have taken its memory and so its life: then it starts anew."""
    try:
        return arena.again(best)
    except BenchmarkError:
        arena.keep()
        return arena.again(best)
