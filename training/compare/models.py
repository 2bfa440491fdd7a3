"""Asks two models the same: labelled rows, and the behaviour suite with its changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from training.behaviour.measure import Behaviour, measure_behaviour
from training.behaviour.suite import load_suite
from training.common.command import TrainingError
from training.compare.behaviour import BehaviourDifference, behaviour_difference
from training.compare.disagreements import Disagreements, disagreements
from training.data.rows.examples import Example, rows_digest, targets
from training.evaluate.evaluation import Evaluation, evaluate_model
from training.evaluate.sources import Source, answers_of
from training.measuring.differences import Answered, Differences, differences, overall
from training.measuring.slices import slices_of

LEAST: Final = 5
"""Of a slice a class is measured only if so many rows have it and so many have not."""


@dataclass(frozen=True)
class SliceDifference:
    """What `differences` says of some of the rows; empty where every class is too rare in them."""

    by: str
    name: str
    rows: int
    differences: Differences


@dataclass(frozen=True)
class Comparison:
    """The model after beside the one before, on the same rows.

    Args:
        before: what the first model is called.
        after: what the second is called.
        rows: which rows.
        digest: SHA-256 of the rows' texts and labels.
        examples: the rows.
        decided_by: what gave the first model's labels, and the second's.
        differences: of all rows.
        slices: the same for each source and each length.
        disagreements: rows that got different labels.
        behaviour: of the suite's open half; None where nobody asked.
    """

    before: str
    after: str
    rows: str
    digest: str
    examples: Sequence[Example]
    decided_by: tuple[str, str]
    differences: Differences
    slices: list[SliceDifference]
    disagreements: Disagreements
    behaviour: BehaviourDifference | None

    @property
    def verdict(self) -> Literal["better", "worse", "no difference", "mixed"]:
        """Whether the model after is better than the one before, by mean ROC AUC and mean F1."""
        return overall(self.differences)


def compare_models(
    before: Source, after: Source, rows: str, data_dir: Path | None, *, behaviour: bool = True
) -> Comparison:
    """Compare two models.

    Args:
        before: the model that the other is compared with.
        after: the model that the verdict is about.
        rows: as `training.evaluate.rows.rows_named` gives them.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
        behaviour: whether to ask both for the behaviour suite's open half and its changes too.

    Raises:
        TrainingError: a model or the rows cannot be had, or a figure is undefined on them.
    """
    measured = [evaluate_model(each.what, rows, data_dir, each.model, each.version) for each in (before, after)]
    first, second = measured
    if first.examples != second.examples:
        raise TrainingError(f"{first.model} and {second.model} were measured on different rows")
    truth, examples = targets(first.examples), first.examples
    decided_by, (old, new) = _answered(first, second)
    slices = []
    for part in slices_of(examples):
        found = differences(truth[part.rows], old.chosen(part.rows), new.chosen(part.rows), LEAST)
        slices.append(SliceDifference(part.by, part.name, int(part.rows.sum()), found))
    behaved = [_behaviour(each) for each in (before, after)] if behaviour else None
    return Comparison(
        first.model,
        second.model,
        first.rows,
        rows_digest(examples),
        examples,
        decided_by,
        differences(truth, old, new),
        slices,
        disagreements(examples, old, new),
        behaviour_difference(*behaved) if behaved else None,
    )


def _answered(first: Evaluation, second: Evaluation) -> tuple[tuple[str, str], tuple[Answered, Answered]]:
    """Both with the labels that their own thresholds give; at 0.5, if one of them has none."""
    if first.tuned is None or second.tuned is None:
        without = " and ".join(each.model for each in (first, second) if each.tuned is None)
        why = f"at 0.5, since {without} has no thresholds tuned on other rows"
        old, new = (Answered(each.probabilities, each.probabilities >= 0.5) for each in (first, second))
        return (why, why), (old, new)
    old, new = (Answered(each.probabilities, each.decisions) for each in (first, second))
    return (first.decided_by, second.decided_by), (old, new)


def _behaviour(source: Source) -> Behaviour:
    cases = load_suite()
    with answers_of(source.what, source.model, source.version) as (_, answers):
        return measure_behaviour(answers, cases, [case.text for case in cases])
