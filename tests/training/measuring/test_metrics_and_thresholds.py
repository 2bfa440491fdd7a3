"""Thresholds and metrics, against figures worked out by hand, by scipy and by scikit-learn."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from sklearn import metrics as sk

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.measuring.metrics import evaluate, table
from training.measuring.thresholds import (
    lower_bound,
    threshold_for_precision,
    threshold_for_recall,
    threshold_of_best_f1,
    tune_profiles,
)


def column(*runs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows from the most probable down, as (count, truth) runs; probabilities fall evenly."""
    truth = np.concatenate([np.full(count, float(value)) for count, value in runs])
    return truth, np.linspace(0.99, 0.01, len(truth))


@pytest.mark.parametrize(("hits", "of"), [(15, 15), (14, 15), (90, 100), (1, 1), (0, 7), (372, 400)])
def test_lower_bound_is_wilsons(hits: int, of: int) -> None:
    expected = binomtest(hits, of).proportion_ci(0.8, "wilson").low
    assert lower_bound(np.array([hits]), np.array([of]))[0] == pytest.approx(expected, abs=2e-5)


def test_lower_bound_of_nothing() -> None:
    assert lower_bound(np.array([0]), np.array([0]))[0] == 0


def test_best_f1_by_hand() -> None:
    # F1 at each row: 2·1/4, 2·2/5, 2·2/6, 2·3/7, 2·3/8.
    assert threshold_of_best_f1(np.array([1, 1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.6, 0.1])) == 0.6
    # The same in another order: 2·1/3, 2·1/4, 2·2/5, 2·2/6.
    assert threshold_of_best_f1(np.array([0, 1, 1, 0]), np.array([0.1, 0.4, 0.9, 0.6])) == 0.4


def test_equal_probabilities_cannot_be_told_apart() -> None:
    # Taking only the first of the two rows at 0.5 would give an F1 of 1.
    assert threshold_of_best_f1(np.array([1, 1, 0, 0, 0, 0]), np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.5])) == 0.9
    truth = np.array([1] * 20 + [1] + [0] * 10)
    probability = np.array([0.9] * 20 + [0.8] * 11)
    assert threshold_for_precision(truth, probability) == 0.9


def test_precision_is_kept_with_a_margin() -> None:
    # 15 of 15 has a lower bound of 0.901, 18 of 19 of 0.839: three more hits are not worth it.
    truth, probability = column((15, 1), (1, 0), (3, 1), (20, 0))
    assert threshold_for_precision(truth, probability) == probability[14]
    # 14 of 14 has 0.895: all is right, and still nothing may be promised.
    with pytest.raises(TrainingError, match=r"no threshold reaches a precision of 0\.9: the model is too weak"):
        threshold_for_precision(*column((14, 1), (20, 0)))
    # Best recall: with enough right rows before and after it, one wrong row is let in.
    truth, probability = column((60, 1), (1, 0), (20, 1), (50, 0))
    assert threshold_for_precision(truth, probability) == probability[80]


def test_recall_is_kept_with_a_margin() -> None:
    # 30 of 30 has a lower bound of 0.948, 29 of 30 of 0.8949: the straggler must be found.
    truth, probability = column((29, 1), (5, 0), (1, 1), (20, 0))
    assert threshold_for_recall(truth, probability) == probability[34]
    # 59 of 60 has 0.946: the straggler is left out, for a better precision.
    truth, probability = column((59, 1), (20, 0), (1, 1), (20, 0))
    kept = threshold_for_recall(truth, probability)
    assert probability[78] < kept
    found = probability >= kept
    assert truth[found].all()
    assert binomtest(int(truth[found].sum()), 60).proportion_ci(0.8, "wilson").low >= 0.9
    with pytest.raises(TrainingError, match="no threshold reaches a recall of"):
        threshold_for_recall(*column((14, 1), (5, 0)))


def separable(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every row has one label, told perfectly; five folds, each with all labels."""
    truth = np.eye(6, dtype=np.float32)[np.arange(rows) % 6]
    return truth, np.where(truth == 1, 0.9, 0.1).astype(np.float32), np.arange(rows) // 6 % 5


def test_costs_are_measured_on_rows_not_tuned_on() -> None:
    truth, probabilities, fold = separable(600)
    fold = np.arange(600) // 6 % 2
    surprise = EMOTIONS.index("surprise")
    # In either fold surprise is told perfectly, but at a height of its own: what one fold
    # teaches is wrong for the other.
    high = fold == 0
    is_so = truth[:, surprise] == 1
    probabilities[:, surprise] = np.where(high, np.where(is_so, 0.9, 0.8), np.where(is_so, 0.4, 0.3))
    profile = tune_profiles(truth, probabilities, fold)[0]["balanced"]
    cost = profile.costs["surprise"]
    # Fold 0 with fold 1's threshold: all rows are flagged; the other way round: none.
    assert (cost.precision, cost.recall, cost.flagged) == (pytest.approx(1 / 6, abs=1e-4), 0.5, 0.5)
    given = probabilities[:, surprise] >= profile.thresholds["surprise"]
    assert truth[given, surprise].mean() == 1, "on the rows it was tuned on the same threshold looks perfect"
    joy = profile.costs["joy"]
    assert (joy.precision, joy.recall, joy.flagged) == (1, 1, pytest.approx(1 / 6, abs=1e-4))


def test_profiles_keep_their_promises_on_noisy_predictions() -> None:
    random = np.random.default_rng(0)
    truth = (random.random((4000, 6)) < 0.2).astype(np.float32)
    logits = np.where(truth == 1, 2.0, -2.0) + random.normal(0, 1.4, truth.shape)
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    profiles, unreachable = tune_profiles(truth, probabilities, random.integers(0, 5, len(truth)))
    assert set(profiles) == {"balanced", "moderation", "marketing"}
    assert not unreachable

    def counts(profile: str, emotion: str) -> tuple[int, int, int]:
        index = EMOTIONS.index(emotion)
        given = probabilities[:, index] >= profiles[profile].thresholds[emotion]
        return int(truth[given, index].sum()), int(given.sum()), int(truth[:, index].sum())

    hits, _, angry = counts("moderation", "anger")
    assert 0.9 < binomtest(hits, angry).proportion_ci(0.8, "wilson").low < 0.95
    for emotion in ("joy", "sadness"):
        hits, given, _ = counts("marketing", emotion)
        assert 0.9 <= binomtest(hits, given).proportion_ci(0.8, "wilson").low < 0.93
    for name, profile in profiles.items():
        for emotion in EMOTIONS:
            hits, given, there = counts(name, emotion)
            cost = profile.costs[emotion]
            assert cost.precision == pytest.approx(hits / given, abs=0.03)
            assert cost.recall == pytest.approx(hits / there, abs=0.03)
            assert cost.flagged == pytest.approx(given / 4000, abs=0.03)
    # The promises change what they are about, and nothing else.
    balanced = profiles["balanced"].thresholds
    for name, about in (("moderation", {"anger"}), ("marketing", {"joy", "sadness"})):
        thresholds = profiles[name].thresholds
        assert {emotion for emotion in EMOTIONS if thresholds[emotion] != balanced[emotion]} == about


def test_cards_print_clean_decimals() -> None:
    random = np.random.default_rng(3)
    truth = (random.random((2000, 6)) < 0.2).astype(np.float32)
    logits = np.where(truth == 1, 2.5, -2.5) + random.normal(0, 1.2, truth.shape)
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    profiles, _ = tune_profiles(truth, probabilities, random.integers(0, 5, len(truth)))
    for profile in profiles.values():
        dumped = profile.model_dump()
        assert all(len(repr(value)) <= 8 for value in dumped["thresholds"].values())
        costs = [value for cost in dumped["costs"].values() for value in cost.values()]
        assert all(isinstance(value, float) and len(repr(value)) <= 6 for value in costs)


def test_what_is_promised_holds_for_nine_tunings_in_ten() -> None:
    """Where the true figures are known: scores of two normal distributions, classes as frequent as CEDR's."""
    random = np.random.default_rng(1)
    for rule, share, distance in ((threshold_for_recall, 0.055, 1.6), (threshold_for_precision, 0.208, 2.45)):
        kept = []
        for _ in range(200):
            truth = (random.random(6000) < share).astype(np.float32)
            threshold = rule(truth, random.normal(0, 1, 6000) + distance * truth)
            found, wrong = norm.sf(threshold - distance), norm.sf(threshold)
            precision = share * found / (share * found + (1 - share) * wrong)
            kept.append((found if rule is threshold_for_recall else precision) >= 0.9)
        assert 0.84 < np.mean(kept) < 0.97


def test_weak_predictions_promise_nothing() -> None:
    truth, _, fold = separable(600)
    profiles, unreachable = tune_profiles(truth, np.random.default_rng(0).random(truth.shape), fold)
    # Whoever flags nearly everything misses nearly nothing, so that moderation can always be had.
    assert list(profiles) == ["balanced", "moderation"]
    assert profiles["moderation"].costs["anger"].flagged > 0.8
    assert unreachable == {"marketing": "no threshold reaches a precision of 0.9: the model is too weak"}


def test_an_emotion_that_no_row_has_is_an_error() -> None:
    truth, probabilities, fold = separable(600)
    truth[:, EMOTIONS.index("fear")] = 0
    with pytest.raises(TrainingError, match="no row is labelled fear"):
        tune_profiles(truth, probabilities, fold)


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_metrics_are_scikit_learns(threshold: float) -> None:
    random = np.random.default_rng(1)
    truth = (random.random((500, 6)) < 0.3).astype(np.float32)
    probabilities = np.clip(truth * 0.3 + random.random((500, 6)) * 0.7, 0, 1).astype(np.float32)
    probabilities[:5] = threshold  # At the threshold counts as given.
    figures = evaluate(truth, probabilities, threshold)
    assert figures["rows"] == 500
    assert figures["threshold"] == threshold
    given = (probabilities >= np.float32(threshold)).astype(int)
    expected = {
        "roc_auc": sk.roc_auc_score(truth, probabilities, average=None),
        "average_precision": sk.average_precision_score(truth, probabilities, average=None),
        "f1": sk.f1_score(truth, given, average=None),
        "precision": sk.precision_score(truth, given, average=None),
        "recall": sk.recall_score(truth, given, average=None),
        "f1_macro": [sk.f1_score(truth[:, i], given[:, i], average="macro") for i in range(6)],
    }
    for name, values in expected.items():
        assert [figures[emotion][name] for emotion in EMOTIONS] == pytest.approx(list(values), abs=5.1e-5), name
        assert figures["mean"][name] == pytest.approx(np.mean(values), abs=5.1e-5), name
    lines = table(figures).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [*EMOTIONS, "mean"]
    assert f"{figures['fear']['f1']:.4f}" in lines[1 + EMOTIONS.index("fear")]
