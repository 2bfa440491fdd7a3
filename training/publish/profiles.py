"""Which profiles a new version has: none that flags too many neutral texts."""

from pathlib import Path
from typing import Final

from contract.labels import EMOTIONS
from contract.version_directory import Card
from training.behaviour.suite import load_suite
from training.data.rows.examples import Example
from training.evaluate.predictions import predict_version
from training.measuring.profiles import too_costly, with_neutral_texts

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
