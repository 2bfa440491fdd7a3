"""Rows of the data sets and their mapping into the six labels, row by row for every class."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from contract.labels import EMOTIONS
from tests.support.triton_process import ROOT
from tests.training.support.rows import write_lines
from training.common.command import TrainingError
from training.data.rows.combinations import COMBINATIONS
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_rows, load_source, training_splits
from training.data.rows.sources import SOURCES
from training.data.splits.training_rows import train_and_held_out


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


# GoEmotions' classes in the order of their ids, and what each becomes.
GO_EMOTIONS: list[tuple[str, str | None]] = [
    ("admiration", None), ("amusement", "joy"), ("anger", "anger"), ("annoyance", "anger"), ("approval", None),
    ("caring", None), ("confusion", None), ("curiosity", None), ("desire", None), ("disappointment", "sadness"),
    ("disapproval", None), ("disgust", None), ("embarrassment", None), ("excitement", "joy"), ("fear", "fear"),
    ("gratitude", "joy"), ("grief", "sadness"), ("joy", "joy"), ("love", "joy"), ("nervousness", "fear"),
    ("optimism", None), ("pride", "joy"), ("realization", None), ("relief", None), ("remorse", None),
    ("sadness", "sadness"), ("surprise", "surprise"), ("neutral", "no_emotion"),
]  # fmt: skip
IZARD: list[tuple[str, str | None]] = [
    ("neutral", "no_emotion"), ("joy", "joy"), ("sadness", "sadness"), ("anger", "anger"), ("enthusiasm", None),
    ("surprise", "surprise"), ("disgust", None), ("fear", "fear"), ("guilt", None), ("shame", None),
]  # fmt: skip


@pytest.mark.parametrize("source", ["ru_go_emotions", "go_emotions"])
def test_every_class_of_go_emotions(tmp_path: Path, source: str) -> None:
    single = loaded(tmp_path, source, [[number] for number in range(28)])
    for (name, emotion), labels in zip(GO_EMOTIONS, single, strict=True):
        assert labels == ({emotion} if emotion else set()), name
    assert loaded(tmp_path, source, [[2, 3], [0, 14], [27, 4], []]) == [
        {"anger"}, {"fear"}, {"no_emotion"}, set(),
    ]  # fmt: skip
    assert [name for name, _ in GO_EMOTIONS] == list(SOURCES[source].classes)


def izard_row(number: int, *names: str) -> dict[str, Any]:
    return {"text": f"текст {number}", **{name: int(name in names) for name, _ in IZARD}}


def test_every_column_of_ru_izard_emotions(tmp_path: Path) -> None:
    rows = [izard_row(number, name) for number, (name, _) in enumerate(IZARD)]
    rows += [izard_row(10, "joy", "shame", "fear"), izard_row(11)]
    write_lines(tmp_path, "ru_izard_emotions", "train", rows)
    examples = load_source("ru_izard_emotions", "train", tmp_path)
    labels = [{EMOTIONS[index] for index in example.labels} for example in examples]
    for (name, emotion), given in zip(IZARD, labels[:10], strict=True):
        assert given == ({emotion} if emotion else set()), name
    assert labels[10:] == [{"joy", "fear"}, set()]
    assert [row.classes for row in load_rows("ru_izard_emotions", "train", tmp_path)][10:] == [
        ("joy", "fear", "shame"), (),
    ]  # fmt: skip


def brighter_row(number: int, *names: str, missing: tuple[str, ...] = ()) -> dict[str, Any]:
    columns = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
    return {"text": f"текст {number}", **{name: None if name in missing else int(name in names) for name in columns}}


def write_rows(data_dir: Path, language: str, split: str, rows: list[dict[str, Any]]) -> Path:
    return write_lines(data_dir, "brighter", f"{language}_{split}", rows)


@pytest.mark.parametrize("language", ["rus", "ukr", "deu", "esp", "ptbr", "ron", "swe", "tat"])
def test_every_column_of_brighter(tmp_path: Path, language: str) -> None:
    named = [
        ("anger",),
        ("disgust",),
        ("fear",),
        ("joy",),
        ("sadness",),
        ("surprise",),
        (),
        ("anger", "disgust", "joy"),
    ]
    write_rows(tmp_path, language, "train", [brighter_row(number, *names) for number, names in enumerate(named)])
    examples = load_source(f"brighter_{language}", "train", tmp_path)
    assert [{EMOTIONS[index] for index in example.labels} for example in examples] == [
        {"anger"}, {"anger"}, {"fear"}, {"joy"}, {"sadness"}, {"surprise"}, {"no_emotion"}, {"anger", "joy"},
    ]  # fmt: skip


def test_brighter_in_english_was_not_labelled_with_disgust(tmp_path: Path) -> None:
    write_rows(tmp_path, "eng", "dev", [brighter_row(1, "fear", missing=("disgust",))])
    (row,) = load_rows("brighter_eng", "dev", tmp_path)
    assert row.classes == ("fear",)
    assert "disgust" not in SOURCES["brighter_eng"].classes


def test_rows_that_nobody_labelled_are_left_out(tmp_path: Path) -> None:
    every = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
    write_rows(tmp_path, "rus", "dev", [brighter_row(1, missing=every), brighter_row(2, "joy")])
    assert [row.text for row in load_rows("brighter_rus", "dev", tmp_path)] == ["текст 2"]
    write_rows(tmp_path, "rus", "test", [brighter_row(1, missing=every)])
    with pytest.raises(TrainingError, match=r"brighter/rus_test\.jsonl holds no labelled rows"):
        load_rows("brighter_rus", "test", tmp_path)


def test_a_row_labelled_in_part_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path, "rus", "dev", [brighter_row(1), brighter_row(2, "joy", missing=("fear",))])
    with pytest.raises(TrainingError, match=r"rus_dev\.jsonl, row 2: `fear` must be 0 or 1, not None"):
        load_rows("brighter_rus", "dev", tmp_path)


def test_a_test_split_is_never_trained_on(tmp_path: Path) -> None:
    for name, source in SOURCES.items():
        assert training_splits(name, None) == [split for split in source.splits if split != "test"]
    for split in ("dev", "test"):
        write_rows(tmp_path, "rus", split, [brighter_row(1, "joy")])
    assert training_splits("brighter_rus", tmp_path) == ["dev"]


def test_every_class_that_is_dropped_or_renamed_says_why() -> None:
    for source in SOURCES.values():
        for name, meaning in source.classes.items():
            assert meaning.emotion is None or meaning.emotion in EMOTIONS
            assert meaning.reason or name == meaning.emotion, f"{source.hub_name}: {name}"


def test_the_documents_show_the_same_table() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for name, source in SOURCES.items():
        section = page.partition(f"\n### {name}\n")[2].partition("\n#")[0]
        rows = [line for line in section.splitlines() if line.startswith("|")][2:]
        assert rows == [
            f"| {own} | {meaning.emotion or 'dropped'} | {meaning.reason} |" for own, meaning in source.classes.items()
        ]
        hub = f"`{source.hub_name}`" if source.made is None else "made here"
        assert f"| `{name}` | {hub} | " in page
    for name in COMBINATIONS:
        assert f"| `{name}` | " in page


def test_where_a_text_of_cedr_was_taken_from(tmp_path: Path) -> None:
    write_lines(tmp_path, "cedr", "train", [{"text": "a", "labels": [], "source": "lj"}, {"text": "б", "labels": [1]}])
    assert [row.domain for row in load_rows("cedr", "train", tmp_path)] == ["lj", None]


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
        ("cedr", {"text": "а\0б", "labels": [0]}, r"the text holds U\+0000, which is no character: remove it"),
        ("ru_goemotions", {"text": "a", "labels": "1.5"}, "label id '1.5'"),
        ("cedr", {}, "found none .missing: text, labels"),
        ("cedr", {"text": "a", "labels": [0], "source": 3}, "`source` must be a text, not 3"),
        ("cedr", ["a", [0]], "expected a JSON object, found list"),
        ("ru_go_emotions", {"text": "a", "labels": [28]}, "label id 28 is unknown; the ids are 0 to 27"),
        ("ru_go_emotions", {"text": "a", "labels": "3"}, "must be a list of ids"),
    ],
)
def test_wrong_row_is_named(tmp_path: Path, name: str, row: Any, reason: str) -> None:
    path = write_lines(tmp_path, name, "train", [{"text": "хорошо", "labels": [0]}, row])
    with pytest.raises(TrainingError, match=reason) as caught:
        load_source(name, "train", tmp_path)
    assert f"{path}, row 2: " in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("shame", 2, "`shame` must be 0 or 1, not 2"),
        ("joy", None, "`joy` must be 0 or 1, not None"),
        ("joy", "да", "`joy` must be 0 or 1, not 'да'"),
        ("joy", 0.5, "`joy` must be 0 or 1, not 0.5"),
        ("joy", [1], r"`joy` must be 0 or 1, not \[1\]"),
        ("text", " ", "not blank"),
    ],
)
def test_wrong_column_is_named(tmp_path: Path, column: str, value: Any, reason: str) -> None:
    rows = [izard_row(0, "joy"), izard_row(1, "fear") | {column: value}]
    path = write_lines(tmp_path, "ru_izard_emotions", "train", rows)
    with pytest.raises(TrainingError, match=reason) as caught:
        load_source("ru_izard_emotions", "train", tmp_path)
    assert f"{path}, row 2: " in str(caught.value)
    del rows[1][column]
    write_lines(tmp_path, "ru_izard_emotions", "train", rows)
    with pytest.raises(TrainingError, match=f"row 2: expected the fields text, neutral, .*missing: {column}"):
        load_source("ru_izard_emotions", "train", tmp_path)


@pytest.mark.parametrize(
    "tail", [b"{'text'", b"[" * 100_000, '{"text": "а'.encode()[:-1], b'{"text": "\xff", "labels": []}']
)
def test_not_json_or_cut_off_is_named(tmp_path: Path, tail: bytes) -> None:
    path = write_lines(tmp_path, "cedr", "train", [{"text": "хорошо", "labels": [0]}] * 2)
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(TrainingError, match="not JSON") as caught:
        load_source("cedr", "train", tmp_path)
    assert f"{path}, row 3: " in str(caught.value)


def test_what_people_and_their_tools_write_is_read(tmp_path: Path) -> None:
    whole_floats = [{"text": "а", "labels": [0.0]}, {"text": "б", "labels": []}]
    path = write_lines(tmp_path, "cedr", "train", whole_floats)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n \t\r\n\n", 1) + b"\n\n")
    examples = load_source("cedr", "train", tmp_path)
    assert [(example.text, example.labels, example.number) for example in examples] == [
        ("а", frozenset({1}), 1), ("б", frozenset({0}), 4),
    ]  # fmt: skip
    assert loaded(tmp_path, "ru_goemotions", ["0.0, 4.0", [6.0]]) == [{"joy", "anger"}, {"fear"}]
    ones, zeros = (True, 1, 1.0, "1", "1.0", " TRUE "), (False, 0, 0.0, "0", "0.0", "False")
    rows = [izard_row(number) | {"joy": one, "fear": zeros[number]} for number, one in enumerate(ones)]
    write_lines(tmp_path, "ru_izard_emotions", "train", rows)
    assert {example.labels for example in load_source("ru_izard_emotions", "train", tmp_path)} == {frozenset({1})}


@pytest.mark.parametrize("half", ["\\ud83d", "\\uDE00", "\\ud83d\\ud83d\\ude00"])
def test_half_a_character_is_named(tmp_path: Path, half: str) -> None:
    path = write_lines(tmp_path, "cedr", "train", [{"text": "хорошо", "labels": [0]}])
    whole = '{"text": "весело \\ud83d\\ude00", "labels": [0]}\n'
    path.write_text(path.read_text(encoding="utf-8") + whole, encoding="utf-8")
    assert load_source("cedr", "train", tmp_path)[1].text == "весело 😀"
    path.write_text(whole + f'{{"text": "весело {half}", "labels": [0]}}\n', encoding="utf-8")
    with pytest.raises(TrainingError, match=r"train\.jsonl, row 2: holds \\u(d83d|de00), half of a character"):
        load_source("cedr", "train", tmp_path)


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
    with pytest.raises(TrainingError, match=r"cedr/test\.jsonl holds no labelled rows"):
        load_source("cedr", "test", tmp_path)
    (tmp_path / "ru_goemotions").write_text("a file where a directory should be")
    with pytest.raises(TrainingError, match=r"ru_goemotions/train\.jsonl"):
        load_source("ru_goemotions", "train", tmp_path)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no data set named 'goemotions'; there are: cedr, ru_goemotions, ru_go_"):
        load_source("goemotions", "train", tmp_path)
    with pytest.raises(TrainingError, match="cedr has no split 'validation'; it has: train, test"):
        load_source("cedr", "validation", tmp_path)
    with pytest.raises(TrainingError, match="no data set named 'both'; there are: cedr, combo, "):
        train_and_held_out("both", 0, tmp_path)


def in_another_process(code: str, **environment: str) -> str:
    line = [sys.executable, "-c", f"from training.data.rows.loading import load_source\n{code}"]
    done = subprocess.run(
        line, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
    )
    assert "TrainingError" in done.stderr
    return done.stderr.rpartition("TrainingError: ")[2]


def test_the_hub_out_of_reach_or_without_room(tmp_path: Path) -> None:
    error = in_another_process("load_source('cedr', 'train')", HF_HUB_OFFLINE="1", HF_HOME=f"{tmp_path}")
    assert "could not load sagteam/cedr_v1 from the Hugging Face hub" in error
    assert "check the network, or give a local copy with --data-dir" in error
    # The hub can't be here, nor its files on a full disk: only the library's failure is made up.
    full = "import datasets\ndef load(*_, **__): raise RuntimeError('cast') from OSError(28, 'No space')\n"
    error = in_another_process(f"{full}datasets.load_dataset = load\nload_source('cedr', 'train')")
    assert "no space is left to keep sagteam/cedr_v1: make room, or set HF_HOME" in error


def test_rows_of_the_hub_are_read_as_local_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    # A real data set of the library, as the hub's would be; only where it comes from is made up.
    rows = datasets.Dataset.from_list([{"text": "ура", "labels": [0]}, {"text": "эх", "labels": [1, 7]}])
    asked: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *name, split: asked.append((*name, split)) or rows)
    with pytest.raises(TrainingError, match=r"sagteam/cedr_v1 \(train\), row 2: label id 7 is unknown"):
        load_source("cedr", "train")
    assert asked == [("sagteam/cedr_v1", "main", "train")]
    rows = rows.select([0])
    assert load_source("cedr", "train") == [Example("ура", frozenset({1}), "cedr")]


def test_rows_survive_line_separators_inside_a_text(tmp_path: Path) -> None:
    path = write_lines(tmp_path, "cedr", "train", [{"text": "одна\u2028строка\x85и ещё", "labels": [0]}])
    assert json.loads(path.read_text(encoding="utf-8"))["text"] == load_source("cedr", "train", tmp_path)[0].text
