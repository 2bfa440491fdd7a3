"""Texts become token rows of their real lengths, and perf_analyzer's input file."""

import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.command import BenchmarkError
from benchmarks.load.perf_input import write_input
from benchmarks.parts.ceilings import batches, equal_lengths
from benchmarks.parts.triton import rows_of_length
from benchmarks.setup.texts import load_tokenizer, newest_version, read_texts, workload
from tests.support.triton_process import ROOT

REPOSITORY = ROOT / "model_repository"
VERSION = newest_version(REPOSITORY, "emotion_rubert")


def test_plain_lines_and_json_lines_give_the_same_texts(tmp_path: Path) -> None:
    plain, lines = tmp_path / "texts.txt", tmp_path / "texts.jsonl"
    plain.write_text("  Мне страшно.\n\nЯ рад!\n", encoding="utf-8")
    lines.write_text('{"text": "Мне страшно.", "labels": []}\n\n{"text": "Я рад!"}\n', encoding="utf-8")
    assert read_texts(plain) == read_texts(lines) == ["Мне страшно.", "Я рад!"]


def test_json_lines_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_bytes('\ufeff{"text": "раз\u2028два"}\r\n{"text": "три\x85"}\n\n'.encode())
    assert read_texts(path) == ["раз\u2028два", "три"]


def test_plain_lines_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffраз\u2028два\r\nтри\x0cчетыре\r\n".encode())
    assert read_texts(path) == ["раз\u2028два", "три\x0cчетыре"]


def test_a_file_with_a_space_in_its_name() -> None:
    command = ["make", "--dry-run", "perf", "tune", "bench", "compare", "bench-gpu", "TEXTS=my texts.txt"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    lines = [line for line in planned.replace("\\\n", "").splitlines() if "--texts" in line]
    assert len(lines) == 5
    for line in lines:
        assert "my texts.txt" in shlex.split(line)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("texts.txt", b"\n \n", "holds no text"),
        ("texts.txt", b"\xff\xfe", "can't be read as UTF-8"),
        ("texts.jsonl", b'{"text": "a"}\n{"texts": "b"}\n', "line 2: not a JSON object with a field `text`"),
    ],
)
def test_a_file_without_texts_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchmarkError, match=said):
        read_texts(tmp_path / name)


def test_a_missing_file_and_a_missing_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="can't be read"):
        read_texts(tmp_path / "nothing")
    with pytest.raises(BenchmarkError, match="no version of emotion_none"):
        newest_version(REPOSITORY, "emotion_none")


def test_the_newest_version_is_by_number(tmp_path: Path) -> None:
    for name in ("9", "10", "9-unfinished"):
        (tmp_path / "model" / name).mkdir(parents=True)
    assert newest_version(tmp_path, "model").name == "10"


def test_rows_are_what_the_model_would_read() -> None:
    texts = [f"Текст номер {number}, " + "и ещё слово " * number for number in range(80)]
    found = workload(texts, VERSION)
    assert sorted(found.texts) == sorted(texts)
    assert found.texts != texts
    assert found.rows == [encoding.ids for encoding in load_tokenizer(VERSION).encode_batch(found.texts)]
    assert found.lengths()["longest"] == 128
    assert found.lengths()["mean"] == pytest.approx(np.mean([len(row) for row in found.rows]), abs=0.01)
    assert workload(texts, VERSION).texts == found.texts
    assert len(workload(texts, VERSION, limit=7).rows) == 7


def test_input_of_one_row_keeps_lengths(tmp_path: Path) -> None:
    write_input(tmp_path / "input.json", [[2, 7, 3], [2, 3]], pad_id=0)
    assert json.loads((tmp_path / "input.json").read_text())["data"] == [
        {"input_ids": {"content": [2, 7, 3], "shape": [3]}},
        {"input_ids": {"content": [2, 3], "shape": [2]}},
    ]


def test_input_of_several_rows_is_padded_and_whole(tmp_path: Path) -> None:
    write_input(tmp_path / "input.json", [[2, 7, 3], [2, 3], [2, 9, 9, 9, 3]], pad_id=1, rows_per_request=2)
    entries = json.loads((tmp_path / "input.json").read_text())["data"]
    assert [entry["input_ids"] for entry in entries] == [
        {"content": [2, 7, 3], "shape": [3]},
        {"content": [2, 3, 1], "shape": [3]},
    ]
    with pytest.raises(BenchmarkError, match="3 texts don't fill one request of 4"):
        write_input(tmp_path / "input.json", [[1], [2], [3]], pad_id=0, rows_per_request=4)


def test_equal_lengths_keep_the_tokens() -> None:
    rows = [[1] * length for length in (3, 40, 8, 21, 5, 19)]
    equal = equal_lengths(rows)
    assert {len(row) for row in equal} == {16}
    assert sum(map(len, equal)) == sum(map(len, rows))


def test_batches_hold_each_row_once_and_lengths_beside() -> None:
    rows = [[1, 2, 3], [4], [5, 6], [7]]
    (count, feed), (other, _) = batches(rows, 2)
    assert (count, other) == (2, 2)
    assert feed["input_ids"].tolist() == [1, 2, 3, 4]
    assert feed["item_shape"].tolist() == [[3], [1]]
    assert batches(rows, 3)[-1][1]["input_ids"].tolist() == [1, 2, 3, 4, 5, 6]


def test_rows_of_one_length() -> None:
    assert rows_of_length([[1, 2, 3], [4, 5]], 2) == [[1, 2], [3, 4]]
