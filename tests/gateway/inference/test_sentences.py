"""Sentences: where they are, and that no text takes long."""

import random

import pytest
from razdel import sentenize

from gateway.inference.sentences import BLOCK_CHARACTERS, next_sentences


def sentences(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        block, following = next_sentences(text, start)
        assert start < following <= len(text)
        found += block
        start = following
    return found


def shown(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ура! Мы едем, т. е. летим.\nА вы?", ["Ура!", "Мы едем, т. е. летим.", "А вы?"]),
        ("  Одно предложение без точки ", ["Одно предложение без точки"]),
        ("🤬🤬! Да\u0301\u0301. \0Нет.", ["🤬🤬!", "Да\u0301\u0301.", "\0Нет."]),
        ("", []),
        (" \n\u00a0", []),
        ("!!!", ["!!!"]),
    ],
)
def test_sentences_and_their_places(text: str, expected: list[str]) -> None:
    assert shown(text) == expected


def test_blocks_change_nothing() -> None:
    chance = random.Random(7)  # noqa: S311
    pieces = [
        "Он пришёл.",
        "«Да!» — сказал он.",
        "И т. д.",
        "А. С. Пушкин родился в 1799 г. в Москве.",
        "Ну и ну :)",
        "—",
    ]
    text = " ".join(chance.choice(pieces) for _ in range(4000))
    assert len(text) > 10 * BLOCK_CHARACTERS
    assert sentences(text) == [(each.start, each.stop) for each in sentenize(text)]


@pytest.mark.parametrize("filling", ["слово ", "буква", " ", "\0", "а\u0301"])
def test_a_sentence_longer_than_a_block_is_cut_and_whole(filling: str) -> None:
    text = filling * (3 * BLOCK_CHARACTERS // len(filling))
    parts = shown(text)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    if filling == "слово ":
        assert all(part.split(" ")[0] == "слово" for part in parts)


@pytest.mark.parametrize("sign", ["а", "! ", "А. ", "\0", "а\u0301. ", " ", ":) "])
def test_hostile_texts_take_no_more_blocks_than_others(sign: str) -> None:
    text = sign * (100_000 // len(sign))
    blocks, start = 0, 0
    while start < len(text):
        _, following = next_sentences(text, start)
        assert following > start
        blocks, start = blocks + 1, following
    # razdel's time is quadratic within a block alone, and no character is in more than two.
    assert blocks <= 2 * len(text) / BLOCK_CHARACTERS
