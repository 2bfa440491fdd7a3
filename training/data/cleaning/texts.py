"""When two texts are the same text: normalisation, and the keys that rows are compared by."""

import unicodedata
from functools import lru_cache
from typing import Final

from training.encoder.normalization.normalizer import normalizer

# Joins emoji into one (a family, a profession); without it they fall apart.
_JOINER: Final = "\u200d"


def normalised(text: str) -> str:
    """As it is trained on: Unicode NFC, no invisible characters, single spaces.

    Never corrects spelling and keeps ё, case and punctuation: users' texts have them too.
    """
    kept = "".join(_visible(character) for character in unicodedata.normalize("NFC", text))
    return " ".join(kept.split())


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cf", "Cc") and character != _JOINER:
        # Tabs and line ends are control characters too, but they part words.
        return " " if character.isspace() else ""
    return character


# Every fold compares the same texts, by several rules.
@lru_cache(maxsize=65536)
def folded(text: str) -> str:
    """The text but for case, spaces, ё and the form of its letters; punctuation stays."""
    folded = unicodedata.normalize("NFKC", normalised(text)).casefold().replace("ё", "е")
    return " ".join(folded.split())


@lru_cache(maxsize=65536)
def comparison_key(text: str) -> str:
    """The text but for punctuation and stress marks too: rows with one key stay together.

    "Удивительно!" and "удивительно :(" have one key, though not one meaning, so a key tells
    where a text may leak and not which rows are superfluous. Empty for punctuation alone.
    """
    return " ".join("".join(_letter(character) for character in folded(text)).split())


@lru_cache(maxsize=65536)
def leak_keys(text: str) -> tuple[str, ...]:
    """The keys by which a text may leak: its own, and that of what a normalising encoder reads of it.

    Such an encoder reads look-alike, Latin and drawn-out letters as the plain ones. None for punctuation alone.
    """
    keys = (comparison_key(text), comparison_key(normalizer().normalize_str(text)))
    return tuple(key for key in dict.fromkeys(keys) if key)


def _letter(character: str) -> str:
    category = unicodedata.category(character)
    # й and other letters are whole after NFKC: the marks that are left are stress and ornament.
    if category.startswith("M"):
        return ""
    # So: emoji say something of their own. Other symbols (+, ^, $) serve as punctuation.
    return character if category[0] in "LN" or category == "So" else " "
