"""Profiles as a card has them: thresholds, what these cost on each data set and on neutral texts, and the ceiling.

A text is neutral if it shows no emotion. A profile that flags more than a third of neutral texts with the emotions it
makes a promise about buys its promise too dearly: there is no such profile then. `balanced` promises nothing, and
every version has it.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from contract.version_directory import NeutralCost, Profile, ThresholdCost
from training.measuring.out_of_fold import OutOfFoldSets, rows_of
from training.measuring.thresholds import PROFILES, RULES, PromiseError, Vector, decide, decide_across_folds, tune

CEILING: Final = 1 / 3
"""The largest share of neutral texts that a profile may flag."""

Decisions = npt.NDArray[np.bool_]


def costs(truth: Vector, decisions: Decisions) -> dict[str, ThresholdCost]:
    """What giving these labels buys and costs, by emotion; both `[rows, 6]`."""
    by_emotion = {}
    for emotion, column, labels in zip(EMOTIONS, truth.T, decisions.T, strict=True):
        true_positives, flagged, positives = (
            int(count) for count in (column[labels].sum(), labels.sum(), column.sum())
        )
        by_emotion[emotion] = ThresholdCost(
            precision=round(true_positives / max(flagged, 1), 4),
            recall=round(true_positives / max(positives, 1), 4),
            flagged=round(flagged / len(truth), 4),
        )
    return by_emotion


def neutral_cost(profile: str, decisions: Decisions) -> NeutralCost:
    """How many neutral texts get one of the emotions that the profile is for; decisions are theirs, `[rows, 6]`."""
    about = RULES[profile] or [emotion for emotion in EMOTIONS if emotion != "no_emotion"]
    columns = [EMOTIONS.index(emotion) for emotion in about]
    return NeutralCost(
        emotions=list(about),
        rows=len(decisions),
        flagged=round(float(decisions[:, columns].any(axis=1).mean()), 4),
    )


def tune_profiles(sets: OutOfFoldSets) -> tuple[dict[str, Profile], dict[str, str]]:
    """Tune every profile on all rows, and measure it fold by fold on rows it wasn't tuned on.

    Args:
        sets: out-of-fold predictions, CEDR's first.

    Returns:
        The profiles, and why those that are missing cannot be had: a promise that no threshold keeps.

    Raises:
        TrainingError: no row of some data set has some emotion.
    """
    profiles, unreachable = {}, {}
    for name in PROFILES:
        try:
            profiles[name] = _tuned(name, sets)
        except PromiseError as error:
            unreachable[name] = str(error)
    return profiles, unreachable


def _tuned(name: str, sets: OutOfFoldSets) -> Profile:
    decisions = decide_across_folds(name, sets)
    by_set = {each: costs(sets[each].truth, decisions[each]) for each in sets}
    first, *others = sets
    neutral = {each: decisions[each][sets[each].neutral] for each in sets}
    return Profile(
        purpose=PROFILES[name],
        thresholds=tune(name, sets),
        tuned_on=f"{rows_of(sets)}, out of fold",
        costs=by_set[first],
        measured_on=_measured_on(first),
        elsewhere={_measured_on(each): by_set[each] for each in others},
        neutral={
            f"{rows_of([each])}, rows without an emotion": neutral_cost(name, rows)
            for each, rows in neutral.items() if len(rows)
        },
    )  # fmt: skip


def _measured_on(name: str) -> str:
    return f"out-of-fold predictions over {rows_of([name])}, each fold with thresholds from the others"


def with_neutral_texts(profiles: Mapping[str, Profile], texts: str, probabilities: Vector) -> dict[str, Profile]:
    """The profiles, with what they cost on neutral texts from elsewhere.

    Args:
        profiles: by name.
        texts: what texts these are.
        probabilities: the model's answers to them, `[texts, 6]`.
    """
    return {
        name: profile.model_copy(
            update={
                "neutral": {
                    **profile.neutral,
                    texts: neutral_cost(name, decide(probabilities, profile.thresholds)),
                }
            }
        )
        for name, profile in profiles.items()
    }


def too_costly(profiles: Mapping[str, Profile]) -> dict[str, str]:
    """Why some of the profiles must not be published: by name, a clause with the figures."""
    found = {}
    for name, profile in profiles.items():
        beyond = [
            f"{cost.flagged:.0%} of {cost.rows:,} neutral texts ({texts})"
            for texts, cost in profile.neutral.items() if cost.flagged > CEILING
        ]  # fmt: skip
        if beyond and RULES[name]:
            found[name] = f"for its promise it would flag {' and '.join(beyond)} as {' or '.join(RULES[name])}"
    return found
