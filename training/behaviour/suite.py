"""The suite: short texts that moderators, shops, support desks and bots see, each with its acceptable top labels.

Written for this project, copied from nowhere, under the project's licence. Half of each group is open: it may be
read, and decisions may rest on it. The other half is hidden: it is for the last report of a finished model only.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from contract.labels import EMOTIONS

Half = Literal["open", "hidden"]
HALVES: Final[tuple[Half, ...]] = ("open", "hidden")
SUITE: Final = Path(__file__).with_name("suite.jsonl")

GROUPS: Final = {
    "sarcasm": "praise that is meant as its opposite",
    "threats": "somebody is threatened",
    "hate": "hatred of a person, a group or a thing",
    "negated_joy": "joy that is denied",
    "negated_bad": "sadness, fear or anger that is denied",
    "joy": "plain joy",
    "sadness": "plain sadness",
    "surprise": "plain surprise",
    "fear": "plain fear",
    "anger": "plain anger",
    "bad_reviews": "reviews by people who were let down",
    "good_reviews": "reviews by people who are content",
    "transliteration": "Russian in Latin letters",
    "slang": "the language of chats and games",
    "polite_complaints": "complaints in polite words",
    "emoji": "emoji, with and without a space before them",
    "typos": "texts full of spelling mistakes",
    "insults": "somebody is insulted",
    "news": "news without an emotion",
    "business": "letters of an office",
    "greetings": "greetings and farewells",
    "questions": "questions about facts",
    "thanks": "thanks",
    "mixed": "several emotions at once",
    "swearing_joy": "swearing for joy",
    "swearing_anger": "swearing in anger",
    "profanity_filler": "swear words that mean nothing",
    "grief": "somebody has died",
    "worry": "fear for others",
    "relief": "a danger that has passed",
    "disappointment": "hopes that were not fulfilled",
    "disguised": "look-alike letters, stretched or spaced words, stress marks",
    "unknown": "signs and scripts of which nothing is known",
    "quotes": "what others feel, told by somebody",
    "hypothetical": "what is only imagined, or asked of a bot",
    "support": "faults reported without an emotion",
    "short": "one or two words to a bot",
    "praise_idioms": "praise in negations and idioms",
    "demands": "angry demands without a word for anger",
    "intensifiers": "«ужасно», «страшно» and their like as mere stress",
    "mentions": "words for emotions as names and terms",
    "wishes": "congratulations and good wishes",
    "love": "tenderness",
    "despair": "no way out",
    "stories": "long texts",
}
"""What each group is, in the order of the file."""


@dataclass(frozen=True)
class Case:
    """One text; `labels` are the indices into `EMOTIONS` that a most probable label may be."""

    text: str
    group: str
    labels: frozenset[int]
    half: Half


def load_suite(halves: Iterable[Half] = ("open",)) -> list[Case]:
    """The texts of the open half, or of the halves named, in the order of the file."""
    wanted = set(halves)
    rows = (json.loads(line) for line in SUITE.read_text(encoding="utf-8").splitlines())
    return [case for case in map(_case, rows) if case.half in wanted]


def _case(row: dict[str, Any]) -> Case:
    return Case(row["text"], row["group"], frozenset(EMOTIONS.index(name) for name in row["labels"]), row["half"])
