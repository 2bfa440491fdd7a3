"""Changes of a text that mean nothing: whoever feels something feels the same after them.

A change is drawn at random, with a seed made of its name and the text, so that a text always gets the same one. It
is made to texts of at least three words only: a greeting added to «ок» says more than «ок» does.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from training.behaviour.wordings import FROWNS, GREETINGS, NAMES, SIGNATURES, SMILES, THANKS

LEAST_WORDS: Final = 3
_WORD: Final = re.compile(r"[А-Яа-яЁё]+")
_STATEMENT: Final = re.compile(r"(.*\w)([.!…]*)", re.DOTALL)
_OPEN_ENDED: Final = re.compile(r"(.*\w)([.!?…]*)", re.DOTALL)
_VOWELS: Final = "аеёиоуыэюяАЕЁИОУЫЭЮЯ"
_LATIN: Final = str.maketrans("асеорухАВЕКМНОРСТХ", "aceopyxABEKMHOPCTX")
_TYPEWRITER: Final = str.maketrans("«»—–", '""--')
_STRESS: Final = "\u0301"
_INVISIBLE: Final = ("\u00ad", "\u200b", "\u2060", "\ufe0f")
_KEYS: Final = ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю")
_LEAST_LETTERS: Final = 6  # Of a word that gets a typing mistake: shorter ones easily become other words.

Edit = Callable[[str, Random], str]


@dataclass(frozen=True)
class Change:
    """A kind of change; `edit` returns the text itself where there is nothing to change."""

    name: str
    description: str
    edit: Edit

    def made_to(self, text: str) -> str | None:
        """The changed text; None where the change cannot be made or the text is too short."""
        if len(_WORD.findall(text)) < LEAST_WORDS:
            return None
        changed = self.edit(text, Random(f"{self.name} {text}"))  # noqa: S311 - the same draw every time
        return None if changed == text else changed


@dataclass(frozen=True)
class Changed:
    """A text before and after a change of a kind."""

    kind: str
    text: str
    changed: str


def all_changes(texts: Iterable[str]) -> list[Changed]:
    """Every change of every kind that can be made to the texts."""
    made = [(change.name, text, change.made_to(text)) for change in CHANGES for text in texts]
    return [Changed(kind, text, changed) for kind, text, changed in made if changed is not None]


def _before(text: str, random: Random, phrases: tuple[str, ...]) -> str:
    return f"{random.choice(phrases)} {text}"


def _after(text: str, random: Random, phrases: tuple[str, ...]) -> str:
    return f"{_closed(text)} {random.choice(phrases)}"


def _closed(text: str) -> str:
    """With a final mark, so that what follows is a sentence of its own."""
    return text if not text[-1].isalnum() else f"{text}."


def _ended(text: str, _: Random, mark: str) -> str:
    """With another final mark; a question stays one, and so does what ends with a smiley."""
    found = _STATEMENT.fullmatch(text)
    return found[1] + mark if found else text


def _unmarked(text: str, _: Random) -> str:
    found = _OPEN_ENDED.fullmatch(text)
    return found[1] if found else text


def _with_smiley(text: str, random: Random, smileys: tuple[str, ...]) -> str:
    return text + random.choice(smileys)


def _addressed(text: str, random: Random, names: tuple[str, ...]) -> str:
    """The name before the text or, where that ends with a word, after it."""
    name = random.choice(names)
    found = _OPEN_ENDED.fullmatch(text)
    if found and random.random() < 0.5:
        return f"{found[1]}, {name}{found[2]}"
    capital_alone = text[0].isupper() and text[1:2].islower()
    return f"{name}, {text[0].lower() if capital_alone else text[0]}{text[1:]}"


def _lower(text: str, _: Random) -> str:
    return text.lower()


def _upper(text: str, _: Random) -> str:
    return text.upper()


def _without_yo(text: str, _: Random) -> str:
    return text.translate(str.maketrans("ёЁ", "еЕ"))


def _without_commas(text: str, _: Random) -> str:
    return text.replace(",", "")


def _typewriter(text: str, _: Random) -> str:
    return text.translate(_TYPEWRITER)


def _mistyped(text: str, random: Random) -> str:
    words = [match for match in _WORD.finditer(text) if len(match.group()) >= _LEAST_LETTERS]
    if not words:
        return text
    word = random.choice(words)
    # The first and the last letter stay, as people read words by them.
    place = random.randrange(word.start() + 1, word.end() - 2)
    here, following = text[place], text[place + 1]
    made = {
        "swapped": following + here,
        "left out": following,
        "doubled": here + here + following,
        "neighbour": _neighbour(here, random) + following,
    }
    return text[:place] + made[random.choice(list(made))] + text[place + 2 :]


def _neighbour(letter: str, random: Random) -> str:
    """A key beside the letter's on a Russian keyboard, in its case."""
    plain = letter.lower().replace("ё", "е")
    row = next(row for row in _KEYS if plain in row)
    place = row.index(plain)
    beside = random.choice([row[index] for index in (place - 1, place + 1) if 0 <= index < len(row)])
    return beside.upper() if letter.isupper() else beside


def _look_alike(text: str, random: Random) -> str:
    """Half of all letters that have a Latin double, at least one."""
    places = [place for place, letter in enumerate(text) if letter.translate(_LATIN) != letter]
    if not places:
        return text
    replaced = {random.choice(places)} | {place for place in places if random.random() < 0.5}
    return "".join(letter.translate(_LATIN) if place in replaced else letter for place, letter in enumerate(text))


def _stressed(text: str, random: Random) -> str:
    def with_stress(match: re.Match[str]) -> str:
        vowels = [place for place, letter in enumerate(match.group()) if letter in _VOWELS]
        if len(vowels) < 2:
            return match.group()
        place = random.choice(vowels) + 1
        return match.group()[:place] + _STRESS + match.group()[place:]

    return _WORD.sub(with_stress, text)


def _invisible(text: str, random: Random) -> str:
    """A sign that nobody sees inside every word of four letters or more."""

    def with_sign(match: re.Match[str]) -> str:
        word = match.group()
        if len(word) < 4:
            return word
        place = random.randrange(1, len(word))
        return word[:place] + random.choice(_INVISIBLE) + word[place:]

    return _WORD.sub(with_sign, text)


CHANGES: Final = (
    Change("greeting", "a greeting before the text", partial(_before, phrases=GREETINGS)),
    Change("thanks_before", "thanks before the text", partial(_before, phrases=THANKS[:5])),
    Change("thanks_after", "thanks after the text", partial(_after, phrases=THANKS)),
    Change("signature", "a farewell or a name under the text", partial(_after, phrases=SIGNATURES)),
    Change("no_mark", "no final mark", _unmarked),
    Change("full_stop", "a full stop as the final mark", partial(_ended, mark=".")),
    Change("exclamation", "an exclamation mark as the final mark", partial(_ended, mark="!")),
    Change("question", "a question mark as the final mark", partial(_ended, mark="?")),
    Change("smile", "a smile after the text", partial(_with_smiley, smileys=SMILES)),
    Change("frown", "a frown after the text", partial(_with_smiley, smileys=FROWNS)),
    *(
        Change(f"name_{people}", f"somebody is addressed: names, {people}", partial(_addressed, names=names))
        for people, names in NAMES.items()
    ),
    Change("lower_case", "small letters only", _lower),
    Change("upper_case", "capital letters only", _upper),
    Change("no_yo", "е for ё", _without_yo),
    Change("no_commas", "no commas", _without_commas),
    Change("typewriter", "quotation marks, dashes and dots as a keyboard has them", _typewriter),
    Change("typo", "one typing mistake in a longer word", _mistyped),
    Change("look_alikes", "Latin letters that look like Cyrillic ones", _look_alike),
    Change("stress_marks", "a stress mark in every longer word", _stressed),
    Change("invisible", "signs that nobody sees, inside words", _invisible),
)
