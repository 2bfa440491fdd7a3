"""The cleaning steps: what each one touches, what it leaves, and in which order."""

import re

import numpy as np
import pytest

from contract.labels import EMOTIONS
from training.behaviour.suite import HALVES, load_suite
from training.data.cleaning.duplicates import NearDuplicates, similarity
from training.data.cleaning.steps import Cleaned, clean, steps_as_text
from training.data.cleaning.texts import comparison_key, folded, normalised
from training.data.rows.examples import Example


def example(text: str, *emotions: str, source: str = "cedr") -> Example:
    return Example(text, frozenset(EMOTIONS.index(emotion) for emotion in emotions), source)


def touched(cleaned: Cleaned) -> dict[str, list[str]]:
    return {step.name: [row.example.text for row in step.touched] for step in cleaned.steps if step.touched}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  ура\t\nвсем  ", "ура всем"),
        ("те\u00adкст\u200b и\u202a ещё\ufeff", "текст и ещё"),
        ("е\u0308лка и\u0306", "ёлка й"),
        ("Это\u00a0ТАК… :(", "Это ТАК… :("),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("за\u0301мок", "за\u0301мок"),
        ("превет, каг дила", "превет, каг дила"),
        ("одна\u2028другая\x85третья\x07", "одна другая третья"),
    ],
)
def test_normalised(text: str, expected: str) -> None:
    assert normalised(text) == expected
    assert normalised(expected) == expected


def test_spoken_keeps_punctuation_and_key_does_not() -> None:
    assert folded("ЁЛКИ\u00a0-  палки!!") == "елки - палки!!"
    assert comparison_key("ЁЛКИ\u00a0-  палки!!") == "елки палки"
    assert comparison_key("за\u0301мок… №5, ты_сам ^_^ =)") == "замок no5 ты сам"
    assert comparison_key("мой") != comparison_key("мои")
    assert comparison_key("Ура 😀") != comparison_key("Ура 😡")
    assert comparison_key("?!") == ""


def test_every_step_touches_what_it_should_and_reports_it() -> None:
    long = "очень " * 66 + "длинно"
    rows = [
        example("Какой  хороший день!", "joy"),
        example("какой хороший день", "joy"),
        example("Какой хороший день", "joy", "surprise"),
        example("Какой хороший день !", "sadness"),
        example("Какой хороший день!", "fear"),
        example("Я совсем не боюсь темноты и пауков", "no_emotion"),
        example("Я совсем не боюсь темноты и пауков, вот", "no_emotion"),
        example("Я совсем не боюсь темноты и пауков. Вот", "fear"),
        example("?", "surprise"),
        example(long, "joy"),
        example("Мой дядя самых честных правил", "no_emotion"),
        example("Мой дядя! Самых честных правил?", "no_emotion"),
        example("Moй дядя caмых чecтных правил", "no_emotion"),
        example("Мой дядя самых честных правил, да", "anger"),
        example("Ничего похожего здесь больше нет", "anger"),
    ]
    protected = {"dev": [example("мой дядя самых честных правил", "joy")]}
    cleaned = clean(rows, protected)
    assert touched(cleaned) == {
        "normalisation": ["Какой  хороший день!"],
        "length": ["?", long],
        "leaks into dev": [
            "Мой дядя самых честных правил",
            "Мой дядя! Самых честных правил?",
            "Moй дядя caмых чecтных правил",
        ],
        "near-leaks into dev": ["Мой дядя самых честных правил, да"],
        "duplicates": ["какой хороший день"],
        "contradictions": ["Какой хороший день!"],
        "near-duplicates": ["Я совсем не боюсь темноты и пауков, вот"],
    }
    # What differs in punctuation alone may differ in meaning; with other labels it stays.
    assert [row.text for row in cleaned.examples] == [
        "Какой хороший день!", "Какой хороший день", "Какой хороший день !", "Я совсем не боюсь темноты и пауков",
        "Я совсем не боюсь темноты и пауков. Вот", "Ничего похожего здесь больше нет",
    ]  # fmt: skip
    text = steps_as_text(cleaned.steps)
    assert re.search(r"^length +2 removed fewer than 2 letters", text, re.MULTILINE)
    because = {step.name: step.touched[0].because for step in cleaned.steps if step.touched}
    assert because["contradictions"] == "like 'Какой хороший день!' (joy)"
    assert because["near-leaks into dev"] == "like 'мой дядя самых честных правил'"
    again = clean(cleaned.examples, protected)
    assert again.examples == cleaned.examples
    assert touched(again) == {}


def test_no_command_can_train_on_the_behaviour_suite() -> None:
    suite = [case for case in load_suite(HALVES) if len(comparison_key(case.text)) >= 12][::30]
    rows = [example(case.text.upper(), "joy") for case in suite]
    cleaned = clean([*rows, example("Ничего похожего здесь больше нет", "anger")], {})
    assert touched(cleaned) == {"leaks into the behaviour suite": [row.text for row in rows]}
    near = clean([example(f"{suite[0].text} Да.", "joy")], {})
    assert list(touched(near)) == ["near-leaks into the behaviour suite"]


def test_the_behaviour_suite_is_never_quoted() -> None:
    case = next(case for case in load_suite() if case.group == "stories")
    steps = clean([example(case.text.upper(), "joy"), example(f"{case.text} Да.", "joy")], {}).steps
    reasons = {step.name: [row.because for row in step.touched] for step in steps if step.touched}
    assert reasons == {
        "leaks into the behaviour suite": ["like a text of the behaviour suite"],
        "near-leaks into the behaviour suite": ["like a text of the behaviour suite"],
    }


def test_a_row_never_goes_for_the_likeness_of_one_that_leaks() -> None:
    leaking, near = example("Сегодня в городе шёл сильный дождь", "joy"), "Сегодня в городе шёл сильный дождь, да"
    cleaned = clean([leaking, example(near, "joy")], {"dev": [example(leaking.text, "fear")]})
    assert touched(cleaned) == {"leaks into dev": [leaking.text], "near-leaks into dev": [near]}
    far = "Говорят, сегодня в городе шёл дождь"
    assert similarity(leaking.text, far) < 0.8
    assert clean([leaking, example(far, "joy")], {"dev": [leaking]}).examples == [example(far, "joy")]


def test_the_index_finds_what_comparing_all_pairs_finds() -> None:
    random = np.random.default_rng(3)
    words = ["".join(random.choice(list("абвгдежзик"), 5)) for _ in range(60)]
    texts: list[str] = []
    for _ in range(150):
        first = list(random.choice(words, 12))
        changed = [*first[:11], str(random.choice(words))]
        texts += [" ".join(first), " ".join(changed)]
    index, found = NearDuplicates(), []
    for number, text in enumerate(texts):
        found += [(other, number) for other in index.matches(text)]
        index.add(text)
    pairs = [(i, j) for j in range(len(texts)) for i in range(j) if similarity(texts[i], texts[j]) >= 0.8]
    assert len(pairs) > 50
    assert set(found) <= set(pairs)
    assert len(found) >= 0.95 * len(pairs)


def test_no_rows() -> None:
    cleaned = clean([], {"dev": [example("а", "joy")]})
    assert cleaned.examples == []
    assert touched(cleaned) == {}
