"""Profiles: tuned on one data set or two, measured fold by fold, and refused where they cost too much."""

import numpy as np
import pytest
from scipy.stats import binomtest

from contract.labels import EMOTIONS
from contract.version_directory import Profile
from training.common.command import TrainingError
from training.measuring.out_of_fold import OutOfFold
from training.measuring.profiles import neutral_cost, too_costly, tune_profiles, with_neutral_texts
from training.measuring.thresholds import decide_across_folds, tune


def cedr(truth: np.ndarray, probabilities: np.ndarray, fold: np.ndarray) -> dict[str, OutOfFold]:
    """One data set's predictions and no other's."""
    return {"cedr": OutOfFold(truth, probabilities, fold)}


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
    profile = tune_profiles(cedr(truth, probabilities, fold))[0]["balanced"]
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
    profiles, unreachable = tune_profiles(cedr(truth, probabilities, random.integers(0, 5, len(truth))))
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
    profiles, _ = tune_profiles(cedr(truth, probabilities, random.integers(0, 5, len(truth))))
    for profile in profiles.values():
        dumped = profile.model_dump()
        assert all(len(repr(value)) <= 8 for value in dumped["thresholds"].values())
        costs = [value for cost in dumped["costs"].values() for value in cost.values()]
        assert all(isinstance(value, float) and len(repr(value)) <= 6 for value in costs)


def test_weak_predictions_promise_nothing() -> None:
    truth, _, fold = separable(600)
    profiles, unreachable = tune_profiles(cedr(truth, np.random.default_rng(0).random(truth.shape), fold))
    # Whoever flags nearly everything misses nearly nothing, so that moderation can always be had.
    assert list(profiles) == ["balanced", "moderation"]
    assert profiles["moderation"].costs["anger"].flagged > 0.8
    assert unreachable == {"marketing": "no threshold reaches a precision of 0.9: the model is too weak"}


def test_an_emotion_that_no_row_has_is_an_error() -> None:
    truth, probabilities, fold = separable(600)
    truth[:, EMOTIONS.index("fear")] = 0
    with pytest.raises(TrainingError, match="no row of cedr is labelled fear"):
        tune_profiles(cedr(truth, probabilities, fold))


def noisy(seed: int, rows: int, height: float) -> OutOfFold:
    """Rows of one emotion each; the model's logits are off by a height."""
    random = np.random.default_rng(seed)
    truth = np.eye(6, dtype=np.float32)[random.integers(0, 6, rows)]
    logits = np.where(truth == 1, 2.0, -2.0) + height + random.normal(0, 1.0, truth.shape)
    return OutOfFold(truth, (1 / (1 + np.exp(-logits))).astype(np.float32), np.arange(rows) * 5 // rows)


def test_two_data_sets_share_their_thresholds() -> None:
    sets = {"cedr": noisy(0, 3000, 0.0), "brighter_rus": noisy(1, 1500, -0.5)}
    profiles, unreachable = tune_profiles(sets)
    assert not unreachable
    for name, profile in profiles.items():
        assert profile.thresholds == tune(name, sets)
        assert profile.tuned_on == "CEDR train and brighter_rus train and dev, out of fold"
        elsewhere = profile.elsewhere[
            "out-of-fold predictions over brighter_rus train and dev, each fold with thresholds from the others"
        ]
        decisions = decide_across_folds(name, sets)
        for emotion, costs in (("anger", profile.costs), ("joy", elsewhere)):
            rows, index = sets["cedr" if costs is profile.costs else "brighter_rus"], EMOTIONS.index(emotion)
            given = decisions["cedr" if costs is profile.costs else "brighter_rus"][:, index]
            assert costs[emotion].flagged == pytest.approx(given.mean(), abs=5.1e-5)
            assert costs[emotion].recall == pytest.approx(given[rows.truth[:, index] == 1].mean(), abs=5.1e-5)
    # The promises hold on both.
    for each in sets.values():
        for name, emotion in (("moderation", "anger"), ("marketing", "joy"), ("marketing", "sadness")):
            index = EMOTIONS.index(emotion)
            given = each.probabilities[:, index] >= profiles[name].thresholds[emotion]
            hits = int(each.truth[given, index].sum())
            of = int(each.truth[:, index].sum()) if name == "moderation" else int(given.sum())
            assert binomtest(hits, of).proportion_ci(0.8, "wilson").low >= 0.9


def test_a_fold_of_either_set_has_no_part_in_its_own_thresholds() -> None:
    sets = {"cedr": noisy(0, 600, 0.0), "brighter_rus": noisy(1, 600, -0.5)}
    before = decide_across_folds("balanced", sets)
    for name, other in (("cedr", "brighter_rus"), ("brighter_rus", "cedr")):
        changed = sets[name].probabilities.copy()
        changed[sets[name].fold == 0] = 0.5
        rows = sets[name]
        after = decide_across_folds("balanced", {**sets, name: OutOfFold(rows.truth, changed, rows.fold)})
        first = sets[other].fold == 0
        assert np.array_equal(before[other][first], after[other][first])
        assert not np.array_equal(before[other][~first], after[other][~first])


def test_neutral_rows_are_those_without_an_emotion() -> None:
    sets = {"cedr": noisy(0, 1200, 0.0), "brighter_rus": noisy(1, 900, 0.0)}
    profiles, _ = tune_profiles(sets)
    for name, about in (("balanced", EMOTIONS[1:]), ("moderation", ("anger",)), ("marketing", ("joy", "sadness"))):
        decisions = decide_across_folds(name, sets)
        for dataset, texts in (("cedr", "CEDR train"), ("brighter_rus", "brighter_rus train and dev")):
            cost = profiles[name].neutral[f"{texts}, rows without an emotion"]
            neutral = decisions[dataset][sets[dataset].truth[:, 0] == 1]
            assert cost.emotions == list(about)
            assert cost.rows == len(neutral)
            flagged = neutral[:, [EMOTIONS.index(emotion) for emotion in about]].any(axis=1)
            assert cost.flagged == pytest.approx(flagged.mean(), abs=5.1e-5)


def test_a_profile_that_flags_more_than_a_third_of_neutral_texts_is_refused() -> None:
    profiles, _ = tune_profiles({"cedr": noisy(0, 1200, 0.0)})
    assert not too_costly(profiles)
    # Nine neutral texts, of which three or four are called angry, and all surprising.
    answers = np.zeros((9, 6), np.float32)
    answers[:, EMOTIONS.index("surprise")] = 0.99
    answers[:3, EMOTIONS.index("anger")] = 0.99
    assert not too_costly(with_neutral_texts(profiles, "business letters", answers))
    answers[3, EMOTIONS.index("anger")] = 0.99
    measured = with_neutral_texts(profiles, "business letters", answers)
    assert measured["moderation"].neutral["business letters"].flagged == 0.4444
    assert measured["balanced"].neutral["business letters"].flagged == 1
    assert too_costly(measured) == {
        "moderation": "for its promise it would flag 44% of 9 neutral texts (business letters) as anger"
    }
    assert neutral_cost("marketing", np.ones((2, 6), np.bool_)).flagged == 1


def test_cards_from_before_profiles_had_costs_elsewhere() -> None:
    costs = {emotion: {"precision": 0.7, "recall": 0.6, "flagged": 0.2} for emotion in EMOTIONS}
    written = {"purpose": "-", "thresholds": dict.fromkeys(EMOTIONS, 0.5), "costs": costs, "measured_on": "-"}
    read = Profile.model_validate(written)
    assert (read.tuned_on, read.elsewhere, read.neutral) == ("CEDR train, out of fold", {}, {})
    with pytest.raises(ValueError, match="elsewhere: letters must name no_emotion, joy"):
        Profile.model_validate({**written, "elsewhere": {"letters": {"joy": costs["joy"]}}})
