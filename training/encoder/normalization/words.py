"""What only the word around a letter can tell: look-alikes, and Russian in Latin letters."""

from typing import Any, Final

from tokenizers import Regex, normalizers

from training.encoder.normalization.characters import pairs

MARK: Final = "\u0890"
"""Stands before every possible look-alike until the word around it tells what it is.

A character that makes one grapheme with the next: `letter_map` can replace both together.
"""

_LOOK_ALIKES: Final = pairs("bь cс hн nп pр rг uи yу wш 0о 3з 4ч 6б ʙв ᴄс ʜн ɴи ᴘр ʀя ʏу") | pairs(
    "αа βв γг δд εе ηн ιи κк λл μм νв οо πп ρр σс τт υу φф χх ωш"
)
"""Letters and digits whose look is not that of their sound; the other Latin letters are the same either way."""
_SOUNDS: Final = pairs("aа bб cк dд eе fф gг hх iи jй kк lл mм nн oо pп qк rр sс tт uу vв wв xх yы zз") | pairs(
    "ʙб ɴн ʀр"
)
_LATIN: Final = "a-zʙᴄʜɴᴘʀʏ"
_ANY_LETTER: Final = f"а-я{_LATIN}α-ω"
_AHEAD: Final = 24
_BEHIND: Final = 12
"""Characters, marks included, that a rule looks ahead and behind: without an end, a long text would take its square."""


def word_rules() -> list[Any]:
    """Normalisers for a text of which each character was mapped and marked; `letter_map` must follow.

    Rules start with the one character that they look for: a text without it is passed over quickly.
    """
    unmarked = f"(?<!{MARK}.)"
    between_letters = f"(?<=[{_ANY_LETTER}].)(?={MARK}?[{_ANY_LETTER}])"
    rules = [
        (f"{MARK}(?!{_read_by_its_look()})", ""),
        # What the capitals told is told.
        *(("ᴄ", "c"), ("ʜ", "h"), ("ʏ", "y"), ("ᴘ", "p")),
        (rf"'(?<=[bdfghlmnprstvzʙɴʀ].)(?![α-ω0-9{MARK}]|(?:[ts]|ll|re|ve)\b)", "ь"),
        (f"4(?=то){unmarked}", "ч"),
        ("shch|sch(?<=[a-z]...)", "щ"),
        (f"sh|6{between_letters}", "ш"),
        ("cy(?=[kч])", "су"),
        (rf"ch|4(?<![\p{{L}}\p{{N}}{MARK}].)(?=[aeiou](?!m\b)|to)|4{between_letters}", "ч"),
        ("zh", "ж"),
        ("kh", "х"),
        (rf"ts(?![tk]|[yj]a|[ury](?<=\bots.))|c(?=[eiy]|\b){unmarked}", "ц"),
        (f"[yj](?<!{MARK}.)a+", "я"),
        (r"[yji]u+|u(?<=[aeoi]u)(?=s?\b|t\b)|u(?<=\blu|\Bblu)(?=[bd]|\b)", "ю"),
        (rf"ye\b(?<=[bdgklmnprsvzхчшжщц]..)(?<!{MARK}..)", "ые"),
        (f"[yj](?<!{MARK}.)(?:o+|e+)", "е"),
        ("y(?<=[aeiouyаеяию].)", "й"),
        (r"e(?<![\p{L}\p{N}].|\bpo.)(?=t|k[kosz]|ff|nerg|mo[цt])|e(?<=\bpo.)(?=tom)", "э"),
        # Soft signs that hardly anybody writes, in words that everybody uses.
        (r"n(?<=oчen|\bden|жizn|osen)\b", "нь"),
        (r"l(?<=\btol|\bbol|skol|[st]il|nel)(?=[kшn]|zя)", "ль"),
        (r"s(?<=юs|[aiyя]l[aio]s)\b", "сь"),
    ]
    return [normalizers.Replace(Regex(_ascii(pattern)), content) for pattern, content in rules]


def _read_by_its_look() -> str:
    """What must hold behind a mark: the character there is read as the Cyrillic letter that it looks like."""
    run = f"[{_LATIN}α-ω0346{MARK}]"
    in_cyrillic = f"(?:{_ahead(run, '[а-я]')}|{_behind('[а-я]', run)})"
    letters = f"[а-я{_LATIN}]"
    in_letters = f"(?:{_ahead(f'[α-ω0346{MARK}]', letters)}|{_behind(letters, run)})"
    between_letters = f"(?<=[{_ANY_LETTER}]{MARK})(?=.{MARK}?[{_ANY_LETTER}])"
    boundary = rf"[^\p{{L}}\p{{N}}'{MARK}]"
    by_itself = rf"(?<=^.|{boundary}.)(?:[cᴄyʏʙ]|[cᴄ]o)(?={boundary}|$)"
    near_cyrillic = f"(?:{_ahead('[^а-я]', '[а-я]')}|{_behind('[а-я]', '.')}|{_behind('[а-я].{12}', '.')})"
    in_look_alikes = "|".join(
        f"{_ahead(alike, f'(?:{boundary}|$)')}{_behind(boundary, alike, '^')}"
        for alike in (f"[aceopxykʙᴄʜᴘʏ{MARK}]", f"[aekmotxʙᴄʜᴘʏ{MARK}]")
    )
    return "|".join(
        [
            f"(?=[{_LATIN}]){in_cyrillic}",
            f"(?=[α-ω]){in_letters}",
            f"(?=[03]){between_letters}{in_letters}",
            f"(?=[46]){between_letters}{in_cyrillic}",
            by_itself,
            # «BCE плохо», «He могу», «pyка»: a word of look-alikes alone is one if the text is in Cyrillic.
            f"(?=[cpyʙᴄʜᴘʏ]){near_cyrillic}(?:{in_look_alikes})",
        ]
    )


def _ahead(between: str, last: str) -> str:
    """From here on stand one to `_AHEAD` characters `between`, then `last`."""
    return f"(?=(?>{between}{{1,{_AHEAD}}}){last})"


def _behind(first: str, between: str, *other_firsts: str) -> str:
    """Behind here stands `first`, with one to `_BEHIND` characters `between`.

    A lookbehind has alternatives, not repeats.
    """
    counts = range(1, _BEHIND + 1)
    return f"(?<={'|'.join(f'{one}{between}{{{count}}}' for one in (first, *other_firsts) for count in counts)})"


def marked() -> dict[str, str]:
    """Every letter and digit that looks like another than its sound, with the mark before it."""
    return {letter: MARK + letter for letter in _LOOK_ALIKES}


def letter_map() -> dict[str, str]:
    """Every Latin letter as its sound, and every marked one as what it looks like."""
    return _SOUNDS | {MARK + letter: cyrillic for letter, cyrillic in _LOOK_ALIKES.items()}


def _ascii(pattern: str) -> str:
    """The same pattern without characters beyond ASCII, which `repr` of a tokenizer may not survive."""
    return "".join(c if c.isascii() else f"\\x{{{ord(c):x}}}" for c in pattern)
