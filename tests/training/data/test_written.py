"""Texts written for this project: how many, how different, what they say, and that none is from the suite."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from contract.labels import EMOTIONS
from tests.support.triton_process import ROOT
from training.behaviour.suite import HALVES, load_suite
from training.data import __main__ as command
from training.data.cleaning.decontamination import HeldOutTexts
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import comparison_key, leak_keys
from training.data.report.statistics import SplitRows, figures_of
from training.data.rows.loading import load_rows, load_source
from training.data.splits.folds import held_out_fold
from training.data.written.families.family import Family
from training.data.written.texts import (
    EACH,
    FAMILIES,
    HANDWRITTEN,
    WrittenText,
    handwritten_texts,
    with_emoji,
    written_rows,
    written_texts,
)
from training.data.written.unknown import unknown_texts

SHARED_WORDS = 5


@pytest.fixture(scope="module")
def texts() -> list[WrittenText]:
    return written_texts()


def test_there_are_thousands_of_different_texts_of_every_emotion(texts: list[WrittenText]) -> None:
    assert len(texts) >= 14_000
    assert len({written.text for written in texts}) == len(texts)
    assert not any("{" in written.text for written in texts if not written.group.startswith("unknown_"))
    counts = Counter(label for written in texts for label in written.labels)
    assert set(counts) == set(EMOTIONS)
    assert min(counts.values()) >= 800


def test_they_are_a_data_set_like_the_others(tmp_path: Path, texts: list[WrittenText]) -> None:
    examples = load_source("written", "train", tmp_path)
    assert [(e.text, {EMOTIONS[index] for index in e.labels}) for e in examples] == [
        (written.text, set(written.labels)) for written in texts
    ]
    assert {example.source for example in examples} == {"written"}


def test_every_handwritten_row_is_as_it_should_be() -> None:
    for path in sorted(HANDWRITTEN.iterdir()):
        assert path.suffix == ".jsonl"
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            assert list(row) == ["text", "labels", "group"], row
            assert row["text"].strip() == row["text"] != "", row
            assert row["group"].replace("_", "").isalpha(), row


def test_no_two_handwritten_texts_are_alike() -> None:
    written = list(handwritten_texts())
    keys = Counter(comparison_key(each.text) for each in written if comparison_key(each.text))
    assert [key for key, count in keys.items() if count > 1] == []
    near, alike = NearDuplicates(), []
    for each in written:
        if comparison_key(each.text):
            alike += near.matches(each.text)
            near.add(each.text)
    assert alike == []


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


def test_the_same_texts_every_time_and_others_with_another_seed(texts: list[WrittenText]) -> None:
    family = FAMILIES[0]
    assert family.texts(20, 0) == family.texts(20, 0) == family.texts(40, 0)[:20]
    assert family.texts(20, 0) != family.texts(20, 1)
    assert written_texts() == texts


def test_a_family_by_hand() -> None:
    family = Family("weather", ("joy",), ("{sky_cap}, {sky}", "тепло"), {"sky": ("ясно", "солнце")})
    assert set(family.texts(9, 0)) == {"Ясно, солнце", "Солнце, ясно", "тепло"}


def test_unknown_texts_say_nothing() -> None:
    made = unknown_texts()
    assert made == unknown_texts()
    assert len(made) >= 500
    assert min(Counter(kind for _, kind in made).values()) >= 50
    known = {word for written in handwritten_texts() for word in comparison_key(written.text).split() if len(word) > 3}
    words = {word for text, kind in made if kind == "random_letters" for word in comparison_key(text).split()}
    assert words & known == set()


def test_no_text_was_made_from_the_suite(texts: list[WrittenText]) -> None:
    suite = [case.text for case in load_suite(HALVES) if comparison_key(case.text)]
    near = NearDuplicates(suite)
    keyed = [written for written in texts if comparison_key(written.text)]
    assert [(w.text, suite[n]) for w in keyed for n in near.matches(w.text)] == []
    assert {case.text for case in load_suite(HALVES)} & {written.text for written in texts} == set()
    # Nor as a normalising encoder reads it: transliterated, drawn out.
    keys = {key for text in suite for key in leak_keys(text)}
    assert [w.text for w in keyed if not keys.isdisjoint(leak_keys(w.text))] == []
    phrases = {phrase: text for text in suite for phrase in phrases_of(text)}
    shared = {(phrases[p], w.text) for w in keyed for p in phrases_of(w.text) if p in phrases}
    assert shared == set()


@pytest.mark.skipif("EMOTION_DATA_DIR" not in os.environ, reason="EMOTION_DATA_DIR names no directory of data sets")
def test_no_text_is_in_the_dev_split(texts: list[WrittenText]) -> None:
    dev = HeldOutTexts(example.text for example in held_out_fold(0, Path(os.environ["EMOTION_DATA_DIR"])))
    assert [written.text for written in texts if dev.overlap(written.text)] == []


def phrases_of(text: str) -> set[str]:
    words = comparison_key(text).split()
    return {" ".join(words[start : start + SHARED_WORDS]) for start in range(len(words) - SHARED_WORDS + 1)}


def test_the_command_writes_them_all(
    tmp_path: Path, texts: list[WrittenText], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "written.jsonl"
    monkeypatch.setattr("sys.argv", ["training.data", "written", "--output", str(path)])
    command.main()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows == written_rows()
    assert [(row["text"], tuple(row["labels"]), row["group"]) for row in rows] == [
        (written.text, written.labels, written.group) for written in texts
    ]
    assert capsys.readouterr().out == f"{len(rows):,} texts are in {path}\n"


def test_the_documents_count_them() -> None:
    figures = figures_of(SplitRows("written", "train", load_rows("written", "train")))
    counts = (figures.rows, *figures.emotions.values(), figures.none, figures.repeated)
    row = f"| written train | {' | '.join(f'{count:,}' for count in counts)} |"
    assert row in (ROOT / "docs" / "data.md").read_text(encoding="utf-8").splitlines()


def test_emoji_of_an_emotion() -> None:
    random = np.random.default_rng(0)
    emoji = with_emoji("Ура", "joy", random).removeprefix("Ура").strip()
    assert emoji
    assert set(emoji) <= set("😀😍🥰🎊😄💛🤗")
