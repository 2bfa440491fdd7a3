"""Texts written by templates: how many, how different, what they say, and that none is from the suite."""

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from contract.labels import EMOTIONS
from training.behaviour import wordings
from training.behaviour.suite import HALVES, load_suite
from training.behaviour.wordings import GREETINGS, SIGNATURES, THANKS
from training.data import __main__ as command
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import comparison_key
from training.data.rows.examples import Example
from training.data.written import surroundings
from training.data.written.examples import EACH, FAMILIES, written_examples
from training.data.written.family import Family
from training.data.written.spelling import disguised, drawn_out, in_latin, misspelt, with_emoji
from training.data.written.surroundings import CLOSINGS, COMMON, OPENINGS, surrounded

SHARED_WORDS = 5


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return written_examples()


def test_there_are_thousands_of_different_texts_of_every_emotion(examples: list[Example]) -> None:
    assert len(examples) >= 4000
    assert len({example.text for example in examples}) == len(examples)
    assert not any("{" in example.text for example in examples)
    counts = Counter(label for example in examples for label in example.labels)
    assert min(counts[label] for label in range(len(EMOTIONS))) >= 300
    assert {example.source for example in examples} == {"written"}


def test_every_family_has_many_texts_and_none_says_half_of_them_alike() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) >= 30
    for family in FAMILIES:
        texts = family.texts(EACH, 0)
        assert len(texts) >= 90, family.name
        near = NearDuplicates()
        different = 0
        for text in texts:
            different += not near.matches(text)
            near.add(text)
        assert different >= len(texts) / 2, family.name


def test_the_same_texts_every_time_and_others_with_another_seed() -> None:
    family = FAMILIES[0]
    assert family.texts(20, 0) == family.texts(20, 0) == family.texts(40, 0)[:20]
    assert family.texts(20, 0) != family.texts(20, 1)
    assert written_examples(3) == written_examples(3)


def test_a_family_by_hand() -> None:
    family = Family("weather", frozenset({"joy"}), ("{sky_cap}, {sky}", "тепло"), {"sky": ("ясно", "солнце")})
    assert set(family.texts(9, 0)) == {"Ясно, солнце", "Солнце, ясно", "тепло"}
    assert family.targets() == frozenset({EMOTIONS.index("joy")})


def test_no_text_was_made_from_the_suite(examples: list[Example]) -> None:
    suite = [case.text for case in load_suite(HALVES) if comparison_key(case.text)]
    near = NearDuplicates(suite)
    assert [(e.text, suite[n]) for e in examples for n in near.matches(e.text)] == []
    phrases = {phrase: text for text in suite for phrase in phrases_of(text)}
    shared = {(phrases[p], e.text) for e in examples for p in phrases_of(e.text) if p in phrases}
    assert shared == set()


def phrases_of(text: str) -> set[str]:
    words = comparison_key(text).split()
    return {" ".join(words[start : start + SHARED_WORDS]) for start in range(len(words) - SHARED_WORDS + 1)}


def test_the_command_writes_them_all(
    tmp_path: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "written.jsonl"
    monkeypatch.setattr("sys.argv", ["training.data", "written", "--output", str(path)])
    command.main()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == [example.text for example in examples]
    assert rows[0] == {
        "text": examples[0].text,
        "labels": [EMOTIONS[label] for label in sorted(examples[0].labels)],
        "source": "written",
    }
    assert capsys.readouterr().out == f"{len(rows):,} texts are in {path}\n"


def test_what_surrounds_training_texts_is_not_what_is_measured_with() -> None:
    measured = {*GREETINGS, *THANKS, *SIGNATURES, *(name for names in wordings.NAMES.values() for name in names)}
    trained = {*OPENINGS, *CLOSINGS, *surroundings.NAMES}
    shared = {comparison_key(phrase) for phrase in measured} & {comparison_key(phrase) for phrase in trained}
    assert shared <= set(COMMON)


def test_a_surrounded_text_keeps_its_letters() -> None:
    random = Random(0)  # noqa: S311 - the same draw every time
    text = "где мой зонт"
    made = [surrounded(text, random) for _ in range(200)]
    assert len(set(made)) > 100
    assert all(comparison_key(text) in comparison_key(each) for each in made)
    assert [surrounded(text, Random(5)) for _ in range(2)] == [surrounded(text, Random(5))] * 2  # noqa: S311


def test_spellings() -> None:
    random = Random(0)  # noqa: S311 - the same draw every time
    text = "Мне очень страшно, что же будет"
    assert in_latin(text, random, "fear") == "Mne ochen strashno, chto zhe budet"
    assert "што" in misspelt(text, random, "fear")
    assert disguised(text, random, "fear") != text
    assert len(drawn_out(text, random, "fear")) >= len(text) + 2
    emoji = with_emoji("Ура", random, "joy").removeprefix("Ура").strip()
    assert set(emoji) <= set("😀😍🥰🎊😄💛🤗")
    assert emoji
