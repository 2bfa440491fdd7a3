"""Changes of a training text that mean nothing, so that its targets stay: what stands around it, and how it is spelt.

    surrounded("Верните деньги", numpy.random.default_rng(0))   # «Уважаемые соседи! Верните деньги»

A hundred thousand texts take a few seconds. A short text is only spelt otherwise: «ок» with thanks says more than «ок».
A question mark and a frown may honestly move a label now and then, and are drawn seldom.
"""

import re
from bisect import bisect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final

from numpy.random import Generator

from training.data.written.phrases import (
    DECORATIONS,
    FILLERS,
    FROWNS,
    FULL_STOPS,
    GREETING_MARKS,
    GREETINGS,
    NAMES,
    QUESTION_MARKS,
    SIGNATURES,
    SMILES,
    THANKS,
    THANKS_MARKS,
)
from training.data.written.spelling import (
    digits,
    invisible,
    look_alikes,
    lower_case,
    no_commas,
    no_yo,
    stress_marks,
    stretched,
    transliterated,
    typewriter,
    typo,
    upper_case,
)

LEAST_WORDS: Final = 3
"""Of a text that something may be put around."""
TWO_CHANGES: Final = 0.45
"""Share of texts that get two changes."""
_DRAWS: Final = 8  # Until one is found that does something to the text.
_STATEMENT: Final = re.compile(r"(.*\w)([.!…]*)", re.DOTALL)
_SENTENCE: Final = re.compile(r"(.*\w)([.!?…]*)", re.DOTALL)

Edit = Callable[[str, Generator], str]


@dataclass(frozen=True)
class Change:
    """A kind of change; `weight` is how often it is drawn beside the others, `around` whether it adds something.

    `edit` returns the text itself where there is nothing to change.
    """

    edit: Edit
    weight: float
    around: bool = True


def surrounded(text: str, random: Generator, without: Collection[str] = ()) -> str:
    """The text after one or two changes that mean nothing; itself where none can be made.

    Args:
        text: any text that a label belongs to.
        random: what draws; the same state gives the same text.
        without: changes of `CHANGES` that are not made, because to this text they would mean something.
    """
    wanted = 1 + (random.random() < TWO_CHANGES)
    may_add = len(text.split()) >= LEAST_WORDS
    made: set[str] = set()
    for _ in range(_DRAWS):
        name = _NAMES[bisect(_CUMULATED, random.random() * _CUMULATED[-1])]
        change = CHANGES[name]
        if name in made or name in without or (change.around and not may_add):
            continue
        changed = change.edit(text, random)
        if changed != text:
            text = changed
            made.add(name)
            if len(made) == wanted:
                break
    return text


def _one_of(phrases: Sequence[str], random: Generator) -> str:
    return phrases[int(random.random() * len(phrases))]


def _as_the_text(phrase: str, text: str, random: Generator) -> str:
    """In small letters beside a text in small letters, mostly."""
    return phrase.lower() if random.random() < (0.8 if text.islower() else 0.1) else phrase


def _before(text: str, random: Generator, phrases: Sequence[str], marks: Sequence[str]) -> str:
    phrase = _as_the_text(_one_of(phrases, random), text, random) + _one_of(marks, random)
    goes_on = phrase[-1] in ",:"
    return f"{phrase} {_continued(text, random)}" if goes_on else phrase + _one_of((" ", " ", " ", "\n"), random) + text


def _after(text: str, random: Generator, phrases: Sequence[str], marks: Sequence[str]) -> str:
    phrase = _as_the_text(_one_of(phrases, random), text, random) + _one_of(marks, random)
    closing = _one_of((".", ".", "!", ",", "", "\n"), random) if text[-1].isalnum() else ""
    return f"{text}{closing}{phrase}" if closing == "\n" else f"{text}{closing} {phrase}"


def _continued(text: str, random: Generator) -> str:
    """With a small letter first, mostly, unless more letters are capital."""
    capital_alone = text[0].isupper() and text[1:2].islower()
    return text[0].lower() + text[1:] if capital_alone and random.random() < 0.7 else text


def _addressed(text: str, random: Generator) -> str:
    """A name before the text or, where that ends with a word and a mark, behind it; people forget the comma."""
    name = _as_the_text(_one_of(NAMES, random), text, random)
    found = _SENTENCE.fullmatch(text)
    if found and random.random() < 0.4:
        return f"{found[1]}{_one_of((', ', ', ', ' '), random)}{name}{found[2]}"
    mark = _one_of((", ", ", ", ", ", "! ", " ", ". "), random)
    return f"{name}{mark}{_continued(text, random) if mark == ', ' else text}"


def _marked(text: str, random: Generator, marks: Sequence[str]) -> str:
    """With another final mark; a question stays one, and what ends with a smiley stays as it is."""
    found = _STATEMENT.fullmatch(text)
    return found[1] + _one_of(marks, random) if found else text


def _unquestioned(text: str, random: Generator) -> str:
    """A question without its mark, as people type them."""
    found = _SENTENCE.fullmatch(text)
    return found[1] + _one_of(("", "", "."), random) if found and "?" in found[2] else text


def _smiling(text: str, random: Generator, smileys: Sequence[str]) -> str:
    return f"{text}{_one_of(('', '', ' '), random)}{_one_of(smileys, random)}"


def _decorated(text: str, random: Generator) -> str:
    sign = _one_of(DECORATIONS, random)
    return f"{sign} {text}" if random.random() < 0.5 else f"{text}{_one_of(('', ' '), random)}{sign}"


MOODS: Final = ("smile", "frown")
"""Changes that say something where the words alone don't: "пошёл работать)" is glad, "ненавижу)" still is not."""

CHANGES: Final[Mapping[str, Change]] = {
    "greeting": Change(partial(_before, phrases=GREETINGS, marks=GREETING_MARKS), 14),
    "filler": Change(partial(_before, phrases=FILLERS, marks=("",)), 3),
    "thanks_before": Change(partial(_before, phrases=THANKS, marks=THANKS_MARKS), 8),
    "thanks_after": Change(partial(_after, phrases=THANKS, marks=THANKS_MARKS), 10),
    "signature": Change(partial(_after, phrases=SIGNATURES, marks=("", ".", "!")), 6),
    "final_mark": Change(partial(_marked, marks=FULL_STOPS), 24),
    "question_mark": Change(partial(_marked, marks=QUESTION_MARKS), 2),
    "no_question_mark": Change(_unquestioned, 3, around=False),
    "smile": Change(partial(_smiling, smileys=SMILES), 13),
    "frown": Change(partial(_smiling, smileys=FROWNS), 3),
    "decoration": Change(_decorated, 3),
    "name": Change(_addressed, 20),
    "lower_case": Change(lower_case, 4, around=False),
    "upper_case": Change(upper_case, 2, around=False),
    "no_yo": Change(no_yo, 2, around=False),
    "no_commas": Change(no_commas, 3, around=False),
    "typewriter": Change(typewriter, 1, around=False),
    "typo": Change(typo, 7, around=False),
    "look_alikes": Change(look_alikes, 2, around=False),
    "digits": Change(digits, 1, around=False),
    "stretched": Change(stretched, 2, around=False),
    "stress_marks": Change(stress_marks, 1, around=False),
    "invisible": Change(invisible, 1, around=False),
    "transliterated": Change(transliterated, 2, around=False),
}
_NAMES: Final = tuple(CHANGES)
_CUMULATED: Final = tuple(accumulate(change.weight for change in CHANGES.values()))
