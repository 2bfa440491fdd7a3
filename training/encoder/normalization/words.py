"""What only the word around a letter can tell: look-alikes, and Russian in Latin letters."""

from typing import Any, Final

from tokenizers import Regex, normalizers

from training.encoder.normalization.characters import pairs

MARK: Final = "\u0890"
"""Stands before every possible look-alike until the word around it tells what it is.

A character that makes one grapheme with the next: `letter_map` can replace both together.
"""

_LOOK_ALIKES: Final = pairs("ʙв bь cс hн nп ɴи pр rг ʀя uи yу wш 0о 3з 4ч 6б") | pairs(
    "αа βв γг δд εе ηн ιи κк λл μм νв οо πп ρр σс τт υу φф χх ωш"
)
"""Letters and digits whose look is not that of their sound; the other Latin letters are the same either way."""
_LETTERS: Final = "a-zʙɴʀ"
_SOUNDS: Final = {
    **dict(zip("abcdefghijklmnopqrstuvwxyz", "абкдефгхийклмнопкрстуввхыз", strict=True)),
    **dict(zip("ʙɴʀ", "бнр", strict=True)),
}


def word_rules() -> list[Any]:
    """Normalisers for a text of which each character was mapped; afterwards `letter_map` must follow.

    Rules start with the ASCII character that they look for: a text without it is passed over quickly.
    """
    letter = f"а-я{_LETTERS}α-ω"
    run = f"[{_LETTERS}α-ω0346{MARK}]"

    def in_word_of(kinds: str) -> str:
        before = "|".join(f"[{kinds}]{run}{{{count}}}" for count in range(1, 13))
        return f"(?:(?={run}+?[{kinds}])|(?<={before}))"

    in_cyrillic, in_either = in_word_of("а-я"), in_word_of(f"а-я{_LETTERS}")
    digit = f"(?<=[{letter}].)(?=[0346]{MARK}?[{letter}])(?:(?=[03]){in_either}|{in_cyrillic})"
    alone = rf"(?<![\p{{L}}\p{{N}}'].)[cyʙ](?![\p{{L}}\p{{N}}'{MARK}])"
    between = f"(?<=[{letter}].)(?={MARK}?[{letter}])"
    rules = [
        (f"{MARK}(?!(?=[{_LETTERS}]){in_cyrillic}|(?=[α-ω]){in_either}|{digit}|{alone})", ""),
        (r"'(?<=[bdfglmnprstvz].)(?![aeiou]|[ts]\b)", "ь"),
        (rf"4(?=то)(?<!{MARK}.)", "ч"),
        ("shch|sch(?<=[a-z]sch)", "щ"),
        (f"sh|6{between}", "ш"),
        ("cy(?=[kч])", "су"),
        (rf"ch|4(?<![\p{{L}}\p{{N}}{MARK}].)(?=[aeiou](?!m\b)|to)|4{between}", "ч"),
        ("zh", "ж"),
        ("kh", "х"),
        (rf"ts(?![tkyj])|c(?=[eiy]|\b)(?<!{MARK}.)", "ц"),
        (f"[yj]a(?<!{MARK}..)", "я"),
        ("[yji]u", "ю"),
        (f"[yj][oe](?<!{MARK}..)", "е"),
        ("y(?<=[aeiouyаеяию].)", "й"),
        (r"et(?<![\p{L}\p{N}]..)", "эт"),
    ]
    return [normalizers.Replace(Regex(_ascii(pattern)), content) for pattern, content in rules]


def marked() -> dict[str, str]:
    """Every letter and digit that looks like another than its sound, with the mark before it."""
    return {letter: MARK + letter for letter in _LOOK_ALIKES}


def letter_map() -> dict[str, str]:
    """Every Latin letter as its sound, and every marked one as what it looks like."""
    return _SOUNDS | {MARK + letter: cyrillic for letter, cyrillic in _LOOK_ALIKES.items()}


def _ascii(pattern: str) -> str:
    """The same pattern without characters beyond ASCII, which `repr` of a tokenizer may not survive."""
    return "".join(c if c.isascii() else f"\\x{{{ord(c):x}}}" for c in pattern)
