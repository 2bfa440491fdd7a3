"""Changes that mean nothing: each is what it says, keeps the words, and is the same every time."""

import re
import unicodedata
from collections.abc import Callable

import pytest

from training.behaviour.changes import CHANGES, all_changes
from training.behaviour.suite import load_suite
from training.behaviour.wordings import FROWNS, GREETINGS, NAMES, SIGNATURES, SMILES, THANKS

TEXTS = [case.text for case in load_suite()]
BY_NAME = {change.name: change for change in CHANGES}
LATIN = str.maketrans("aceopyxABEKMHOPCTX", "асеорухАВЕКМНОРСТХ")


def bare(text: str) -> str:
    """Letters and digits alone, in small letters."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def without_marks(text: str, *marks: str) -> str:
    return "".join(letter for letter in text if letter not in marks)


def adds_before(*phrases: str) -> Callable[[str, str], bool]:
    return lambda text, changed: any(changed == f"{phrase} {text}" for phrase in phrases)


def adds_after(*phrases: str) -> Callable[[str, str], bool]:
    return lambda text, changed: any(changed in (f"{text} {p}", f"{text}. {p}") for p in phrases)


def ends_with(mark: str) -> Callable[[str, str], bool]:
    return lambda text, changed: bare(text) == bare(changed) and re.fullmatch(rf".*\w{re.escape(mark)}", changed, re.S)


def has_a_name(people: str) -> Callable[[str, str], bool]:
    def holds(text: str, changed: str) -> bool:
        return any(
            bare(changed) in (bare(name + text), bare(text + name)) and name in changed for name in NAMES[people]
        )

    return holds


def shared_start(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def mistyped(text: str, changed: str) -> bool:
    """One word is another by one letter or two neighbours, and keeps its ends."""
    pairs = [(a, b) for a, b in zip(text.split(), changed.split(), strict=True) if a != b]
    if len(pairs) != 1:
        return False
    old, new = pairs[0]
    before = shared_start(old, new)
    after = shared_start(old[before:][::-1], new[before:][::-1])
    return max(len(old), len(new)) - before - after <= 2 and (old[0], old[-1]) == (new[0], new[-1])


IS_WHAT_IT_SAYS: dict[str, Callable[[str, str], bool]] = {
    "greeting": adds_before(*GREETINGS),
    "thanks_before": adds_before(*THANKS),
    "thanks_after": adds_after(*THANKS),
    "signature": adds_after(*SIGNATURES),
    "no_mark": ends_with(""),
    "full_stop": ends_with("."),
    "exclamation": ends_with("!"),
    "question": ends_with("?"),
    "smile": lambda text, changed: any(changed == text + smile for smile in SMILES),
    "frown": lambda text, changed: any(changed == text + frown for frown in FROWNS),
    **{f"name_{people}": has_a_name(people) for people in NAMES},
    "lower_case": lambda text, changed: changed == text.lower(),
    "upper_case": lambda text, changed: changed == text.upper(),
    "no_yo": lambda text, changed: "ё" in text.lower() and changed == text.replace("ё", "е").replace("Ё", "Е"),
    "no_commas": lambda text, changed: "," in text and "," not in changed and bare(changed) == bare(text),
    "typewriter": lambda text, changed: not set("«»—–") & set(changed) and bare(changed) == bare(text),
    "typo": mistyped,
    "look_alikes": lambda text, changed: changed.translate(LATIN) == text.translate(LATIN),
    "stress_marks": lambda text, changed: without_marks(changed, "\u0301") == without_marks(text, "\u0301"),
    "invisible": lambda text, changed: (
        without_marks(changed, "\u00ad", "\u200b", "\u2060", "\ufe0f") == without_marks(text, "\ufe0f")
    ),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_change_is_what_it_says_and_keeps_the_rest(name: str) -> None:
    made = [(text, changed) for text in TEXTS if (changed := BY_NAME[name].made_to(text)) is not None]
    assert len(made) >= 20
    wrong = [pair for pair in made if pair[0] == pair[1] or not IS_WHAT_IT_SAYS[name](*pair)]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("full_stop", "Нам всё понравилось!!", "Нам всё понравилось."),
        ("exclamation", "Когда вы уже приедете?", None),
        ("exclamation", "Нам всё понравилось :)", None),
        ("question", "Нам всё понравилось...", "Нам всё понравилось?"),
        ("no_mark", "Когда вы уже приедете?!", "Когда вы уже приедете"),
        ("no_mark", "Нам всё понравилось", None),
        ("no_yo", "Ёлка, мёд и ещё", "Елка, мед и еще"),
        ("no_yo", "Нет такой буквы здесь", None),
        ("lower_case", "уже так и есть", None),
        ("typewriter", "«Да» — сказал он…", '"Да" - сказал он…'),
        ("typo", "Мне не до вас", None),
        ("greeting", "спасибо большое", None),
    ],
)
def test_texts_by_hand(name: str, text: str, changed: str | None) -> None:
    assert BY_NAME[name].made_to(text) == changed


def test_a_name_before_a_text_takes_its_capital_letter_unless_all_are_capital() -> None:
    for change in (BY_NAME[f"name_{people}"] for people in NAMES):
        for text in ("Верните мои деньги назад)", "ВЕРНИТЕ МОИ ДЕНЬГИ НАЗАД)"):
            changed = change.made_to(text)
            assert changed is not None
            assert changed.endswith(", верните мои деньги назад)" if text[1].islower() else f", {text}"), changed


def test_a_text_gets_the_same_change_whatever_else_is_changed() -> None:
    together = {(change.kind, change.text): change.changed for change in all_changes(TEXTS)}
    for text in TEXTS[::40]:
        alone = {(change.kind, change.text): change.changed for change in all_changes([text])}
        assert alone == {pair: changed for pair, changed in together.items() if pair[1] == text}
    drawn = {changed.split()[0] for (kind, _), changed in together.items() if kind == "greeting"}
    assert len(drawn) > 5, "not one greeting for all"


def test_signs_that_are_said_to_be_invisible_are() -> None:
    changed = BY_NAME["invisible"].made_to("Никто этого не заметит")
    assert changed is not None
    added = set(changed) - set("Никто этого не заметит")
    assert added
    assert {unicodedata.category(sign) for sign in added} <= {"Cf", "Mn"}
