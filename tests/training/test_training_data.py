"""Rows of both data sets, their mapping into the six labels, and the folds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from contract.labels import EMOTIONS
from tests.training.training_rows import write_lines
from training.command import TrainingError
from training.data import Example, load_source, targets
from training.folds import fold_of_each, train_and_held_out


def loaded(data_dir: Path, name: str, labels: list[Any]) -> list[set[str]]:
    write_lines(data_dir, name, "train", [{"text": f"текст {n}", "labels": field} for n, field in enumerate(labels)])
    examples = load_source(name, "train", data_dir)
    assert [example.text for example in examples] == [f"текст {n}" for n in range(len(labels))]
    assert {example.source for example in examples} == {name}
    return [{EMOTIONS[index] for index in example.labels} for example in examples]


def test_every_class_of_cedr(tmp_path: Path) -> None:
    assert loaded(tmp_path, "cedr", [[0], [1], [2], [3], [4], [], [0, 3], [4, 1, 2]]) == [
        {"joy"}, {"sadness"}, {"surprise"}, {"fear"}, {"anger"}, {"no_emotion"},
        {"joy", "fear"}, {"anger", "sadness", "surprise"},
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["commas", "list of texts", "list of numbers"])
def test_every_class_of_ru_goemotions(tmp_path: Path, form: str) -> None:
    rows = [[0], [1], [2], [3], [4], [5], [6], [7], [8], [1, 4], [5, 7], [0, 2, 8]]
    as_written: dict[str, list[Any]] = {
        "commas": [",".join(map(str, row)) for row in rows],
        "list of texts": [[str(number) for number in row] for row in rows],
        "list of numbers": list(rows),
    }
    assert loaded(tmp_path, "ru_goemotions", as_written[form]) == [
        {"joy"}, set(), {"surprise"}, {"sadness"}, {"anger"}, set(), {"fear"}, set(), {"no_emotion"},
        {"anger"}, set(), {"joy", "surprise", "no_emotion"},
    ]  # fmt: skip


def test_targets_are_one_column_an_emotion() -> None:
    rows = [Example("а", frozenset({0}), "cedr"), Example("б", frozenset({1, 5}), "cedr")]
    rows.append(Example("в", frozenset(), "ru_goemotions"))
    assert targets(rows).tolist() == [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1], [0] * 6]
    assert targets([]).shape == (0, 6)


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("cedr", {"text": "a", "labels": [5]}, "label id 5 is unknown; the ids are 0 to 4"),
        ("cedr", {"text": "a", "labels": [-1]}, "label id -1 is unknown"),
        ("cedr", {"text": "a", "labels": "0"}, "must be a list of ids"),
        ("cedr", {"text": "a", "labels": None}, "must be a list of ids"),
        ("cedr", {"text": "a", "labels": [None]}, "label id None"),
        ("cedr", {"text": "a", "labels": [1.5]}, "label id 1.5"),
        ("cedr", {"text": "a", "labels": [True]}, "label id True"),
        ("cedr", {"text": "a", "labels": [[0]]}, r"label id \[0\]"),
        ("ru_goemotions", {"text": "a", "labels": "9"}, "label id 9 is unknown; the ids are 0 to 8"),
        ("ru_goemotions", {"text": "a", "labels": "0;4"}, "label id '0;4'"),
        ("ru_goemotions", {"text": "a", "labels": "0,"}, "label id ''"),
        ("ru_goemotions", {"text": "a", "labels": 3}, "comma-separated ids or a list"),
        ("cedr", {"text": "a"}, "missing: labels"),
        ("cedr", {"sentence": "a", "labels": [0]}, "missing: text"),
        ("cedr", {"text": "  \t", "labels": [0]}, "not blank"),
        ("cedr", {"text": None, "labels": [0]}, "not blank"),
        ("cedr", ["a", [0]], "expected a JSON object, found list"),
    ],
)
def test_wrong_row_is_named(tmp_path: Path, name: str, row: Any, reason: str) -> None:
    path = write_lines(tmp_path, name, "train", [{"text": "хорошо", "labels": [0]}, row])
    with pytest.raises(TrainingError, match=reason) as caught:
        load_source(name, "train", tmp_path)
    assert f"{path}, row 2: " in str(caught.value)


@pytest.mark.parametrize("tail", [b"{'text'", b"\n", '{"text": "а'.encode()[:-1], b'{"text": "\xff", "labels": []}'])
def test_not_json_or_cut_off_is_named(tmp_path: Path, tail: bytes) -> None:
    path = write_lines(tmp_path, "cedr", "train", [{"text": "хорошо", "labels": [0]}] * 2)
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(TrainingError, match="not JSON") as caught:
        load_source("cedr", "train", tmp_path)
    assert f"{path}, row 3: " in str(caught.value)


def test_file_cut_anywhere_in_its_last_row(tmp_path: Path) -> None:
    path = write_lines(tmp_path, "cedr", "train", [{"text": "хорошо", "labels": [0]}] * 2)
    whole = path.read_bytes()
    for end in range(len(whole) // 2 + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(TrainingError, match=r"train\.jsonl, row 2: not JSON"):
            load_source("cedr", "train", tmp_path)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cedr/test\.jsonl does not exist: .*--data-dir"):
        load_source("cedr", "test", tmp_path)
    write_lines(tmp_path, "cedr", "test", [])
    with pytest.raises(TrainingError, match=r"cedr/test\.jsonl holds no rows"):
        load_source("cedr", "test", tmp_path)
    (tmp_path / "ru_goemotions").write_text("a file where a directory should be")
    with pytest.raises(TrainingError, match=r"ru_goemotions/train\.jsonl"):
        load_source("ru_goemotions", "train", tmp_path)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no data set named 'goemotions'; there are: cedr, ru_goemotions"):
        load_source("goemotions", "train", tmp_path)
    with pytest.raises(TrainingError, match="cedr has no split 'validation'; it has: train, test"):
        load_source("cedr", "validation", tmp_path)
    with pytest.raises(TrainingError, match="no data set named 'both'; there are: cedr, combo"):
        train_and_held_out("both", 0, tmp_path)


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


def test_rows_survive_line_separators_inside_a_text(tmp_path: Path) -> None:
    path = write_lines(tmp_path, "cedr", "train", [{"text": "одна\u2028строка\x85и ещё", "labels": [0]}])
    assert json.loads(path.read_text(encoding="utf-8"))["text"] == load_source("cedr", "train", tmp_path)[0].text
