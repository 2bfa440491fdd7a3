"""Inputs of every kind become the rows that are in them."""

import gzip
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from clients.bulk.errors import BulkError, FileError
from clients.bulk.reading import files
from clients.bulk.reading.files import InputFile
from clients.bulk.reading.opening import InputSettings, open_source
from clients.bulk.reading.rows import Columns, Row
from clients.scoring.texts import MOST_CHARACTERS, fault
from gateway.settings import Settings

TEXTS = ["Как же я рад!", 'с "кавычками"', "две\nстроки", "запятая, и точка; с запятой", "", "\ttab"]


def read(path: Path, text: str | None = None, keep: tuple[str, ...] | None = None, **options: Any) -> list[Row]:
    values = {"format": None, "encoding": None, "delimiter": None, "has_header": True, **options}
    settings = InputSettings(name=str(path), columns=Columns(text, keep), **values)
    return list(open_source(InputFile(str(path)), settings))


def table(texts: list[str], delimiter: str = ",", end: str = "\n") -> str:
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    return end.join([delimiter.join(("id", "text")), *(f"{n}{delimiter}{text}" for n, text in enumerate(quoted)), ""])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_found(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(table(TEXTS, delimiter).encode(encoding))
    rows = read(path)
    assert [row.text for row in rows] == TEXTS
    assert [row.kept for row in rows] == [[str(number)] for number in range(len(TEXTS))]
    assert not any(row.error for row in rows)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(table(TEXTS, end=end).encode())
    assert [row.text for row in read(path)] == TEXTS


def test_gzip_and_tsv(tmp_path: Path) -> None:
    path = tmp_path / "in.tsv.gz"
    path.write_bytes(gzip.compress(table(TEXTS, "\t").encode()))
    assert [row.text for row in read(path)] == TEXTS


def test_a_damaged_gzip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(table(TEXTS * 9999).encode())[:-500])
    with pytest.raises((FileError, EOFError)):
        read(path)


def test_a_row_that_is_not_utf8_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes("text\nхорошо\n".encode() + "плохо\n".encode("cp1251") + "снова хорошо\n".encode())
    rows = read(path)
    assert [fault(row.text) is None for row in rows] == [True, False, True]


def test_cp1251_that_is_named_for_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(table(TEXTS), encoding="utf-8")
    with pytest.raises(BulkError, match="leave --encoding out"):
        read(path, encoding="cp1251")
    with pytest.raises(BulkError, match="no encoding"):
        read(path, encoding="klingon")


def test_a_row_with_other_cells_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text,date\n1,a,x\n2,b\n3,c,d,e\n\n4,f,y\n", encoding="utf-8")
    rows = read(path)
    assert [row.kept for row in rows] == [["1", "x"], ["2", None], ["3", "d"], ["4", "y"]]
    assert [row.text for row in rows] == ["a", None, None, "f"]
    assert ["cells" in (row.error or "") for row in rows] == [False, True, True, False]


def test_long_lines_and_open_quotes_end_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 1000)
    monkeypatch.setattr("clients.bulk.reading.csv_rows.LONGEST_LINE", 1000)
    path = tmp_path / "in.csv"
    path.write_text(f'id,text\n1,a\n2,{"b" * 5000}\n3,c\n4,"' + "d\n" * 600 + "5,e\n6,f\n", encoding="utf-8")
    rows = read(path)
    assert [row.text for row in rows if row.kept[0] in ("1", "3", "5", "6")] == ["a", "c", "e", "f"]
    errors = [row.error for row in rows if row.error]
    assert errors[0].startswith("near line 2: a line or a quoted field of more than")
    assert "never closed" in errors[1]


def test_no_header(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("1;рад\n2;страшно\n", encoding="utf-8")
    rows = read(path, text="2", has_header=False)
    assert [(row.text, row.kept) for row in rows] == [("рад", ["1"]), ("страшно", ["2"])]


@pytest.mark.parametrize(
    ("header", "text", "keep", "expected"),
    [
        ("id,Отзыв,date", None, None, ("Отзыв", ["id", "date"])),
        ("only", None, None, ("only", [])),
        ("a,b", "b", ("b", "a"), ("b", ["b", "a"])),
        ("a,b", "a", (), ("a", [])),
    ],
)
def test_columns(header: str, text: str, keep: tuple[str, ...] | None, expected: tuple[str, list[str]]) -> None:
    assert Columns(text, keep).choose(header.split(",")) == expected


@pytest.mark.parametrize(
    ("header", "text", "keep", "said"),
    [
        ("a,b", None, None, "--text"),
        ("a,b", "c", None, "'c'; it has: a, b"),
        ("a,b", "a", ("d",), "'d'"),
        ("a,a", "a", None, "two columns"),
    ],
)
def test_columns_that_are_not_there(header: str, text: str, keep: tuple[str, ...] | None, said: str) -> None:
    with pytest.raises(BulkError, match=said):
        Columns(text, keep).choose(header.split(","))


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        json.dumps({"id": 1, "text": 'рад\n"так"', "tags": ["a"]}),
        json.dumps({"text": 5, "id": "2"}),
        json.dumps({"id": 3}),
        "{no json",
        "[1]",
        "",
        '"сама строка"',
        '{"id": null, "text": "\\ud83d"}',
        "[" * 100_000,
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    rows = read(path)
    assert rows[0] == Row('рад\n"так"', ["1", '["a"]'])
    assert [row.text for row in rows[1:3]] == [5, None]
    assert fault(rows[1].text) == "not a text but a number"
    assert "no field 'text'" in str(rows[2].error)
    assert "not JSON" in str(rows[3].error)
    assert "object" in str(rows[4].error)
    assert rows[5] == Row("сама строка", [None, None])
    assert fault(rows[6].text) is not None
    assert "not JSON" in str(rows[7].error)


def test_plain_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes('первая\r\n\nтретья, с "кавычкой\nпоследняя'.encode())
    assert [row.text for row in read(path)] == ["первая", "", 'третья, с "кавычкой', "последняя"]
    assert read(path, keep=("text",))[0].kept == ["первая"]
    with pytest.raises(BulkError, match="no columns"):
        read(path, text="review")


@pytest.mark.parametrize(
    "kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())]
)
def test_parquet(tmp_path: Path, kind: pyarrow.DataType) -> None:
    path = tmp_path / "in.parquet"
    columns = {
        "text": pyarrow.array([*TEXTS, None]).cast(kind),
        "id": pyarrow.array(range(len(TEXTS) + 1), pyarrow.int32()),
        "share": pyarrow.array([0.5] * (len(TEXTS) + 1)),
        "ok": pyarrow.array([True, None, False, True, True, True, True]),
        "day": pyarrow.array([date(2026, 1, 2)] * (len(TEXTS) + 1)),
        "cost": pyarrow.array([Decimal("1.50")] * (len(TEXTS) + 1)),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
    rows = read(path)
    assert [row.text for row in rows] == [*TEXTS, None]
    assert rows[1].kept == [1, 0.5, None, "2026-01-02", "1.50"]


def test_parquet_with_other_texts(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    broken = pyarrow.array([b"\xff", "рад".encode()], pyarrow.binary())
    nested = pyarrow.array([[1], [2]])
    pyarrow.parquet.write_table(pyarrow.table({"text": broken, "number": [1, 2], "list": nested}), path)
    assert [fault(row.text) is None for row in read(path, keep=("number",))] == [False, True]
    assert [fault(row.text) for row in read(path, "number", ())] == ["not a text but a number"] * 2
    with pytest.raises(BulkError, match="'list' holds"):
        read(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(FileError, match="Parquet"):
        read(path)


@pytest.mark.parametrize("content", ["", "\n\n"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_an_empty_file_is_told(tmp_path: Path, content: str, suffix: str) -> None:
    path = tmp_path / f"in.{suffix}"
    path.write_text(content)
    with pytest.raises(BulkError, match="empty"):
        read(path)


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "piped"
    path.write_text(table(TEXTS), encoding="utf-8")
    with path.open("rb") as piped, monkeypatch.context() as patched:
        patched.setattr("sys.stdin", io.TextIOWrapper(piped))
        settings = InputSettings("-", "csv", Columns(None, None), None, None, True)
        assert [row.text for row in open_source(InputFile("-"), settings)] == TEXTS


def test_a_text_may_be_as_long_as_at_the_gateway() -> None:
    assert Settings.model_fields["max_characters"].default == MOST_CHARACTERS
    assert fault("я" * MOST_CHARACTERS) is None
    assert fault("я" * (MOST_CHARACTERS + 1)) is not None
