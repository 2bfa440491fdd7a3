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
)


def alone(truth: np.ndarray, probability: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """One data set and no other."""
    return {"cedr": (truth, probability)}


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
    assert threshold_of_best_f1(alone(np.array([1, 1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.6, 0.1]))) == 0.6
    # The same in another order: 2·1/3, 2·1/4, 2·2/5, 2·2/6.
    assert threshold_of_best_f1(alone(np.array([0, 1, 1, 0]), np.array([0.1, 0.4, 0.9, 0.6]))) == 0.4


def test_equal_probabilities_cannot_be_told_apart() -> None:
    # Taking only the first of the two rows at 0.5 would give an F1 of 1.
    assert threshold_of_best_f1(alone(np.array([1, 1, 0, 0, 0, 0]), np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.5]))) == 0.9
    truth = np.array([1] * 20 + [1] + [0] * 10)
    probability = np.array([0.9] * 20 + [0.8] * 11)
    assert threshold_for_precision(alone(truth, probability)) == 0.9


def test_precision_is_kept_with_a_margin() -> None:
    # 15 of 15 has a lower bound of 0.901, 18 of 19 of 0.839: three more hits are not worth it.
    truth, probability = column((15, 1), (1, 0), (3, 1), (20, 0))
    assert threshold_for_precision(alone(truth, probability)) == probability[14]
    # 14 of 14 has 0.895: all is right, and still nothing may be promised.
    with pytest.raises(TrainingError, match=r"no threshold reaches a precision of 0\.9: the model is too weak"):
        threshold_for_precision(alone(*column((14, 1), (20, 0))))
    # Best recall: with enough right rows before and after it, one wrong row is let in.
    truth, probability = column((60, 1), (1, 0), (20, 1), (50, 0))
    assert threshold_for_precision(alone(truth, probability)) == probability[80]


def test_recall_is_kept_with_a_margin() -> None:
    # 30 of 30 has a lower bound of 0.948, 29 of 30 of 0.8949: the straggler must be found.
    truth, probability = column((29, 1), (5, 0), (1, 1), (20, 0))
    assert threshold_for_recall(alone(truth, probability)) == probability[34]
    # 59 of 60 has 0.946: the straggler is left out, for a better precision.
    truth, probability = column((59, 1), (20, 0), (1, 1), (20, 0))
    kept = threshold_for_recall(alone(truth, probability))
    assert probability[78] < kept
    found = probability >= kept
    assert truth[found].all()
    assert binomtest(int(truth[found].sum()), 60).proportion_ci(0.8, "wilson").low >= 0.9
    with pytest.raises(TrainingError, match="no threshold reaches a recall of"):
        threshold_for_recall(alone(*column((14, 1), (5, 0))))


def test_a_promise_is_kept_on_every_data_set() -> None:
    truth, high = column((59, 1), (20, 0), (1, 1), (20, 0))
    low = high / 2
    alone_high, alone_low = threshold_for_recall(alone(truth, high)), threshold_for_recall(alone(truth, low))
    both = {"cedr": (truth, high), "brighter_rus": (truth, low)}
    assert threshold_for_recall(both) <= alone_low < alone_high
    # Precision: the first wrong rows of the one stand among the right rows of the other.
    truth, high = column((60, 1), (60, 0))
    both = {"cedr": (truth, high), "brighter_rus": (truth, high - 0.1)}
    assert threshold_for_precision(alone(truth, high - 0.1)) < threshold_for_precision(both)
    for name, (column_truth, probability) in both.items():
        flagged = probability >= threshold_for_precision(both)
        hits = int(column_truth[flagged].sum())
        assert binomtest(hits, int(flagged.sum())).proportion_ci(0.8, "wilson").low >= 0.9, name
    # The second set has nothing above the first's wrong rows: no threshold is right for both.
    both = {"cedr": (truth, high), "brighter_rus": (truth, high / 100)}
    with pytest.raises(TrainingError, match=r"a precision of 0\.9 on cedr and on brighter_rus: the model is too weak"):
        threshold_for_precision(both)


def test_the_best_f1_is_the_best_mean_with_cedr_counted_twice() -> None:
    cedr = (np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.7, 0.2]))
    brighter = (np.array([1, 1, 1, 0]), np.array([0.9, 0.7, 0.6, 0.1]))
    # CEDR's F1 at 0.9, 0.8, 0.7, 0.6: 2/3, 1, 4/5, 4/5. BRIGHTER's: 1/2, 1/2, 4/5, 1.
    assert threshold_of_best_f1({"cedr": cedr}) == 0.8
    assert threshold_of_best_f1({"brighter_rus": brighter}) == 0.6
    # 2 · 4/5 + 1 is more than 2 · 1 + 1/2; with a better first row of BRIGHTER's it no longer is.
    assert threshold_of_best_f1({"cedr": cedr, "brighter_rus": brighter}) == 0.6
    brighter = (np.array([1, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6]))
    # 2 · 1 + 4/5 at 0.8; 2 · 4/5 + 6/7 at 0.6.
    assert threshold_of_best_f1({"cedr": cedr, "brighter_rus": brighter}) == 0.8


def test_what_is_promised_holds_for_nine_tunings_in_ten() -> None:
    """Where the true figures are known: scores of two normal distributions, classes as frequent as CEDR's."""
    random = np.random.default_rng(1)
    for rule, share, distance in ((threshold_for_recall, 0.055, 1.6), (threshold_for_precision, 0.208, 2.45)):
        kept = []
        for _ in range(200):
            truth = (random.random(6000) < share).astype(np.float32)
            threshold = rule(alone(truth, random.normal(0, 1, 6000) + distance * truth))
            found, wrong = norm.sf(threshold - distance), norm.sf(threshold)
            precision = share * found / (share * found + (1 - share) * wrong)
            kept.append((found if rule is threshold_for_recall else precision) >= 0.9)
        assert 0.84 < np.mean(kept) < 0.97


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
