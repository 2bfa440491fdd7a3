"""What each character becomes, whatever stands around it."""

import re
import unicodedata
from functools import cache
from importlib import resources
from itertools import chain
from typing import Final


def pairs(words: str) -> dict[str, str]:
    """A map written as words: the first character of each becomes the rest of it."""
    return {word[0]: word[1:] for word in words.split()}


CYRILLIC: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюя"

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt)."""

JOINED_TO_THE_NEXT: Final = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Prepended_Concatenation_Mark: one grapheme with the character behind, which a map would take with it."""

_MARK_BLOCKS: Final = (range(0x300, 0x370), range(0x1AB0, 0x1B00), range(0x1DC0, 0x1E00), range(0x20D0, 0x2100))
"""Combining marks for any letter, with what later versions of Unicode will put there."""

_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_SIGN_BLOCKS: Final = (range(0x2190, 0x2C00), range(0x1F000, 0x1FC00))
"""Arrows to symbols, and emoji, with what later versions of Unicode will put there."""

_QUOTES: Final = {**dict.fromkeys("«»“”„‟〝〞〟″‶", '"'), **dict.fromkeys("‘’‚‛‹›′‵ʼʹʻˈ＇`", "'")}
_SIGNS: Final = {
    **_QUOTES,
    **dict.fromkeys("−⁃➖", "-"),
    "₽": "руб",
    "€": "евро",
    "£": "фунт",
    "№": "номер",
    "℃": "°",
    "℉": "°",
    "⁄": "/",
}
_OTHER_CYRILLIC: Final = pairs(
    "ёе іи їи єе ґг ўу ѓг ќк ѐе ѝи ђдж ѕс јй љль њнь ћч џдж ѣе ѳф ѵи ѡо ѧя ѩя ѫу ѭю ѯкс ѱпс ғг җж ҙз қк "
    "ҡк ңн ҥн өо ҫс үу ұу ҳх ҷч һх әэ ӏъ ѹу ҽч ӡз ӕе ҩо "
    "ѥе ҵц ӌч ҁк ӄк ӈн ԁд ԛк ԝв ԥп ᴎи ᴙя ʁя"
)
_OTHER_LATIN: Final = pairs(
    "šsh žzh čch æae œoe ßss þth ðd ıi ŋng əe łl øo đd ɑa ɡg ħh ŧt ʌa ɔo ɛe ɐa ǝe ɟf ɥh ɯm ɹr ʇt ʍw ʎy ʞk"
)
_SMALL_CAPITALS: Final = pairs("Bʙ Cᴄ Hʜ Nɴ Pᴘ Rʀ Yʏ")
"""Latin capitals that look like another Cyrillic letter than the small one, or like one at all: kept apart."""


def character_map() -> dict[str, str]:
    """What each character becomes: only those that change. Signs get a space on both sides."""
    everything = map(chr, chain(range(1, 0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000)))
    joined = re.compile(f"[{JOINED_TO_THE_NEXT}]")
    mapped = {character: _mapped(character) for character in everything if not joined.match(character)}
    for _ in range(2):  # what a letter became may itself be another's form
        mapped = {
            character: "".join(mapped.get(part, part) if part.isalpha() else part for part in text)
            for character, text in mapped.items()
        }
    # Decomposed й; the capital's key would be hidden behind that of И.
    mapped["и\u0306"] = "й"
    return {character: text for character, text in mapped.items() if character != text}


def _mapped(character: str) -> str:
    if character in emoji():
        return f" {emoji()[character]} "
    if _is_nothing(character):
        return ""
    compatible = character if character in _SIGNS else unicodedata.normalize("NFKC", character)
    text = "".join(_in_plain_russian(part) for part in compatible)
    if _is_sign(character):
        return f" {text if text.strip() else character} "
    return text if text.strip() or unicodedata.category(character)[0] in "ZC" else f" {character} "


def _in_plain_russian(character: str) -> str:
    """Of a character that NFKC leaves as it is."""
    if character in _SIGNS:
        return _SIGNS[character]
    category = unicodedata.category(character)
    if category == "Cc" or category[0] == "Z":
        return " "
    if _is_nothing(character):
        return ""
    if category == "Pd":
        return "-"
    if _is_sign(character):
        return f" {character} "
    digit = unicodedata.digit(character, None)
    return str(digit) if digit is not None else _without_marks(character)


def _is_sign(character: str) -> bool:
    if character.isascii():
        return False
    return unicodedata.category(character)[0] == "S" or any(ord(character) in block for block in _SIGN_BLOCKS)


def _is_nothing(character: str) -> bool:
    """Whether a reader sees nothing there, or only a mark on another character."""
    if character in "\t\n\v\f\r\x85":
        return False
    invisible = _IGNORABLE.match(character) or unicodedata.category(character) in ("Cc", "Cf")
    return bool(invisible) or _is_mark(character)


def _is_mark(character: str) -> bool:
    code = ord(character)
    return unicodedata.category(character)[0] == "M" or any(code in block for block in (*_MARK_BLOCKS, _SKIN_TONES))


def _without_marks(letter: str) -> str:
    """Lower case, without diacritics, a foreign Cyrillic or Latin letter as the nearest plain one."""
    if letter in _SMALL_CAPITALS:
        return _SMALL_CAPITALS[letter]
    lower = "".join(part for part in letter.lower() if not _is_mark(part))
    for table in (_OTHER_CYRILLIC, _OTHER_LATIN):
        if lower in table:
            return table[lower]
    name = unicodedata.name(lower, "") if len(lower) == 1 else ""
    if lower == "й" or not name.startswith(("LATIN", "CYRILLIC")):
        return lower
    if "SMALL CAPITAL" in name:
        small = _named(name.replace("LETTER SMALL CAPITAL", "SMALL LETTER"))
        return small if small and lower not in _SMALL_CAPITALS.values() else lower
    base = unicodedata.normalize("NFD", lower)[0]
    if base == lower and " WITH " in name:
        base = _named(name.split(" WITH ")[0]) or lower
    return _OTHER_CYRILLIC.get(base, _OTHER_LATIN.get(base, base))


def _named(name: str) -> str | None:
    try:
        return unicodedata.normalize("NFKC", unicodedata.lookup(name))
    except KeyError:
        return None


@cache
def emoji() -> dict[str, str]:
    """Each emoji and what it is read as: itself, a near relative, or words."""
    lines = resources.files(__package__).joinpath("emoji.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {sign: text for text, signs in rows for sign in signs.split(" ")}


def kept_emoji() -> list[str]:
    """The emoji that stay signs, each with a piece of its own."""
    return [sign for sign, text in emoji().items() if sign == text]


def alphabet() -> list[str]:
    """The characters of normalised Russian text, each of which a vocabulary must have."""
    ascii_characters = (chr(code) for code in range(0x21, 0x7F))
    return [*CYRILLIC, *(c for c in ascii_characters if not c.isalpha()), "°", *kept_emoji()]
