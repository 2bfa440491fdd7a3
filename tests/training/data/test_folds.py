"""CEDR's folds, what is trained on when one is held out, and what never crosses between the two."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from tests.training.support.rows import keyword_rows, write_brighter, write_lines
from training.common.command import TrainingError
from training.data.rows.corrections import Correction
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.folds import brighter_by_fold, fold_of_each, held_out_fold
from training.data.splits.training_rows import train_and_held_out


def cedr_rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(4)
    rows = []
    for number in range(300):
        count = random.choice([0, 1, 1, 1, 2])
        labels = [int(label) for label in random.choice(5, count, replace=False, p=[0.4, 0.3, 0.15, 0.1, 0.05])]
        rows.append({"text": f"{'абвгдежзиклмн'[number % 13] * 9} {number} {number**3}", "labels": labels})
    return rows


def test_fold_zero_is_the_first_stratified_fold_on_the_rarest_label(tmp_path: Path) -> None:
    rows = cedr_rows()
    write_lines(tmp_path, "cedr", "train", rows)
    examples = load_source("cedr", "train", tmp_path)
    # CEDR's own ids; 5 stands for a row without any.
    own = [row["labels"] or [5] for row in rows]
    often = [sum(label in labels for labels in own) for label in range(6)]
    assert len(set(often)) == 6, "no two labels may be equally frequent here"
    rarest = [min(labels, key=often.__getitem__) for labels in own]
    folds = fold_of_each(examples)
    for fold, (_, held_out) in enumerate(StratifiedKFold(5, shuffle=False).split(rows, rarest)):
        assert np.flatnonzero(folds == fold).tolist() == held_out.tolist()
    train, dev = train_and_held_out("cedr", 0, tmp_path)
    first = next(StratifiedKFold(5).split(rows, rarest))
    assert [example.text for example in dev] == [rows[index]["text"] for index in first[1]]
    assert [example.text for example in train] == [rows[index]["text"] for index in first[0]]


def test_brighters_folds_without_what_is_cedrs(tmp_path: Path) -> None:
    rows = keyword_rows(20)
    write_lines(tmp_path, "cedr", "train", rows[:60])
    write_brighter(tmp_path, "rus", "train", rows[60:100])
    write_brighter(tmp_path, "rus", "dev", [*rows[100:], rows[5] | {"text": rows[5]["text"].upper() + "!"}])
    write_brighter(tmp_path, "rus", "test", [{"text": "проверка", "labels": [0]}])
    examples, folds = brighter_by_fold(tmp_path)
    again, again_folds = brighter_by_fold(tmp_path)
    assert examples == again
    assert folds.tolist() == again_folds.tolist() == sorted(folds)
    assert {example.text for example in examples} == {row["text"] for row in rows[60:]}
    assert {example.source for example in examples} == {"brighter_rus"}
    for fold in range(5):
        assert (
            targets(row for row, of in zip(examples, folds, strict=True) if of == fold).sum(axis=0).tolist() == [2] * 6
        )
    order = [[row["text"] for row in rows[60:]].index(example.text) for example in examples]
    assert all(order[n] < order[n + 1] for n in range(59) if folds[n] == folds[n + 1])


def test_too_few_rows_for_folds() -> None:
    with pytest.raises(TrainingError, match="cannot be split into 5 folds"):
        fold_of_each([Example(f"{n}", frozenset({0}), "cedr") for n in range(3)])


def test_combo_adds_the_rare_classes_of_every_split(tmp_path: Path) -> None:
    write_lines(tmp_path, "cedr", "train", cedr_rows())
    for split in ("train", "validation", "test"):
        rows = [{"text": f"{split} {label}", "labels": str(label)} for label in range(9)]
        write_lines(tmp_path, "ru_goemotions", split, [*rows, {"text": f"{split} joy and fear", "labels": "0,6"}])
    alone, dev = train_and_held_out("cedr", 2, tmp_path)
    combo, combo_dev = train_and_held_out("combo", 2, tmp_path)
    assert combo_dev == dev
    assert combo[: len(alone)] == alone
    # Surprise, anger and fear, and nothing that has none of them.
    expected = [f"{split} {tail}" for split in ("train", "validation", "test") for tail in (2, 4, 6, "joy and fear")]
    assert [example.text for example in combo[len(alone) :]] == expected


def test_held_out_text_is_never_trained_on(tmp_path: Path) -> None:
    rows = cedr_rows()
    write_lines(tmp_path, "cedr", "train", rows)
    _, dev = train_and_held_out("cedr", 0, tmp_path)
    leaked = dev[0].text
    rows[-1]["text"] = f"  {leaked.upper()}\n"  # In the last fold, spelled a little differently.
    write_lines(tmp_path, "cedr", "train", rows)
    for split in ("train", "validation", "test"):
        more = [{"text": leaked.replace(" ", "  "), "labels": "6"}, {"text": f"другое {split}", "labels": "6"}]
        write_lines(tmp_path, "ru_goemotions", split, more)
    for fold in range(5):
        train, held_out = train_and_held_out("combo", fold, tmp_path)
        spelled = {" ".join(example.text.lower().split()) for example in held_out}
        assert not [e.text for e in train if " ".join(e.text.lower().split()) in spelled]
        assert sum(example.text.startswith("другое") for example in train) == 3
        if fold not in (0, 4):
            assert any(example.text == leaked for example in train)


SPELLINGS = [
    ("Ёлка, как ёж!", "елка как еж"),
    ("Ура   всем", "УРА ВСЕМ!!!"),
    ("«Правда» — где-то?", "правда где то"),
    ("Это\u00a0за\u0301мок =)", "это замок :("),
    ("Надо\u200bже", "надоже"),
    ("Café 5 000 ₽", "cafe\u0301 5 000 ₽..."),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_spellings_of_one_text_are_never_on_both_sides_of_a_fold(tmp_path: Path, one: str, other: str) -> None:
    rows = cedr_rows()
    write_lines(tmp_path, "cedr", "train", rows)
    folds = fold_of_each(load_source("cedr", "train", tmp_path))
    for fold in range(5):
        rows[int(np.flatnonzero(folds == fold)[3])]["text"] = one if fold % 2 else other
    write_lines(tmp_path, "cedr", "train", rows)
    for fold in range(5):
        train, held_out = train_and_held_out("cedr", fold, tmp_path)
        assert sum(example.text in (one, other) for example in held_out) == 1
        assert len(train) == sum(folds != fold) - 4


def test_held_out_rows_stay_as_they_are_whatever_is_wrong_with_them(tmp_path: Path) -> None:
    rows = cedr_rows()
    write_lines(tmp_path, "cedr", "train", rows)
    folds = fold_of_each(load_source("cedr", "train", tmp_path))
    for number, text in zip(np.flatnonzero(folds == 0), ["!", " а\t б ", "х" * 900, "да да", "Да, да!"], strict=False):
        rows[number]["text"] = text
    write_lines(tmp_path, "cedr", "train", rows)
    expected = [row["text"] for row, fold in zip(rows, folds, strict=True) if fold == 0]
    assert [example.text for example in train_and_held_out("cedr", 0, tmp_path).held_out] == expected
    assert held_out_fold(0, tmp_path) == train_and_held_out("cedr", 0, tmp_path).held_out


def steps_of(dataset: str, data_dir: Path, **arguments: Any) -> dict[str, list[str]]:
    split = train_and_held_out(dataset, 0, data_dir, **arguments)
    return {step.name: [touched.example.text for touched in step.touched] for step in split.steps}


def test_train_rows_that_leak_into_the_test_split_are_removed(tmp_path: Path) -> None:
    rows = cedr_rows()
    write_lines(tmp_path, "cedr", "train", rows)
    split = train_and_held_out("cedr", 0, tmp_path)
    missing = {step.name: step.what for step in split.steps}["leaks into CEDR's test split"]
    assert missing == f"not checked: {tmp_path}/cedr/test.jsonl does not exist"
    leaked, near, innocent = (row.text for row in split.train[:3])
    tests = [leaked.upper() + "?!", f"{near} и", "нечто совсем другое"]
    write_lines(tmp_path, "cedr", "test", [{"text": text, "labels": [0]} for text in tests])
    steps = steps_of("cedr", tmp_path)
    assert steps["leaks into CEDR's test split"] == [leaked]
    assert steps["near-leaks into CEDR's test split"] == [near]
    texts = [row.text for row in train_and_held_out("cedr", 0, tmp_path).train]
    assert leaked not in texts
    assert near not in texts
    assert innocent in texts


def test_the_other_combinations(tmp_path: Path) -> None:
    write_lines(tmp_path, "cedr", "train", cedr_rows())
    alone = train_and_held_out("cedr", 0, tmp_path).train
    columns = ["neutral", "joy", "sadness", "anger", "enthusiasm", "surprise", "disgust", "fear", "guilt", "shame"]
    for split in ("train", "validation", "test"):
        words = f"{split} первое второе третье"
        own = [{"text": f"{words} {number * 7919}", "labels": f"{number}"} for number in range(9)]
        write_lines(tmp_path, "ru_goemotions", split, own)
        go = [{"text": f"вещь {split} {number * 104729}", "labels": [number]} for number in range(28)]
        write_lines(tmp_path, "ru_go_emotions", split, go)
        izard = [
            {"text": f"{name} {split} {number**9}", **{other: int(other == name) for other in columns}}
            for number, name in enumerate(columns)
        ]
        write_lines(tmp_path, "ru_izard_emotions", split, izard)

    def added(dataset: str) -> list[tuple[str, frozenset[int]]]:
        train = train_and_held_out(dataset, 0, tmp_path).train
        assert train[: len(alone)] == alone
        return [(example.source, example.labels) for example in train[len(alone) :]]

    joy, sadness, surprise, fear, anger, neutral = (frozenset({number}) for number in (1, 2, 3, 4, 5, 0))
    assert added("combo_izard") == [("ru_izard_emotions", labels) for labels in (anger, surprise, fear)] * 3
    assert added("combo_go") == [("ru_go_emotions", labels) for labels in (anger, anger, fear, fear, surprise)] * 3
    everything = [("ru_goemotions", labels) for labels in (joy, surprise, sadness, anger, fear, neutral)] * 3
    go_labels = (joy, anger, anger, sadness, joy, fear, joy, sadness, joy, joy, fear, joy, sadness, surprise, neutral)
    assert added("all") == everything + [("ru_go_emotions", labels) for labels in go_labels] * 3


def test_corrections_reach_the_rows_to_train_on_and_no_others(tmp_path: Path) -> None:
    write_lines(tmp_path, "cedr", "train", cedr_rows())
    before = train_and_held_out("cedr", 0, tmp_path)
    changed, dropped = before.train[5], before.train[6]
    held_out = before.held_out[7]
    new = frozenset({4, 5}) ^ changed.labels
    corrections = [
        Correction(changed.text, changed.labels, new),
        Correction(dropped.text, dropped.labels, None),
        Correction(held_out.text, held_out.labels, frozenset({1}) ^ held_out.labels),
    ]
    after = train_and_held_out("cedr", 0, tmp_path, corrections=corrections)
    assert after.held_out == before.held_out
    expected = [Example(row.text, new if row == changed else row.labels, "cedr") for row in before.train]
    assert after.train == [row for row in expected if row.text != dropped.text]
    assert after.steps[0].name == "corrections"
    assert [touched.example for touched in after.steps[0].touched] == [changed, dropped]
    assert after.steps[0].touched[1].because == "left out"


def test_nothing_left_to_train_on_is_an_error(tmp_path: Path) -> None:
    rows = [{"text": "одно и то же", "labels": [number % 5]} for number in range(50)]
    write_lines(tmp_path, "cedr", "train", rows)
    with pytest.raises(TrainingError, match=r"(?s)no rows to train on:\n.*leaks into the held-out fold +40 "):
        train_and_held_out("cedr", 0, tmp_path)
