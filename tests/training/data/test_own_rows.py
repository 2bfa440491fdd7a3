"""Own rows: files as people save them, and what is said about those that can't be read."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from contract.labels import EMOTIONS
from tests.training.support.rows import CEDR_CLASSES, keyword_rows, write_lines
from training.common.command import TrainingError
from training.data.rows.combinations import checked_dataset
from training.data.rows.loading import load_source, source_of, training_splits
from training.data.rows.own import own_files
from training.data.splits.folds import by_fold, fold_of_each, held_out_fold
from training.data.splits.training_rows import _hub_trouble, train_and_held_out

EXPECTED = [("Ура!", {"joy"}), ("Стол, стул", {"no_emotion"})]


def read(directory: Path, split: str = "train") -> list[tuple[str, set[str]]]:
    rows = load_source(f"mine={directory}", split)
    assert {row.source for row in rows} == {"mine"}
    return [(row.text, {EMOTIONS[label] for label in row.labels}) for row in rows]


def write(directory: Path, name: str, content: str | bytes, **options: Any) -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if options:
        (directory / "rows.json").write_text(json.dumps(options), encoding="utf-8")
    return path


CSV = 'text,labels\nУра!,joy\n"Стол, стул",нейтрально\n'


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        "\ufeff" + CSV,
        CSV.replace("\n", "\r\n") + "\r\n,\r\n",
        CSV.replace("\n", "\n\n", 1) + "\n",
        'Текст;Метки\nУра!;Радость\n"Стол, стул";none\n',
        "id\ttext\temotions\n1\tУра!\tJOY\n2\tСтол, стул\t[]\n",
        "text|label\nУра!|['joy']\nСтол, стул|'no_emotion'\n",
        "text;joy;sadness;surprise;fear;anger\nУра!;1;0;0;0;0\nСтол, стул;0;0;0;0;0\n",
        "text;радость;грусть;удивление;страх;злость;нейтрально\nУра!;TRUE;0;0;0;0;0\nСтол, стул;0.0;0;0;0;0;1.0\n",
    ],
)
def test_csv_as_people_save_it(tmp_path: Path, content: str) -> None:
    write(tmp_path, "rows.csv", content)
    assert read(tmp_path) == EXPECTED


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_cp1251_when_it_is_named(tmp_path: Path, name: str) -> None:
    lines = '{"text": "Ура!", "labels": ["joy"]}\n{"text": "Стол, стул", "labels": "нейтрально"}\n'
    content = CSV if name == "a.csv" else lines
    path = write(tmp_path, name, content.encode("cp1251"))
    with pytest.raises(TrainingError, match=r'a\.\w+, row \d: not UTF-8: .* rows\.json .*"encoding": "cp1251"'):
        read(tmp_path)
    write(tmp_path, name, content.encode("cp1251"), encoding="cp1251")
    assert read(tmp_path) == EXPECTED
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TrainingError, match="is UTF-8, though cp1251 is named for it"):
        read(tmp_path)


def test_own_names_of_labels(tmp_path: Path) -> None:
    content = "отзыв;чувства;источник\nУра!;Восторг, joy;чат\nСтол, стул;ровно;почта\n"
    options = {"text": "отзыв", "labels": "чувства", "encoding": "Windows-1251"}
    write(tmp_path, "rows.csv", content.encode("cp1251"), **options)
    with pytest.raises(
        TrainingError, match=r'rows\.csv, row 2: Восторг: no .*rows\.json: {"names": {"Восторг": "joy"}}'
    ):
        read(tmp_path)
    names = {"восторг ": "радость", "РОВНО": "no_emotion"}
    write(tmp_path, "rows.csv", content.encode("cp1251"), **options, names=names)
    assert read(tmp_path) == EXPECTED
    assert [row.domain for row in load_source(f"mine={tmp_path}", "train")] == ["чат", "почта"]
    flags = "отзыв;восторг;sadness;surprise;fear;anger;ровно\nУра!;1;0;0;0;0;0\nСтол, стул;0;0;0;0;0;1\n"
    write(tmp_path, "rows.csv", flags.encode("cp1251"), text="отзыв", encoding="cp1251", names=names)
    assert read(tmp_path) == EXPECTED
    write(tmp_path, "rows.csv", flags.encode("cp1251"), names={"восторг": "joyful mood"})
    with pytest.raises(TrainingError, match=r"rows\.json: names: .*joyful mood: no such label"):
        read(tmp_path)


def test_parquet_with_flags_and_with_names(tmp_path: Path) -> None:
    flags = {name: [name == "joy", False] for name in EMOTIONS if name != "no_emotion"}
    texts = [text for text, _ in EXPECTED]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, **flags}), tmp_path / "train.parquet")
    names = pyarrow.table({"text": texts, "labels": [["joy"], []], "source": ["отзывы", None]})
    pyarrow.parquet.write_table(names, tmp_path / "dev.parquet")
    assert read(tmp_path) == read(tmp_path, "dev") == EXPECTED
    assert [row.domain for row in load_source(f"mine={tmp_path}", "dev")] == ["отзывы", None]
    write(tmp_path, "dev.parquet", b"PAR1 and nothing more")
    with pytest.raises(TrainingError, match=r"dev\.parquet cannot be read as Parquet"):
        read(tmp_path, "dev")


def test_several_labels_and_columns_of_other_names(tmp_path: Path) -> None:
    content = "Отзыв;Чувства;source\nУра;joy, страх;почта\nОх;злость|грусть;\n"
    write(tmp_path, "train.csv", content, text="отзыв", labels="чувства", delimiter=";")
    assert read(tmp_path) == [("Ура", {"joy", "fear"}), ("Ох", {"anger", "sadness"})]
    rows = load_source(f"mine={tmp_path}", "train")
    assert [(row.domain, row.number) for row in rows] == [("почта", 2), (None, 3)]


def test_columns_that_nobody_reads_may_be_named_alike(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", "id,text,labels,ID\n1,Ура,joy,2\n")
    assert read(tmp_path) == [("Ура", {"joy"})]


def test_a_text_of_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", 'text,labels\n"одна\nдве\n",joy\n\nтри,fear\n')
    assert [row.number for row in load_source(f"mine={tmp_path}", "train")] == [2, 6]


def test_files_and_splits(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", CSV)
    write(tmp_path, "validation.jsonl", '{"text": "б", "labels": []}')
    write(tmp_path, "README.md", "no rows")
    assert list(own_files(f"mine={tmp_path}")) == ["train", "dev"]
    assert training_splits(f"mine={tmp_path}", None) == ["train", "dev"]
    assert source_of(f"mine={tmp_path}").splits == ("train", "dev")
    with pytest.raises(TrainingError, match="mine has no split 'test'; it has: train, dev"):
        read(tmp_path, "test")
    write(tmp_path, "dev.csv", CSV)
    with pytest.raises(TrainingError, match=r"holds dev\.csv and validation\.jsonl: keep one of them"):
        read(tmp_path)


FLAGS = "text,joy,sadness,surprise,fear,anger"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no labelled rows"),
        ("text,labels\n", "holds no labelled rows"),
        ("текстик,labels\nа,joy\n", r'no column text or текст; there are текстик, labels: .*rows\.json: {"text"'),
        ("text,joy,fear\nа,1,0\n", "row 2: no column labels with names, and no 0/1 column sadness, surprise, anger"),
        ("text,labels\nа,joy\nб,восторг\n", "row 3: восторг: no such label; there are no_emotion .нейтрально., joy"),
        ("text,labels\nа,joy\nб,3\n", "row 3: 3: no such label"),
        ("text,labels\nа,joy\nб,\n", "row 3: `labels` is empty: write no_emotion where"),
        ("text,labels\nа,joy\nб,\"нейтрально, страх\"\n", "row 3: no_emotion excludes the others"),
        ("text,labels\nа,joy\nб,joy,fear\n", "row 3: 3 fields, and the first row has 2: put a text"),
        ("text,labels\nа,joy\n\"б,joy\n", "row 3: not CSV"),
        ("text,labels\nа,joy\n  ,joy\n", "row 3: `text` must be a text that is not blank"),
        ("text,labels\nа,joy\nб\0в,joy\n", r"row 3: the text holds U\+0000"),
        ("text,labels,text\nа,joy,б\n", "two columns named text"),
        ("text,labels,Text\nа,joy,б\n", "row 2: two columns are named text and Text: rename one"),
        (f"{FLAGS},JOY\nа,0,0,0,0,1,1\n", "row 2: two columns are named joy and JOY"),
        (f"{FLAGS}\nа,1,0,0,0,2\n", "row 2: `anger` must be 0 or 1, not '2'"),
        (f"{FLAGS}\nа,1,0,0,0,\n", "row 2: `anger` must be 0 or 1, not ''"),
        (f"{FLAGS},злость\nа,1,0,0,0,0,1\n", "row 2: two columns are for one label: joy, .*anger, злость"),
        (f"{FLAGS},нейтрально\nа,0,0,0,0,0,0\n", "row 2: every label is 0: no_emotion is 1 where"),
        (f"{FLAGS},disgust\nа,0,0,0,0,0,1\nб,1,0,0,0,0,0\n", r"the column disgust holds 0 and 1, and .*\"ignore\""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_csv_is_told_by_row(tmp_path: Path, content: str, reason: str) -> None:
    path = write(tmp_path, "train.csv", content)
    with pytest.raises(TrainingError, match=reason) as caught:
        read(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('["а", "joy"]', "expected a JSON object, found list"),
        ('{"text": 3, "labels": ["joy"]}', "must be a text that is not blank"),
        ('{"text": "а \\ud83d", "labels": ["joy"]}', r"holds \\ud83d, half of a character"),
        ('{"text": "а", "labels": [1]}', r"`labels` must be names, in a list or separated by commas, not \[1\]"),
        ('{"text": "а", "labels": null}', "must be names"),
        ('{"text": "а"}', "no column labels with names"),
        ("{'text': 'а'}", "not JSON"),
    ],
)
def test_what_is_wrong_with_json_lines_is_told_by_row(tmp_path: Path, line: str, reason: str) -> None:
    path = write(tmp_path, "train.jsonl", f'\ufeff{{"text": "а", "labels": "joy"}}\n\n{line}\n')
    with pytest.raises(TrainingError, match=reason) as caught:
        read(tmp_path)
    assert f"{path}, row 3: " in str(caught.value)


def test_a_column_that_is_ignored_by_name(tmp_path: Path) -> None:
    content = f"{FLAGS},spam,rating\nа,1,0,0,0,0,1,1\nб,0,0,0,0,1,0,5\n"
    write(tmp_path, "train.csv", content, ignore=["spam"])
    assert read(tmp_path) == [("а", {"joy"}), ("б", {"anger"})]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ('{"encoding": "koi8-r"}', r"rows\.json: encoding: Input should be 'utf-8' or 'cp1251'; it may hold encoding,"),
        ('{"separator": ";"}', r"rows\.json: separator: Extra inputs are not permitted"),
        ("nonsense", r"rows\.json: the file: Invalid JSON"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: str, reason: str) -> None:
    write(tmp_path, "train.csv", CSV)
    write(tmp_path, "rows.json", options)
    with pytest.raises(TrainingError, match=reason):
        read(tmp_path)


def test_options_with_a_byte_order_mark(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", "отзыв,labels\nа,joy\n")
    write(tmp_path, "rows.json", '\ufeff{"text": "отзыв"}')
    assert read(tmp_path) == [("а", {"joy"})]


def test_names_and_directories_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cedr is a data set that there is"):
        load_source(f"cedr={tmp_path}", "train")
    with pytest.raises(TrainingError, match="may hold letters, digits"):
        load_source(f"my rows={tmp_path}", "train")
    with pytest.raises(TrainingError, match="--dataset mine=: the directory after = does not exist"):
        load_source("mine=", "train")
    with pytest.raises(TrainingError, match=r"nowhere does not exist"):
        load_source(f"mine={tmp_path}/nowhere", "train")
    with pytest.raises(TrainingError, match=r"holds no train file: .*\(there: none\)"):
        read(tmp_path)
    file = write(tmp_path, "a.csv", CSV)
    with pytest.raises(TrainingError, match="is a file: name the directory it lies in"):
        load_source(f"mine={file}", "train")
    write(tmp_path, "b.csv", CSV)
    with pytest.raises(TrainingError, match=r"\(there: a\.csv, b\.csv\)"):
        read(tmp_path)


def write_own(path: Path, rows: list[dict[str, Any]]) -> str:
    """Rows with CEDR's ids as a JSON lines file of names; the data set's name."""
    path.parent.mkdir(exist_ok=True)
    named = [{"text": row["text"], "labels": [CEDR_CLASSES[label] for label in row["labels"]]} for row in rows]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in named), encoding="utf-8")
    return f"mine={path.parent}"


def test_folds_are_made_as_cedrs_are(tmp_path: Path) -> None:
    rows = keyword_rows(20)
    write_lines(tmp_path, "cedr", "train", rows)
    mine = write_own(tmp_path / "own/reviews.jsonl", rows)
    examples, folds = by_fold(mine, tmp_path)
    cedr, cedr_folds = by_fold("cedr", tmp_path)
    assert [(row.text, row.labels) for row in examples] == [(row.text, row.labels) for row in cedr]
    assert folds.tolist() == cedr_folds.tolist()
    assert held_out_fold(2, None, mine) == [row for row, of in zip(examples, folds, strict=True) if of == 2]


def test_a_dev_file_is_fold_0_and_train_the_other_four(tmp_path: Path) -> None:
    rows = keyword_rows(20)
    write_own(tmp_path / "own/dev.jsonl", rows[96:])
    mine = write_own(tmp_path / "own/train.jsonl", rows[:96])
    assert [row.text for row in held_out_fold(0, None, mine)] == [row["text"] for row in rows[96:]]
    examples, folds = by_fold(mine, None)
    assert [int((folds == fold).sum()) for fold in range(5)] == [24] * 5
    train = load_source(mine, "train")
    in_train = fold_of_each(train, 4)
    assert examples[24:48] == [row for row, of in zip(train, in_train, strict=True) if of == 0]


def test_leaks_into_own_and_into_cedrs_held_out_splits(tmp_path: Path) -> None:
    rows = keyword_rows(20)
    write_lines(tmp_path, "cedr", "train", keyword_rows(30)[120:])
    mine = write_own(tmp_path / "own/train.jsonl", rows)
    before = train_and_held_out(mine, 0, tmp_path)
    steps = {step.name: step.what for step in before.steps}
    assert steps["leaks into CEDR's test split"] == f"not checked: {tmp_path}/cedr/test.jsonl does not exist"
    own, cedr_test, cedr_dev = (row.text for row in before.train[:3])
    write_own(tmp_path / "own/test.jsonl", [{"text": own.upper() + "!", "labels": [0]}])
    write_lines(tmp_path, "cedr", "test", [{"text": cedr_test, "labels": [0]}])
    dev = held_out_fold(0, tmp_path)[0].text
    lines = (tmp_path / "cedr/train.jsonl").read_text(encoding="utf-8").replace(dev, cedr_dev)
    (tmp_path / "cedr/train.jsonl").write_text(lines, encoding="utf-8")
    after = train_and_held_out(mine, 0, tmp_path)
    touched = {step.name: [row.example.text for row in step.touched] for step in after.steps if step.touched}
    assert touched == {
        "leaks into mine's test split": [own],
        "leaks into CEDR's test split": [cedr_test],
        "leaks into CEDR's dev split": [cedr_dev],
    }
    assert after.held_out == before.held_out
    assert [row.text for row in after.train] == [row.text for row in before.train[3:]]


def test_without_a_network_the_hub_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try takes a minute, and every fold would try twice."""
    asked = []

    def unreachable(name: str, *_: Any) -> Any:
        asked.append(name)
        raise TrainingError("could not load it from the hub")

    _hub_trouble.cache_clear()
    rows = keyword_rows(20)
    lines = [f"{row['text']},{CEDR_CLASSES[row['labels'][0]] if row['labels'] else 'no_emotion'}" for row in rows]
    write(tmp_path, "rows.csv", "text,labels\n" + "\n".join(lines))
    monkeypatch.setattr("training.data.splits.training_rows.load_source", unreachable)
    for fold in range(2):
        steps = {step.name: step.what for step in train_and_held_out(f"mine={tmp_path}", fold, None).steps}
        for split in ("dev", "test"):
            assert steps[f"leaks into CEDR's {split} split"] == "not checked: could not load it from the hub"
    assert asked == ["cedr"]
    _hub_trouble.cache_clear()


def test_a_combinations_name_is_taken(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="combo is taken: give your own another name"):
        checked_dataset(f"combo={tmp_path}")
