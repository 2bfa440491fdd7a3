"""Texts as they are also written: in Latin letters, misspelt, disguised, drawn out, with emoji."""

import re
from collections.abc import Callable
from random import Random
from typing import Final

from contract.labels import EMOTIONS

_LATIN: Final = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo", "ж": "zh", "з": "z", "и": "i", "й": "y",
    "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f",
    "х": "h", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
}  # fmt: skip
_ALIKE: Final = dict(zip("асеорухкАВЕКМНОРСТХ", "aceopyxkABEKMHOPCTX", strict=True))
_DIGITS: Final = {"о": "0", "з": "3", "ч": "4", "б": "6", "а": "@"}
_SOUNDS: Final = (
    ("тся", "ца"),
    ("ться", "тца"),
    ("что", "што"),
    ("его", "ево"),
    ("сч", "щ"),
    ("жи", "жы"),
    ("ши", "шы"),
)
_EMOJI: Final = {
    "joy": ("😀", "😍", "🥰", "🎊", "😄", "💛", "🤗"),
    "sadness": ("😞", "😿", "🥺", "😔", "🖤", "😩"),
    "surprise": ("😮", "😳", "🙀", "😯"),
    "fear": ("😰", "😧", "😖"),
    "anger": ("😠", "💢", "😾", "🖕"),
    "no_emotion": ("📌", "📎", "🕘", "📍", "🚌"),
}


def in_latin(text: str, _: Random, __: str) -> str:
    """Transliterated, one letter at a time."""
    return "".join(_cased(letter, _LATIN.get(letter.lower(), letter)) for letter in text)


def _cased(letter: str, written: str) -> str:
    return written.capitalize() if letter.isupper() else written


def misspelt(text: str, random: Random, _: str) -> str:
    """Words as they sound, and in every fourth long word a letter too few or two in the wrong order."""
    for written, heard in _SOUNDS:
        text = text.replace(written, heard)

    def slip(match: re.Match[str]) -> str:
        word = match.group()
        if random.random() > 0.25:
            return word
        place = random.randrange(1, len(word) - 2)
        return (
            word[:place] + (word[place + 1] + word[place] if random.random() < 0.5 else word[place]) + word[place + 2 :]
        )

    return re.sub(r"[А-Яа-яЁё]{5,}", slip, text)


def disguised(text: str, random: Random, _: str) -> str:
    """Latin letters, or digits, in the place of some Cyrillic ones."""
    table = _ALIKE if random.random() < 0.7 else _DIGITS
    return "".join(table[letter] if letter in table and random.random() < 0.6 else letter for letter in text)


def drawn_out(text: str, random: Random, _: str) -> str:
    """A vowel of one word many times."""
    vowels = [match.start() for match in re.finditer("[аеиоуыэюяАЕИОУЫЭЮЯ]", text)]
    if not vowels:
        return text
    place = random.choice(vowels)
    return text[:place] + text[place] * random.randint(3, 12) + text[place + 1 :]


def with_emoji(text: str, random: Random, emotion: str) -> str:
    """Emoji of the text's emotion, with or without a space before."""
    emoji = random.choice(_EMOJI[emotion]) * random.randint(1, 3)
    return f"{text}{random.choice(('', '', ' '))}{emoji}"


SPELLINGS: Final[tuple[Callable[[str, Random, str], str], ...]] = (
    in_latin,
    misspelt,
    disguised,
    drawn_out,
    with_emoji,
)


def respelt(text: str, labels: frozenset[int], place: int, random: Random) -> str:
    """The text in one of the spellings, by turns; its emotion is the first of its labels."""
    return SPELLINGS[place % len(SPELLINGS)](text, random, EMOTIONS[min(labels)])
