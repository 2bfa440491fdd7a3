"""Refuses a version that is worse than the one it follows: a profile less, worse figures, worse behaviour."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.version_directory import Card
from training.behaviour.figures import behaviour_figures
from training.behaviour.gate import Fall, falls
from training.common.command import TrainingError
from training.evaluate.predictions import checked_card
from training.export.checkpoint import Exported
from training.export.integrity import damage
from training.measuring.chance import Finding, beyond_chance
from training.publish.followed.behaviour import behaviour_of_version
from training.publish.followed.figures import Beside, beside, figure_findings, figures_for_card
from training.publish.versions import versions_of


@dataclass
class _Findings:
    """What the card says of the two versions, and what speaks against the new one, a sentence without its end each.

    `notes` are whole sentences for the card's limits.
    """

    metrics: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    objections: list[str] = field(default_factory=list)


def followed_version(repository: Path, model: str) -> Path | None:
    """The newest whole version of a model; None if there is none."""
    return next((path for path in reversed(versions_of(repository / model)) if not damage(path)), None)


def with_followed(
    card: Card, directory: Path, exported: Exported, dataset: str, repository: Path, insisted: bool
) -> Card:
    """The card of the version staged in `directory`, with how it behaves and how it stands beside the one it follows.

    Args:
        card: of the staged version; its graph and tokenizer are written already.
        directory: where they are.
        exported: what is known of its graph: the dev split's rows, and the graph's answers to them.
        dataset: whose dev split that is, as it is named.
        repository: the model repository; its newest whole version of the model is the one that is followed.
        insisted: publish though it is worse; the card's limits then say so.

    Raises:
        TrainingError: it is worse than the version it follows, and nobody insisted; says in what, with figures.
    """
    behaviour = behaviour_of_version(directory, card)
    found = _Findings({"behaviour": behaviour_figures(behaviour)})
    followed = followed_version(repository, card.model)
    if followed is not None:
        before, name = checked_card(followed), f"version {followed.name}"
        found.objections += _lost_profiles(before, card, name)
        dev = beside(followed, before, card, exported, dataset)
        if dev.seen:
            found.notes.append(
                f"{name.capitalize()} may have been trained on some of the rows of {dev.name}: its figures beside this"
                " version's may be too good."
            )
        found.metrics["follows"] = {"version": followed.name, **figures_for_card(dev)}
        figures = figure_findings(dev, name)
        behaviour_before = behaviour_of_version(followed, before)
        found.metrics["behaviour"]["follows"] = {"version": followed.name, **behaviour_figures(behaviour_before)}
        found.objections += _worse(name, dev, figures, falls(behaviour_before, behaviour))
    if found.objections and not insisted:
        raise TrainingError(f"{'. And '.join(found.objections)}. Publish it all the same with --insist")
    limits = [*card.limits, *found.notes, *(f"Published though {objection}." for objection in found.objections)]
    return card.model_copy(update={"metrics": {**card.metrics, **found.metrics}, "limits": limits})


def _worse(follows: str, dev: Beside, figures: list[Finding], behaviour: list[Fall]) -> list[str]:
    """A sentence of what is worse beyond chance in figures, and one in behaviour: one decision, all tests together."""
    behaved = [Finding(fall.sentence, fall.probability, fall.lowest) for fall in behaviour]
    worse = beyond_chance([*figures, *behaved])
    seen = ", some of which that one may have been trained on" if dev.seen else ""
    where = f"worse than {follows} on {dev.name}, {dev.rows:,} rows{seen}, beyond chance"
    sentences = []
    for beginning, findings in (
        (f"it is {where}", figures),
        (f"it behaves worse than {follows}, beyond chance", behaved),
    ):
        if named := [finding.sentence for finding in findings if finding in worse]:
            sentences.append(f"{beginning}: {'; '.join(named)}")
    return sentences


def _lost_profiles(before: Card, after: Card, follows: str) -> list[str]:
    """Clients ask for profiles by name."""
    lost = [name for name in before.profiles if name not in after.profiles]
    if not lost:
        return []
    return [
        f"{follows} has the profile {' and '.join(lost)}, and this one would not, so that clients who ask for it would"
        " be refused"
    ]
