"""Which profiles a new version has: none that flags too many neutral texts, and all that the version before it has."""

from pathlib import Path
from typing import Final

from contract.labels import EMOTIONS
from contract.version_directory import Card
from training.behaviour.suite import load_suite
from training.common.command import TrainingError
from training.data.rows.examples import Example
from training.evaluate.predictions import checked_card, predict_version
from training.measuring.profiles import too_costly, with_neutral_texts
from training.publish.behaviour import followed_version

NEUTRAL_GROUPS: Final = ("news", "business", "questions", "support", "short")
"""Groups of the suite that show no emotion and are not about one."""

_TEXTS: Final = f"the behaviour suite's open half: {', '.join(NEUTRAL_GROUPS)}"


def neutral_texts() -> list[str]:
    """The suite's texts that show no emotion, of its open half: what is published is decided on them."""
    neutral = frozenset({EMOTIONS.index("no_emotion")})
    return [case.text for case in load_suite() if case.group in NEUTRAL_GROUPS and case.labels == neutral]


def no_profile(name: str, reason: str) -> str:
    """The sentence for a card's limits."""
    return f"There is no profile {name}: {reason}."


def with_affordable_profiles(card: Card, directory: Path) -> Card:
    """The card of the version staged in `directory`, with what its profiles cost on the suite's neutral texts.

    Those that flag too many neutral texts are left out, the card's limits say why, and it is printed.
    """
    examples = [Example(text, frozenset(), "") for text in neutral_texts()]
    profiles = with_neutral_texts(card.profiles, _TEXTS, predict_version(directory, card, examples))
    for name, profile in profiles.items():
        shares = ", ".join(f"{cost.flagged:.1%} ({texts})" for texts, cost in profile.neutral.items())
        print(f"{name} flags of neutral texts: {shares}", flush=True)
    costly = too_costly(profiles)
    refused = [no_profile(name, reason) for name, reason in costly.items()]
    for sentence in refused:
        print(sentence, flush=True)
    kept = {name: profile for name, profile in profiles.items() if name not in costly}
    return card.model_copy(update={"profiles": kept, "limits": [*card.limits, *refused]})


def check_no_profile_is_lost(card: Card, repository: Path) -> None:
    """That a new version has the profiles of the one it follows: clients ask for them by name.

    Raises:
        TrainingError: one is missing.
    """
    followed = followed_version(repository, card.model)
    if followed is None:
        return
    lost = [name for name in checked_card(followed).profiles if name not in card.profiles]
    if lost:
        raise TrainingError(
            f"version {followed.name} has the profile {' and '.join(lost)}, and this one would not, so that clients who"
            " ask for it would be refused. Publish it all the same with --insist"
        )
