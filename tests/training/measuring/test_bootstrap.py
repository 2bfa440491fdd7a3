"""Figures and bootstrap intervals, against scikit-learn on the same predictions."""

import time

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.measuring.bootstrap import draw_resamples, figures_of_resamples, intervals, paired_intervals
from training.measuring.metrics import calibration_bins, evaluate, evaluate_decisions

OF_PROBABILITIES = ("roc_auc", "average_precision", "calibration_error")
OF_DECISIONS = ("f1_macro", "precision_macro", "recall_macro", "f1", "precision", "recall")


def predictions(rows: int, seed: int = 0, decimals: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities with many ties, and classes from common to rare."""
    random = np.random.default_rng(seed)
    truth = (random.random((rows, 6)) < (0.5, 0.3, 0.2, 0.1, 0.08, 0.05)).astype(np.float32)
    truth[:2] = [[1] * 6, [0] * 6]
    probabilities = np.clip(truth * 0.25 + random.random((rows, 6)) * 0.75, 0, 1)
    return truth, probabilities.round(decimals).astype(np.float32)


def by_scikit_learn(truth: np.ndarray, probability: np.ndarray, given: np.ndarray) -> list[float]:
    """One class's figures, those of probabilities and then those of decisions."""
    rows, _, _ = calibration_bins(truth, probability)
    share, confidence = calibration_curve(truth, probability.astype(np.float64), n_bins=10)
    gap = float((np.abs(share - confidence) * rows[rows > 0]).sum() / len(truth))
    ranking = [sk.roc_auc_score(truth, probability), sk.average_precision_score(truth, probability), gap]
    measures = (sk.f1_score, sk.precision_score, sk.recall_score)
    macro = [measure(truth, given, average="macro", zero_division=0) for measure in measures]
    return ranking + macro + [measure(truth, given, zero_division=0) for measure in measures]


@pytest.mark.parametrize("decimals", [1, 2, 6])
def test_resamples_are_scikit_learns_figures_on_the_drawn_rows(decimals: int) -> None:
    truth, probabilities = predictions(300, decimals=decimals)
    given = probabilities >= 0.5
    weights = next(draw_resamples(300))[:5]
    assert weights.sum(axis=1).tolist() == [300] * 5
    values = figures_of_resamples(truth, given, probabilities, weights)
    for number, counts in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(300), counts)
        for index in range(6):
            expected = by_scikit_learn(truth[rows, index], probabilities[rows, index], given[rows, index])
            assert values[number, index] == pytest.approx(expected, abs=1e-6)
    alone = figures_of_resamples(truth, given, None, weights)
    assert np.array_equal(alone, values[:, :, len(OF_PROBABILITIES) :])


@pytest.mark.parametrize("given_share", ["some", "none", "all"])
def test_the_point_figures_are_scikit_learns(given_share: str) -> None:
    truth, probabilities = predictions(400)
    if given_share != "some":
        probabilities = probabilities * 0.4 + (0.55 if given_share == "all" else 0)
    figures = evaluate(truth, probabilities)
    given = probabilities >= 0.5
    names = (*OF_PROBABILITIES, *OF_DECISIONS)
    expected = np.array([by_scikit_learn(truth[:, i], probabilities[:, i], given[:, i]) for i in range(6)])
    for index, emotion in enumerate(EMOTIONS):
        assert [figures[emotion][name] for name in names] == pytest.approx(expected[index], abs=5.1e-5)
    assert [figures["mean"][name] for name in names] == pytest.approx(expected.mean(axis=0), abs=5.1e-5)
    decisions = evaluate_decisions(truth, given)
    assert decisions["fear"] == {name: figures["fear"][name] for name in OF_DECISIONS}
    assert list(decisions) == ["mean", *EMOTIONS]


def test_intervals_hold_the_middle_of_what_resamples_say() -> None:
    truth, probabilities = predictions(1500, decimals=6)
    given = probabilities >= 0.5
    bounds = intervals(truth, given, probabilities)
    assert bounds == intervals(truth, given, probabilities), "the same rows, the same seed, the same intervals"
    assert intervals(truth, given)["joy"] == {name: bounds["joy"][name] for name in OF_DECISIONS}
    figures = evaluate(truth, probabilities)
    for row in ("mean", *EMOTIONS):
        assert list(bounds[row]) == [*OF_PROBABILITIES, *OF_DECISIONS]
        for name in ("roc_auc", "f1_macro", "recall"):
            low, high = bounds[row][name]
            assert low < figures[row][name] < high
    # The standard error of a recall is known: 95 % are about four of them.
    recall, positives = figures["anger"]["recall"], truth[:, 5].sum()
    low, high = bounds["anger"]["recall"]
    assert high - low == pytest.approx(3.92 * np.sqrt(recall * (1 - recall) / positives), rel=0.1)
    # A mean over classes is surer than a rare class alone.
    assert np.ptp(bounds["mean"]["f1"]) < np.ptp(bounds["anger"]["f1"]) / 1.5


def test_a_class_that_resamples_may_miss_still_has_an_interval() -> None:
    truth, probabilities = predictions(200)
    truth[:, 5] = 0
    truth[7, 5] = 1
    bounds = intervals(truth, probabilities >= 0.5, probabilities)
    assert np.isfinite([bounds[row][name] for row in ("anger", "mean") for name in bounds["mean"]]).all()


def test_paired_intervals_tell_a_small_difference_from_none() -> None:
    truth, before = predictions(1000)
    assert set(map(tuple, paired_intervals(truth, before, before)["mean"].values())) == {(0.0, 0.0)}
    after = np.clip(before + 0.04 * (truth - 0.5), 0, 1).astype(np.float32)
    low, high = paired_intervals(truth, before, after)["mean"]["roc_auc"]
    alone = intervals(truth, before >= 0.5, before)["mean"]["roc_auc"]
    assert 0 < low < high
    assert high - low < np.ptp(alone) / 3


@pytest.mark.drill
def test_a_thousand_resamples_of_all_of_cedr_take_seconds() -> None:
    truth, probabilities = predictions(7528, decimals=6)
    began = time.process_time()
    intervals(truth, probabilities >= 0.5, probabilities)
    assert time.process_time() - began < 30


def test_undefined_figures_are_a_sentence() -> None:
    truth, probabilities = predictions(100)
    without = truth.copy()
    without[:, EMOTIONS.index("fear")] = 0
    with pytest.raises(TrainingError, match="no row of 100 is labelled fear: its figures are undefined"):
        evaluate(without, probabilities)
    with pytest.raises(TrainingError, match="every row of 100 is labelled fear"):
        evaluate(np.where(np.arange(6) == 4, 1, truth).astype(np.float32), probabilities)
    for wrong in (np.nan, np.inf, -0.1, 1.5):
        answers = probabilities.copy()
        answers[3, 2] = wrong
        with pytest.raises(
            TrainingError, match=r"to 1 of 100 rows are no probabilities .*a diverged training gives NaN"
        ):
            evaluate(truth, answers)
    with pytest.raises(TrainingError, match=r"truth \[100, 6\] and probabilities \[99, 6\]"):
        evaluate(truth, probabilities[1:])
    with pytest.raises(TrainingError, match="there are no rows"):
        evaluate(truth[:0], probabilities[:0])
    with pytest.raises(TrainingError, match="must be 0 or 1"):
        evaluate(truth / 2, probabilities)


def test_no_figure_carries_float32_noise() -> None:
    figures = evaluate(*predictions(300))
    numbers = [value for row in ("mean", *EMOTIONS) for value in figures[row].values()]
    assert all(isinstance(number, float) and len(repr(number)) <= 6 for number in numbers)
