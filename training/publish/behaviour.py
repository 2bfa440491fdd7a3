"""What a new version's card says of its behaviour, and whether it behaves worse than the version it follows."""

from pathlib import Path
from typing import Any

from contract.version_directory import Card
from training.behaviour.figures import behaviour_figures
from training.behaviour.gate import check_behaviour
from training.behaviour.measure import Behaviour, measure_behaviour
from training.behaviour.suite import HALVES, load_suite
from training.common.command import TrainingError
from training.data.rows.examples import Example
from training.evaluate.predictions import checked_card, predict_version
from training.export.integrity import damage
from training.publish.versions import versions_of


def behaviour_of_version(version: Path, card: Card) -> Behaviour:
    """How a version's CPU graph behaves: on both halves of the suite, and under changes of the open one."""
    return measure_behaviour(
        lambda texts: predict_version(version, card, [Example(text, frozenset(), "") for text in texts]),
        load_suite(HALVES),
        [case.text for case in load_suite()],
    )


def followed_version(repository: Path, model: str) -> Path | None:
    """The newest whole version of a model; None if there is none."""
    return next((path for path in reversed(versions_of(repository / model)) if not damage(path)), None)


def with_behaviour(card: Card, directory: Path, repository: Path, insisted: bool) -> Card:
    """The card of the version staged in `directory`, with how it behaves among its metrics.

    Args:
        card: of the staged version; its graph and tokenizer are written already.
        directory: where they are.
        repository: the model repository; its newest whole version of the model is the one that is followed.
        insisted: publish though it behaves worse; the card's limits then say so.

    Raises:
        TrainingError: it behaves worse than the version it follows, and nobody insisted.
    """
    behaviour = behaviour_of_version(directory, card)
    figures: dict[str, Any] = behaviour_figures(behaviour)
    limits = list(card.limits)
    followed = followed_version(repository, card.model)
    if followed is not None:
        before = behaviour_of_version(followed, checked_card(followed))
        figures["follows"] = {"version": followed.name, **behaviour_figures(before)}
        try:
            check_behaviour(before, behaviour, f"version {followed.name}")
        except TrainingError as error:
            if not insisted:
                raise TrainingError(f"{error}. Publish it all the same with --insist") from error
            limits.append(f"Published though {error}.")
    metrics = {**card.metrics, "behaviour": figures}
    return card.model_copy(update={"metrics": metrics, "limits": limits})
