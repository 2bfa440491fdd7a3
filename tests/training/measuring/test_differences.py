"""The difference of two models on the same rows: its figures, its interval, its verdict."""

import numpy as np
import pytest

from contract.labels import EMOTIONS
from tests.training.measuring.test_bootstrap import predictions
from training.data.rows.examples import Example
from training.measuring.bootstrap import paired_intervals
from training.measuring.differences import (
    Answered,
    Differences,
    difference_of_means,
    difference_of_shares,
    differences,
    overall,
)
from training.measuring.metrics import evaluate
from training.measuring.slices import slices_of


def at_a_half(probabilities: np.ndarray) -> Answered:
    return Answered(probabilities, probabilities >= 0.5)


def moved(by: float) -> tuple[np.ndarray, Differences]:
    """A model, and one whose probabilities are so much nearer to the truth."""
    truth, before = predictions(600)
    after = np.clip(before + by * (truth - 0.5), 0, 1).astype(np.float32)
    return truth, differences(truth, at_a_half(before), at_a_half(after))


def test_figures_and_rises_are_the_evaluations() -> None:
    truth, before = predictions(600)
    after = predictions(600, seed=1)[1]
    found = differences(truth, at_a_half(before), at_a_half(after))
    old, new = evaluate(truth, before), evaluate(truth, after)
    intervals = paired_intervals(truth, before, after)
    assert list(found) == ["mean", *EMOTIONS]
    for row in found:
        for name, each in found[row].items():
            assert (each.before, each.after) == pytest.approx((old[row][name], new[row][name]), abs=1.1e-4)
            assert each.rise == pytest.approx(new[row][name] - old[row][name], abs=2.1e-4)
            assert each.interval_95[0] <= each.rise <= each.interval_95[1]
            # Twice as many draws give much the same interval.
            assert each.interval_95 == pytest.approx(intervals[row][name], abs=0.02)


def test_the_verdict_is_what_the_interval_says() -> None:
    for by, verdict in ((0.05, "better"), (-0.05, "worse"), (0.0, "no difference")):
        _, found = moved(by)
        assert found["mean"]["roc_auc"].verdict == overall(found) == verdict
    same = found["mean"]["roc_auc"]
    assert (same.rise, same.interval_95) == (0.0, (0.0, 0.0))
    assert same.sentence.endswith("+0.0000 (95 % interval +0.0000 to +0.0000)")
    # A larger calibration error is no improvement.
    truth, before = predictions(600)
    sharp = np.where(before >= 0.5, 1, before).astype(np.float32)
    error = differences(truth, at_a_half(before), at_a_half(sharp))["joy"]["calibration_error"]
    assert (error.rise > 0, error.verdict) == (True, "worse")


def test_better_in_one_leading_figure_and_worse_in_the_other_is_mixed() -> None:
    truth, before = predictions(600)
    better = np.clip(before + 0.05 * (truth - 0.5), 0, 1).astype(np.float32)
    found = differences(truth, at_a_half(before), Answered(better, np.zeros(truth.shape, dtype=np.bool_)))
    assert [found["mean"][name].verdict for name in ("roc_auc", "f1_macro")] == ["better", "worse"]
    assert overall(found) == "mixed"


def test_classes_with_too_few_rows_are_left_out() -> None:
    truth, before = predictions(600)
    truth[:, 2] = 0
    truth[5, 2] = 1
    after = before[::-1].copy()
    assert set(differences(truth, at_a_half(before), at_a_half(after), least=5)) == {"mean", *EMOTIONS} - {"sadness"}
    assert differences(truth[:4], at_a_half(before[:4]), at_a_half(after[:4]), least=5) == {}


def test_shares_of_the_same_texts() -> None:
    before = np.arange(200) % 2 == 0
    after = before | (np.arange(200) % 10 == 1)
    found = difference_of_shares(before, after)
    assert (found.before, found.after, found.rise, found.verdict) == (0.5, 0.6, 0.1, "better")
    # A paired difference of shares has a known standard error: 95 % are about four of them.
    low, high = found.interval_95
    assert high - low == pytest.approx(3.92 * np.sqrt(0.1 * 0.9 / 200), rel=0.1)
    assert difference_of_shares(after, before).verdict == "worse"
    assert difference_of_means(np.zeros(9), np.zeros(9)).verdict == "no difference"


def test_slices_are_sources_and_lengths() -> None:
    examples = [
        Example("слово " * words, frozenset(), "cedr", domain=domain)
        for words, domain in ((3, "lj"), (5, "lenta"), (6, "lj"), (41, "lj"))
    ]
    found = [(part.by, part.name, part.rows.tolist()) for part in slices_of(examples)]
    assert found == [
        ("source", "cedr/lenta", [False, True, False, False]),
        ("source", "cedr/lj", [True, False, True, True]),
        ("length", "up to 5 words", [True, True, False, False]),
        ("length", "6 to 10 words", [False, False, True, False]),
        ("length", "over 40 words", [False, False, False, True]),
    ]
    assert [part.by for part in slices_of(examples[2:])] == ["length", "length"], "one source is no division"
    assert slices_of([]) == []
