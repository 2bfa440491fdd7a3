"""Whether tuned settings are better than the defaults, from pairs of measurements.

A gain within the noise is none: of so many pairs, as many must be better as chance alone gives in fewer than 5 of 100
cases (a sign test, which supposes nothing about the noise), and the middle one by 3 % at least.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.load.perf_analyzer import Measured
from benchmarks.tuning.goals import Goal

LEAST_GAIN: Final = 1.03
CHANCE: Final = 0.05
Pair = tuple[Measured, Measured]
"""The defaults' measurement, and that of the tuned settings."""


@dataclass(frozen=True)
class Decision:
    """What the pairs say."""

    goal: Goal
    pairs: Sequence[Pair]

    @property
    def gains(self) -> list[float]:
        """How many times better the tuned settings were, pair by pair."""
        return [self.goal.gain(*pair) for pair in self.pairs]

    @property
    def chance(self) -> float:
        """How often so many pairs are better though nothing is."""
        count, better = len(self.pairs), sum(gain > 1 for gain in self.gains)
        return sum(math.comb(count, number) for number in range(better, count + 1)) / float(2**count)

    def refusal(self) -> str | None:
        """Why the defaults stay; None if the tuned settings are better."""
        gains = self.gains
        p99 = self.median("p99_ms", side=1)
        if not self.goal.is_reached(p99):
            return f"in the pairs its p99 was {p99:.1f} ms, longer than wished"
        if statistics.median(gains) < LEAST_GAIN:
            return f"a gain below {LEAST_GAIN - 1:.0%} is none"
        if self.chance >= CHANCE:
            better = sum(gain > 1 for gain in gains)
            return f"only {better} of {len(gains)} pairs were better, which chance alone gives too often"
        return None

    def figures(self) -> list[str]:
        """What was measured, a line each."""
        ratios = [self.goal.figure(after) / self.goal.figure(before) for before, after in self.pairs]
        spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        lines = [f"{self.goal.unit}, tuned over defaults, {len(ratios)} pairs: median {spread}"]
        for side, label in enumerate(("defaults", "tuned")):
            rate, p50, p99 = (self.median(name, side) for name in ("texts_per_second", "p50_ms", "p99_ms"))
            lines.append(f"{label}: {rate:,.0f} texts/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms (medians)")
        return lines

    def median(self, name: str, side: int) -> float:
        """The middle of one of perf_analyzer's figures, of the defaults (0) or the tuned settings (1)."""
        return float(statistics.median(getattr(pair[side], name) for pair in self.pairs))
