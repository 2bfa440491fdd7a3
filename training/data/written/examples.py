"""All written texts as examples of a data set."""

from random import Random
from typing import Final

from training.data.rows.examples import Example
from training.data.written.complaints import COMPLAINTS
from training.data.written.feelings import FEELINGS
from training.data.written.hostility import HOSTILITY
from training.data.written.negation import NEGATION
from training.data.written.neutral import NEUTRAL
from training.data.written.reviews import REVIEWS
from training.data.written.spelling import respelt

SOURCE: Final = "written"
FAMILIES: Final = (*HOSTILITY, *COMPLAINTS, *REVIEWS, *NEGATION, *FEELINGS, *NEUTRAL)
EACH: Final = 130
"""Texts of a family, where it has so many."""
RESPELT: Final = 4
"""Every so many texts there is one more, spelt otherwise."""


def written_examples(each: int = EACH, seed: int = 0) -> list[Example]:
    """At most `each` texts of every family, all different, and some of them in other spellings."""
    plain = {text: family.targets() for family in FAMILIES for text in family.texts(each, seed)}
    random = Random(seed)  # noqa: S311 - the same draw every time
    others = {
        respelt(text, labels, place, random): labels
        for place, (text, labels) in enumerate(list(plain.items())[::RESPELT])
    }
    return [Example(text, labels, SOURCE) for text, labels in {**others, **plain}.items()]
