"""The steps of normalisation, in their order."""

from functools import cache
from typing import Any, Final

from tokenizers import Regex, normalizers

from training.encoder.normalization.character_map import precompiled
from training.encoder.normalization.characters import JOINED_TO_THE_NEXT, character_map
from training.encoder.normalization.words import MARK, letter_map, marked, word_rules

_JOINED_SIGN: Final = r"\x{200D}[\x{2190}-\x{2BFF}\x{1F000}-\x{1FAFF}]"


@cache
def normalizer() -> Any:
    """What makes a text what the encoder reads: lower-case Russian letters, digits, punctuation, signs apart.

    What is left of other scripts stays as it is. Normalising twice changes nothing.
    """
    return normalizers.Sequence(
        [
            # NUL can't be in a character map. A sign joined to an emoji (its sex, its trade) says no more than it.
            normalizers.Replace(Regex(rf"[\x00{MARK}{JOINED_TO_THE_NEXT}]|{_JOINED_SIGN}"), ""),
            normalizers.Replace(Regex(r"[\x{1F1E6}-\x{1F1FF}]+"), " флаг "),
            normalizers.Replace("И\u0306", "й"),
            precompiled(_marked(character_map())),
            *word_rules(),
            precompiled(letter_map()),
            normalizers.Replace(MARK, ""),
            # Drawn-out words are read as the plain ones: «радаааа», «уужжжас». Two words are spelled so.
            normalizers.Replace(Regex(r"(?!\b(?:ссср|ооо)\b)([а-я])\K\1{2,}"), ""),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Strip(),
        ]
    )


def _marked(characters: dict[str, str]) -> dict[str, str]:
    """The same map with a mark before every look-alike that it gives or leaves."""
    table = str.maketrans(marked())
    return marked() | {character: text.translate(table) for character, text in characters.items()}
