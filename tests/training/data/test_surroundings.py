"""Changes of training texts that mean nothing: each keeps the words, and is made in other words than measured ones."""

import unicodedata
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from training.behaviour import wordings
from training.data.cleaning.texts import comparison_key
from training.data.written import phrases
from training.data.written.spelling import transliterated
from training.data.written.surroundings import CHANGES, LEAST_WORDS, surrounded
from training.data.written.texts import written_texts

TEXTS = [written.text for written in written_texts() if len(written.text.split()) >= LEAST_WORDS][::20]
TEXT = "Ещё раз, мне очень «страшно» — что же будет"
LATIN = str.maketrans("aceopyxkABEKMHOPCTXY", "асеорухкАВЕКМНОРСТХУ")


def made_of(name: str, text: str = TEXT, draws: int = 60) -> set[str]:
    random = np.random.default_rng(0)
    return {CHANGES[name].edit(text, random) for _ in range(draws)}


def letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def drop(*signs: str) -> Callable[[str], str]:
    return lambda text: "".join(letter for letter in text if letter not in signs)


def without_format(text: str) -> str:
    return "".join(sign for sign in text if unicodedata.category(sign) not in ("Cf", "Mn"))


def test_what_is_put_around_training_texts_is_not_what_is_measured_with() -> None:
    named = (name for names in wordings.NAMES.values() for name in names)
    measured = {*wordings.GREETINGS, *wordings.THANKS, *wordings.SIGNATURES, *named}
    trained = {*phrases.GREETINGS, *phrases.FILLERS, *phrases.THANKS, *phrases.SIGNATURES, *phrases.NAMES}
    shared = {comparison_key(phrase) for phrase in measured} & {comparison_key(phrase) for phrase in trained}
    assert shared <= set(phrases.COMMON)


@pytest.mark.parametrize(
    "name",
    [*(n for n, change in CHANGES.items() if change.around), "lower_case", "upper_case", "no_commas", "typewriter"],
)
def test_the_words_stay(name: str) -> None:
    made = made_of(name)
    assert all(letters(TEXT) in letters(text) for text in made)
    assert len(made - {TEXT}) >= (4 if CHANGES[name].around else 1)


def test_other_spellings() -> None:
    assert made_of("no_yo") == {TEXT.replace("ё", "е")}
    assert made_of("typewriter") == {'Ещё раз, мне очень "страшно" - что же будет'}
    assert {text.translate(LATIN) for text in made_of("look_alikes")} == {TEXT}
    assert {drop("\u0301")(text) for text in made_of("stress_marks")} == {TEXT}
    invisible = made_of("invisible")
    assert {without_format(text) for text in invisible} == {TEXT}
    assert len(invisible) > 10
    assert all(len(text) - len(TEXT) >= 2 for text in made_of("stretched"))
    assert all(-1 <= len(text) - len(TEXT) <= 1 for text in made_of("typo"))
    assert all(set(text) - set(TEXT) <= set("03462@") for text in made_of("digits"))
    assert made_of("no_question_mark", "Где мой зонт?") == {"Где мой зонт", "Где мой зонт."}
    assert made_of("no_question_mark") == {TEXT}


def test_transliteration_is_one_way_throughout_and_all_of_it_is_latin() -> None:
    ways = made_of("transliterated", "Жду чашу, хочу щи")
    assert "Zhdu chashu, hochu schi" in ways
    assert len(ways) == 6
    assert not any("а" <= letter <= "я" for text in ways for letter in text.lower())
    assert transliterated("ok", np.random.default_rng(0)) == "ok"


@pytest.mark.parametrize("name", CHANGES)
def test_any_text_can_be_changed(name: str) -> None:
    random = np.random.default_rng(1)
    for text in (*TEXTS, "а", "!", "😀", "ok", "?", "  ", "ъъъ"):
        CHANGES[name].edit(text, random)


def test_a_text_is_changed_once_or_twice_and_the_same_generator_gives_the_same() -> None:
    made = [surrounded(text, np.random.default_rng(number)) for number, text in enumerate(TEXTS)]
    assert made == [surrounded(text, np.random.default_rng(number)) for number, text in enumerate(TEXTS)]
    assert sum(text == changed for text, changed in zip(TEXTS, made, strict=True)) < len(TEXTS) / 100
    random = np.random.default_rng(0)
    assert len({surrounded(TEXT, random) for _ in range(300)}) > 250


def test_frowns_and_question_marks_are_seldom() -> None:
    random = np.random.default_rng(0)
    made = [surrounded("Завтра мы едем к морю", random) for _ in range(4000)]
    shares = Counter(sign for text in made for sign in ("?", "(", ")", "!") if sign in text)
    assert shares["?"] < 0.06 * len(made)
    assert shares["("] < 0.06 * len(made)
    assert shares[")"] > 0.1 * len(made)
    assert shares["!"] > 0.1 * len(made)


def test_nothing_is_put_around_a_short_text() -> None:
    random = np.random.default_rng(0)
    made = {surrounded("Ладно", random) for _ in range(300)}
    longer = {text for text in made if len(letters(without_format(text))) > len("Ладно")}
    # Drawn out, mistyped or in Latin letters.
    assert all(len(text.split()) == 1 for text in made)
    assert longer
