"""The suite's texts: what each must have, that no two are alike, and that halves are fixed."""

import json
import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from contract.labels import EMOTIONS
from training.behaviour.suite import GROUPS, HALVES, SUITE, load_suite
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import comparison_key, folded, normalised

ROWS = [json.loads(line) for line in SUITE.read_text(encoding="utf-8").splitlines()]


def test_every_row_has_a_text_a_group_labels_and_a_half() -> None:
    assert len(ROWS) >= 620
    for row in ROWS:
        assert list(row) == ["text", "group", "labels", "half"], row
        assert row["text"].strip() == row["text"] != "", row
        assert row["half"] in HALVES, row
        # In EMOTIONS' order, none twice, and never so many that any answer is right.
        assert row["labels"] == [emotion for emotion in EMOTIONS if emotion in row["labels"]], row
        assert 1 <= len(row["labels"]) <= 3, row


def test_every_group_is_described_and_has_twenty_texts() -> None:
    counts = Counter(row["group"] for row in ROWS)
    assert list(counts) == list(GROUPS)
    assert len(counts) >= 31
    assert {group: count for group, count in counts.items() if count < 20} == {}


def test_texts_are_short_and_of_many_lengths() -> None:
    words = Counter(len(row["text"].split()) for row in ROWS)
    assert max(words) <= 45
    assert set(range(2, 16)) <= set(words)
    assert sum(count for length, count in words.items() if length >= 20) >= 15


def test_no_two_texts_are_alike() -> None:
    keys = Counter(comparison_key(row["text"]) or folded(row["text"]) for row in ROWS)
    assert [text for text, count in keys.items() if count > 1] == []
    worded = [row["text"] for row in ROWS if comparison_key(row["text"])]
    near = NearDuplicates(worded)
    assert [(text, worded[n]) for i, text in enumerate(worded) for n in near.matches(text) if n != i] == []


def test_halves_of_a_group_alternate_after_a_seeded_shuffle() -> None:
    for group in GROUPS:
        rows = [row for row in ROWS if row["group"] == group]
        order = list(range(len(rows)))
        Random(f"behaviour {group}").shuffle(order)  # noqa: S311 - the same draw every time
        drawn = [HALVES[place % 2] for place in range(len(rows))]
        assert [rows[index]["half"] for index in order] == drawn, group


def test_only_the_open_half_is_read_unless_the_other_is_asked_for() -> None:
    opened, hidden = load_suite(), load_suite(["hidden"])
    assert {case.half for case in opened} == {"open"}
    assert {case.half for case in hidden} == {"hidden"}
    assert len(opened) + len(hidden) == len(load_suite(HALVES)) == len(ROWS)
    assert {EMOTIONS[label] for label in opened[0].labels} == set(ROWS[0]["labels"])
    assert opened[0].text == next(row["text"] for row in ROWS if row["half"] == "open")


@pytest.mark.skipif("EMOTION_DATA_DIR" not in os.environ, reason="EMOTION_DATA_DIR names no directory of data sets")
def test_no_text_is_in_a_data_set() -> None:
    near = NearDuplicates(row["text"] for row in ROWS if comparison_key(row["text"]))
    keys = {comparison_key(row["text"]) for row in ROWS} - {""}
    files = sorted(Path(os.environ["EMOTION_DATA_DIR"]).glob("*/*.jsonl"))
    assert files
    for path in files:
        texts = {normalised(json.loads(line)["text"]) for line in path.read_text(encoding="utf-8").splitlines()}
        # Of other languages' rows none is in Cyrillic, and comparing them would take minutes.
        russian = [text for text in texts if any("а" <= letter <= "я" for letter in text.lower())]
        assert [text for text in russian if comparison_key(text) in keys or near.matches(text)] == [], path
