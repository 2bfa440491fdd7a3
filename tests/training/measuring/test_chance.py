"""Which findings are no chance: one decision from many tests errs once in twenty, and still sees what is worse."""

import numpy as np
import pytest

from training.behaviour.changes import CHANGES
from training.behaviour.gate import at_least, falls
from training.behaviour.measure import Behaviour, measure_behaviour
from training.behaviour.suite import load_suite
from training.measuring.chance import Finding, beyond_chance
from training.measuring.differences import Answered, differences
from training.publish.followed.figures import Beside, figure_findings
from training.publish.followed.gate import _worse


def sentences(*tests: tuple[float, float]) -> list[str]:
    findings = [Finding(f"{number}", *test) for number, test in enumerate(tests)]
    return [finding.sentence for finding in beyond_chance(findings)]


def test_the_level_is_shared_in_steps() -> None:
    assert sentences() == []
    assert sentences((0.05, 0)) == ["0"]
    # Holm: 0.05 / 4, then / 3, then / 2; the third is above it, and the fourth is not looked at.
    assert sentences((0.04, 0), (0.0125, 0), (0.026, 0), (0.0166, 0)) == ["1", "3"]
    assert sentences((0.0126, 0), (0.0126, 0), (0.0126, 0), (0.0126, 0)) == []


def test_what_could_have_found_nothing_takes_no_share() -> None:
    coins = [(1.0, 0.5**3)] * 30
    assert sentences((0.5**10, 0.5**10), *coins) == ["0"]
    assert sentences((0.04, 0.0), *coins) == ["0"]
    # Thirty that could.
    assert sentences((0.04, 0.0), *[(1.0, 0.5**20)] * 30) == []


def group_tests(random: np.random.Generator, lost_share: float) -> list[Finding]:
    """As the behaviour suite has them: groups of few texts each, and all of them; and two figures of other rows."""
    tosses = random.poisson(random.choice([0.3, 2, 6], size=30))
    lost = random.binomial(tosses, lost_share)
    counts = [(int(lost.sum()), int(tosses.sum())), *zip(lost.tolist(), tosses.tolist(), strict=True)]
    findings = [Finding(f"group {n}", at_least(*count), 0.5 ** count[1]) for n, count in enumerate(counts)]
    one, other = random.random(2)
    # Two figures of the same rows are much alike.
    return [*findings, Finding("ROC AUC", one), Finding("F1", one if other < 0.7 else other)]


def test_of_equal_models_one_in_twenty_is_refused_at_most() -> None:
    random = np.random.default_rng(0)
    equal = [group_tests(random, 0.5) for _ in range(2000)]
    refused = np.mean([bool(beyond_chance(tests)) for tests in equal])
    each_alone = np.mean([any(test.probability <= 0.05 for test in tests) for tests in equal])
    assert 0.01 < refused <= 0.05
    assert each_alone > 0.15, "so many tests, each at its own 5 %, would refuse far more"
    worse = np.mean([bool(beyond_chance(group_tests(random, 0.75))) for _ in range(300)])
    assert worse > 0.95


TEXTS = [case.text for case in load_suite()]


def noisy_behaviour(random: np.random.Generator, noise: float) -> Behaviour:
    """A model that is right about most texts, and errs by chance; a change of a text seldom moves it."""
    right = {case.text: min(case.labels) for case in load_suite()}

    def answers(texts: list[str]) -> np.ndarray:
        probabilities = random.random((len(texts), 6)).astype(np.float32) * noise
        for row, text in enumerate(texts):
            probabilities[row, right.get(text, 0)] += 0.8
        return probabilities

    return measure_behaviour(answers, load_suite(), TEXTS[:20])


def refused(random: np.random.Generator, rows: int, noise: tuple[float, float], behaves: tuple[float, float]) -> bool:
    """Whether the gate refuses the second of two models; they know the same, but for noise of their own."""
    truth = (random.random((rows, 6)) < [0.4, 0.2, 0.2, 0.1, 0.1, 0.1]).astype(np.float32)
    known = truth + random.normal(0, 0.6, truth.shape)
    answered = []
    for each in noise:
        logits = 4 * (known + random.normal(0, each, truth.shape) - 0.5)
        probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
        answered.append(Answered(probabilities, probabilities >= 0.5))
    dev = Beside("dev", rows, "", "", differences(truth, *answered), seen=False)
    before, after = (noisy_behaviour(random, each) for each in behaves)
    return bool(_worse("version 1", dev, figure_findings(dev, "version 1"), falls(before, after)))


def test_the_gate_refuses_what_is_clearly_worse() -> None:
    random = np.random.default_rng(1)
    assert refused(random, 800, (0.3, 0.8), (1.0, 1.0))
    assert refused(random, 400, (0.3, 0.3), (0.9, 1.4))


@pytest.mark.drill
def test_the_gate_seldom_refuses_an_equally_good_model() -> None:
    """Whole: paired bootstrap of both figures, and sign tests of the suite, its groups, and all kinds of change."""
    assert len(CHANGES) > 10
    random = np.random.default_rng(2)
    pairs = 120
    wrongly = sum(refused(random, 400, (0.3, 0.3), (1.2, 1.2)) for _ in range(pairs))
    rightly = sum(refused(random, 400, (0.3, 0.5), (1.2, 1.2)) for _ in range(30))
    print(f"of {pairs} equally good models {wrongly} were refused, of 30 clearly worse ones {rightly}")
    # 6 of 120 are 5 %; 13 or more come of a true 5 % in one of a hundred drills.
    assert wrongly < 13
    assert rightly >= 28
