"""Character maps: every key is replaced, and nothing else."""

import unicodedata

import pytest

from training.encoder.normalization.character_map import precompiled
from training.encoder.normalization.characters import character_map


def test_keys_are_replaced_and_nothing_else() -> None:
    """Two nodes of the trie that share a base would lend each other their children."""
    replacements = character_map()
    normalizer = precompiled(replacements)
    joined = {"\u0600", "\u0601", "\u0602", "\u0603", "\u0604", "\u0605"}
    for code in range(1, 0x40000):
        character = chr(code)
        if unicodedata.category(character) != "Cs" and character not in joined:
            assert normalizer.normalize_str(character) == replacements.get(character, character), hex(code)


def test_the_shortest_key_wins_within_a_grapheme() -> None:
    normalizer = precompiled({"a": "б", "e\u0301": "э", "\u0301": ""})
    assert normalizer.normalize_str("a\u0301 e\u0301 o\u0301 ae") == "б э o бe"


def test_removals_and_longer_texts() -> None:
    normalizer = precompiled({"№": "номер", "x": "", "😂": ":)"})
    assert normalizer.normalize_str("x№x1😂xx") == "номер1:)"


@pytest.mark.parametrize("key", ["", "a\0"])
def test_a_key_that_no_map_can_hold(key: str) -> None:
    with pytest.raises(ValueError, match="needs characters other than zero"):
        precompiled({key: "b"})
