"""Texts as they are also written: other letters and other case, mistyped, disguised, drawn out, in Latin letters.

Each function takes a text and a generator, and returns the text itself where there is nothing to change.
"""

import re
from typing import Final

from numpy.random import Generator

_WORD: Final = re.compile(r"[А-Яа-яЁё]+")
_LONG_WORD: Final = re.compile(r"[А-Яа-яЁё]{5,}")
_VOWEL: Final = re.compile("[аеёиоуыэюя]", re.IGNORECASE)
_LATIN: Final = {
    "а": ("a",), "б": ("b",), "в": ("v",), "г": ("g",), "д": ("d",), "е": ("e",), "ё": ("yo", "e", "jo"),
    "ж": ("zh", "j", "g"), "з": ("z",), "и": ("i",), "й": ("y", "j", "i"), "к": ("k",), "л": ("l",), "м": ("m",),
    "н": ("n",), "о": ("o",), "п": ("p",), "р": ("r",), "с": ("s",), "т": ("t",), "у": ("u",), "ф": ("f",),
    "х": ("h", "kh", "x"), "ц": ("ts", "c"), "ч": ("ch", "4"), "ш": ("sh", "w"), "щ": ("sch", "shch", "sh"),
    "ъ": ("",), "ы": ("y", "i"), "ь": ("", "'", ""), "э": ("e",), "ю": ("yu", "ju", "u"), "я": ("ya", "ja", "ia"),
}  # fmt: skip
_ALIKE: Final = dict(zip("асеорухкАВЕКМНОРСТХУ", "aceopyxkABEKMHOPCTXY", strict=True))
_DIGITS: Final = {"о": "0", "О": "0", "з": "3", "З": "3", "ч": "4", "Ч": "4", "б": "6", "а": "@"}
_KEYS: Final = ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю")
_BESIDE: Final = {
    key: row[max(place - 1, 0) : place] + row[place + 1 : place + 2]
    for row in _KEYS for place, key in enumerate(row)
}  # fmt: skip
_SOUNDS: Final = (
    ("тся", "ца"), ("ться", "тца"), ("что", "што"), ("его", "ево"), ("сч", "щ"), ("жи", "жы"), ("ши", "шы"),
)  # fmt: skip
_STRESS: Final = "\u0301"
_INVISIBLE: Final = ("\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\u2063", "\ufeff", "\ufe0e")
_TYPEWRITER: Final = str.maketrans({"«": '"', "»": '"', "„": '"', "“": '"', "—": "-", "–": "-", "…": "..."})
_WITHOUT_YO: Final = str.maketrans("ёЁ", "еЕ")


def lower_case(text: str, _: Generator) -> str:
    """Small letters only."""
    return text.lower()


def upper_case(text: str, _: Generator) -> str:
    """Capital letters only."""
    return text.upper()


def no_yo(text: str, _: Generator) -> str:
    """The letter е for ё."""
    return text.translate(_WITHOUT_YO)


def no_commas(text: str, _: Generator) -> str:
    """No commas."""
    return text.replace(",", "")


def typewriter(text: str, _: Generator) -> str:
    """Quotation marks, dashes and dots as a keyboard has them."""
    return text.translate(_TYPEWRITER)


def typo(text: str, random: Generator) -> str:
    """One slip inside one longer word: a letter left out, doubled, its neighbour on the keyboard; or two swapped."""
    words = [match.span() for match in _LONG_WORD.finditer(text)]
    if not words:
        return text
    start, end = words[random.integers(len(words))]
    place = int(random.integers(start + 1, end - 1))
    here, following = text[place], text[place + 1]
    beside = _BESIDE.get(here, here)
    slips = (
        following, here + here + following, following + here, beside[random.integers(len(beside))] + following
    )  # fmt: skip
    return text[:place] + slips[random.integers(len(slips))] + text[place + 2 :]


def misspelt(text: str, random: Generator) -> str:
    """Words as they sound, and a slip in one of them."""
    for written, heard in _SOUNDS:
        text = text.replace(written, heard)
    return typo(text, random)


def transliterated(text: str, random: Generator) -> str:
    """In Latin letters; people differ in how they write ж, х and their like, but each does it in one way."""
    way = int(random.integers(6))
    table = {}
    for letter, written in _LATIN.items():
        latin = written[way % len(written)]
        table[ord(letter)] = latin
        table[ord(letter.upper())] = latin.capitalize()
    return text.translate(table)


def look_alikes(text: str, random: Generator) -> str:
    """Latin letters in the place of Cyrillic ones that look like them."""
    return _replaced(text, _ALIKE, random)


def digits(text: str, random: Generator) -> str:
    """Digits in the place of letters."""
    return _replaced(text, _DIGITS, random)


def _replaced(text: str, table: dict[str, str], random: Generator) -> str:
    """A share, drawn too, of the letters in the table, by what they are there."""
    draws = (random.random(len(text)) < random.uniform(0.2, 1)).tolist()
    return "".join([table.get(letter, letter) if drawn else letter for letter, drawn in zip(text, draws, strict=True)])


def stretched(text: str, random: Generator) -> str:
    """A vowel many times: the last one of a word, mostly, as people draw words out."""
    words = _WORD.findall(text)
    if not words:
        return text
    word = words[random.integers(len(words))]
    vowels = [match.start() for match in _VOWEL.finditer(word)]
    if not vowels:
        return text
    place = vowels[-1] if random.random() < 0.6 else vowels[random.integers(len(vowels))]
    drawn = word[:place] + word[place] * int(random.integers(3, 12)) + word[place + 1 :]
    return text.replace(word, drawn, 1)


def stress_marks(text: str, random: Generator) -> str:
    """A stress mark in words of two syllables or more."""
    draws = iter(random.random(len(text)).tolist())

    def stressed(match: re.Match[str]) -> str:
        word = match.group()
        vowels = [vowel.end() for vowel in _VOWEL.finditer(word)]
        if len(vowels) < 2:
            return word
        place = vowels[int(next(draws) * len(vowels))]
        return f"{word[:place]}{_STRESS}{word[place:]}"

    return _WORD.sub(stressed, text)


def invisible(text: str, random: Generator) -> str:
    """Signs that nobody sees, here and there inside words."""
    sign = _INVISIBLE[random.integers(len(_INVISIBLE))]
    draws = (random.random(len(text)) < random.uniform(0.05, 0.4)).tolist()
    pairs = zip(text, f"{text[1:]} ", draws, strict=True)
    return "".join([
        here + sign if drawn and here.isalpha() and following.isalpha() else here for here, following, drawn in pairs
    ])  # fmt: skip
