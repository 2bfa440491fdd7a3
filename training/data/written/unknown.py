"""Texts of which nothing can be known, or that have nothing but signs: no emotion.

Made by a program: other scripts, rare symbols, letters and digits at random, dates, codes, links.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator

EACH: Final = 60
"""Texts of a kind."""

_SCRIPTS: Final = (
    ("Georgian", 0x10D0, 0x10F0), ("Armenian", 0x0561, 0x0586), ("Hebrew", 0x05D0, 0x05EA),
    ("Arabic", 0x0628, 0x063A), ("Devanagari", 0x0915, 0x0939), ("Thai", 0x0E01, 0x0E2E),
    ("Han", 0x4E00, 0x9000), ("Hiragana", 0x3042, 0x3093), ("Katakana", 0x30A2, 0x30F3), ("Hangul", 0xAC00, 0xD7A0),
    ("Ethiopic", 0x1200, 0x1240), ("Khmer", 0x1780, 0x17A2), ("Bengali", 0x0995, 0x09A8), ("Tamil", 0x0B95, 0x0B9A),
    ("Cherokee", 0x13A0, 0x13F0), ("Greek", 0x03B1, 0x03C9), ("Runic", 0x16A0, 0x16EA), ("Glagolitic", 0x2C30, 0x2C5E),
)  # fmt: skip
_SYMBOLS: Final = (
    "₽€$¥£₴₸₿", "←↑→↓↔⇒⇐↻", "■□▲△●○◆◇", "∑∏√∞≈≠≤≥∂∫", "─│┌┐└┘├┤╬", "①②③④⑤⑥", "½¼¾⅓⅔", "†‡§¶©®™", "ªº°′″‰", "♠♣♦♪♫",
    "⌘⌥⇧⏎⌫", "⠁⠃⠉⠙⠑", "𝄞𝄢♩♭♯", "☰☱☲☳", "⚀⚁⚂⚃⚄", "𓀀𓁐𓃠", "|/\\_=+*#@%&^~<>[]{}", "-–—•·", "\"'`«»„“",
)  # fmt: skip
_LOWER: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
_CONSONANTS: Final = "бвгджзклмнпрстфхцчшщ"
_KEYBOARD: Final = ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_WEEKDAYS: Final = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
_MONTHS: Final = (
    "января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября",
    "декабря",
)  # fmt: skip
_DOMAINS: Final = (
    "example.com",
    "example.org",
    "test.example",
    "shop.example",
    "xn--e1afmkfd.example",
)
_FILES: Final = ("pdf", "jpg", "docx", "xlsx", "mp4", "txt", "zip", "png")


def unknown_texts() -> list[tuple[str, str]]:
    """Texts, all different and the same every time, and the kind of each."""
    random = np.random.default_rng(0)
    made: dict[str, str] = {}
    for kind, make in _KINDS.items():
        for _ in range(EACH):
            made.setdefault(make(random), kind)
    return list(made.items())


def _pick(choices: str | tuple[str, ...], random: Generator) -> str:
    return choices[random.integers(len(choices))]


def _string(letters: str, shortest: int, longest: int, random: Generator) -> str:
    return "".join(_pick(letters, random) for _ in range(random.integers(shortest, longest + 1)))


def _words(word: Callable[[], str], most: int, random: Generator) -> str:
    return " ".join(word() for _ in range(random.integers(1, most + 1)))


def _other_script(random: Generator) -> str:
    _, first, last = _SCRIPTS[random.integers(len(_SCRIPTS))]
    letters = "".join(map(chr, range(first, last)))
    return _words(lambda: _string(letters, 1, 8, random), 6, random) + _pick(("", "", ".", "!", "?"), random)


def _rare_symbols(random: Generator) -> str:
    return _words(lambda: _string(_pick(_SYMBOLS, random), 1, 6, random), 4, random)


def _marks_alone(random: Generator) -> str:
    marks = (".", "?", "!", "-", ",.", "…", "_", "*", "/")
    return _words(lambda: _string(_pick(marks, random), 1, 7, random), 3, random)


def _random_letters(random: Generator) -> str:
    letters = _pick((_LOWER, _CONSONANTS, *_KEYBOARD, _LOWER.upper()), random)
    # Shorter ones are easily words.
    return _words(lambda: _string(letters, 5, 12, random), 5, random)


def _random_latin(random: Generator) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    alphabets = (letters, letters.upper(), f"{letters}0123456789")
    return _words(lambda: _string(_pick(alphabets, random), 3, 14, random), 4, random)


def _code(random: Generator) -> str:
    parts = [
        _string(_pick(("ABCDEFGHKLMNPQRSTXYZ", "АВЕКМНОРСТ", "0123456789", "0123456789abcdef"), random), 1, 6, random)
        for _ in range(random.integers(1, 5))
    ]
    return _pick(("", "", "№ ", "#", "ID ", "арт. "), random) + _pick(("-", "/", "", " ", "_", "."), random).join(parts)


def _numbers(random: Generator) -> str:
    def number() -> str:
        whole = str(random.integers(10 ** random.integers(1, 9)))
        return whole + _pick(("", "", "%", " ₽", " кг", ",5", ".00", " шт", " см", " руб"), random)

    return _pick((" ", ", ", " + ", " x ", " / ", ": "), random).join(number() for _ in range(random.integers(1, 5)))


def _date(random: Generator) -> str:
    day, month, year = random.integers(1, 29), random.integers(1, 13), random.integers(1990, 2030)
    clock = f"{random.integers(24):02}:{random.integers(60):02}"
    forms = (
        f"{day:02}.{month:02}.{year}", f"{day} {_MONTHS[month - 1]}", f"{day} {_MONTHS[month - 1]} {year}",
        f"{year}-{month:02}-{day:02}", f"{year}-{month:02}-{day:02}T{clock}:00Z", clock, f"с {clock}",
        f"{_pick(_WEEKDAYS, random)} {clock}", f"{_pick(_WEEKDAYS, random)}-{_pick(_WEEKDAYS, random)} {clock}",
        f"{day:02}/{month:02} {clock}", f"{day}.{month}",
    )  # fmt: skip
    return _pick(forms, random)


def _link(random: Generator) -> str:
    name = _string("abcdefghijklmnopqrstuvwxyz", 3, 9, random)
    where, number = _pick(_DOMAINS, random), random.integers(100_000)
    forms = (
        f"https://{where}/{name}", f"https://{where}/{name}?id={number}", f"http://www.{where}", f"{name}@{where}",
        f"@{name}_{number % 100}", f"#{name}", f"{where}/{number}", f"{name}.{_pick(_FILES, random)}",
        f"+7 900 {number % 1000:03}-{number % 97:02}-{number % 89:02}", f"C:\\{name}\\{number}.{_pick(_FILES, random)}",
        f"/{name}/{_string('abcdef', 2, 6, random)}", f"192.0.2.{number % 255}:{number % 9000}",
    )  # fmt: skip
    return _pick(forms, random)


_KINDS: Final[dict[str, Callable[[Generator], str]]] = {
    "other_scripts": _other_script,
    "symbols": _rare_symbols,
    "marks": _marks_alone,
    "random_letters": _random_letters,
    "random_latin": _random_latin,
    "codes": _code,
    "numbers": _numbers,
    "dates": _date,
    "links": _link,
}
