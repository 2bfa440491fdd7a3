"""Which of several findings are no chance, where one of them alone decides something."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

LEVEL: Final = 0.05
"""How often one or more findings about models that are equally good may be taken for real."""


@dataclass(frozen=True)
class Finding:
    """One test's outcome.

    Args:
        sentence: what was found.
        probability: how likely so much of it, or more, is where there is nothing to find.
        lowest: the least that this test could have given: a coin that was tossed three times can't give less than 1/8.
    """

    sentence: str
    probability: float
    lowest: float = 0.0


def beyond_chance(findings: Sequence[Finding], level: float = LEVEL) -> list[Finding]:
    """Those that are no chance, in the order given; if there is nothing to find, some with a chance of `level` at most.

    However many tests there are, and however they depend on each other: Holm's steps (Scandinavian Journal of
    Statistics 6, 1979), and in each the number of tests to allow for as Tarone counts it (Biometrics 46, 1990). He
    leaves out those that could not have found anything: groups of texts in which hardly a label changed.
    """
    remaining, real = list(findings), []
    while True:
        bound = level / _tests_to_allow_for([finding.lowest for finding in remaining], level)
        found = [finding for finding in remaining if finding.probability <= bound]
        if not found:
            return [finding for finding in findings if finding in real]
        real += found
        remaining = [finding for finding in remaining if finding not in found]


def _tests_to_allow_for(lowest: Sequence[float], level: float) -> int:
    """The least number that is no smaller than that of the tests which could be beyond chance with it."""
    return next(number for number in count(1) if sum(each <= level / number for each in lowest) <= number)
