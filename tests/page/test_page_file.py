"""A CSV file scored on the page at `/`: as Excel and others write it, with errors by row, stopped, and downloaded."""

import base64
import csv
import io
from pathlib import Path

import pytest

from contract.labels import EMOTIONS
from tests.gateway.support.gateway_process import GatewayProcess
from tests.page.browser import Browser
from tests.page.conftest import choose

pytestmark = pytest.mark.page

ROWS = [
    ["1", 'Он сказал: "Как я рад!"; ура'],
    ["2", "Мне страшно,\nочень страшно"],
    ["3", "  "],
    ["4", "а" * 10_001],
    ["5", "Опять всё сломалось, сколько можно!"],
]
NAMES = ["id", "отзыв"]


def write_csv(path: Path, rows: list[list[str]], delimiter: str, encoding: str) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def open_file(browser: Browser, path: Path) -> None:
    browser.type("#file", str(path))
    browser.wait(lambda: path.name in browser.texts("#file-status")[0] or bool(browser.texts("#file-status.bad")))


def downloaded(browser: Browser, delimiter: str) -> list[dict[str, str]]:
    browser.run(
        "window.saved = []; URL.createObjectURL = (blob) => { blob.arrayBuffer().then((bytes) =>"
        " saved.push(btoa(String.fromCharCode(...new Uint8Array(bytes))))); return '#' }"
    )
    browser.click("#download")
    browser.wait(lambda: bool(browser.run("return saved.length")))
    content = base64.b64decode(browser.run("return saved[0]"))
    assert content.startswith(b"\xef\xbb\xbf"), "or Excel would not take it for UTF-8"
    assert b"\r\n" in content
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter))


@pytest.mark.parametrize("language", ["ru"])
@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(";", "cp1251"), (",", "utf-8-sig"), ("\t", "utf-16"), (";", "utf-8")]
)
def test_every_row_comes_back_with_its_emotions_or_its_error(
    browser: Browser, gateway: GatewayProcess, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    open_file(browser, write_csv(tmp_path / "отзывы.csv", [NAMES, *ROWS], delimiter, encoding))
    assert browser.texts("#column option:checked") == ["отзыв"]
    browser.click("#start")
    browser.wait(lambda: "готово" in browser.texts("#file-status")[0])
    assert "Оценено 5 из 5, с ошибкой 2" in browser.texts("#file-status")[0]
    assert [text.partition(":")[0] for text in browser.texts("#errors li")] == ["4", "5"]
    rows = downloaded(browser, delimiter)
    assert [[row["id"], row["отзыв"]] for row in rows] == ROWS
    with gateway.client() as client:
        for row in rows:
            if row["id"] in ("3", "4"):
                said = "в строке нет текста" if row["id"] == "3" else "a text may have 10000"
                assert said in row["error"]
                assert row["joy"] == row["model"] == ""
                continue
            answer = client.post("/v1/emotions", json={"text": row["отзыв"], "parts": "sentences"}).json()
            (right,) = answer["results"]
            assert {emotion: float(row[emotion]) for emotion in EMOTIONS} == pytest.approx(
                right["probabilities"], abs=1e-5
            )
            assert row["emotions"].split() == [entry["emotion"] for entry in right["emotions"]]
            found = (row["emotion"], row["model"], row["version"], row["profile"], row["error"])
            assert found == (right["emotion"], answer["model"], answer["version"], "balanced", "")
    browser.log()  # A refused row is in the console, as every failed request.


@pytest.mark.parametrize("language", ["en"])
def test_it_is_stopped_and_what_was_done_is_kept(browser: Browser, tmp_path: Path) -> None:
    rows = [[f"Как же я рад, день {number}!"] for number in range(1000)]
    open_file(browser, write_csv(tmp_path / "texts.txt", rows, ",", "utf-8"))
    if browser.run("return document.getElementById('header').checked"):
        browser.click("#header")
    browser.click("#start")
    browser.wait(lambda: int(browser.run("return document.getElementById('progress').value")) >= 16)
    browser.click("#cancel")
    browser.wait(lambda: "stopped" in browser.texts("#file-status")[0])
    done = browser.run("return document.getElementById('progress').value")
    assert 16 <= done < 1000
    column = browser.texts("#column option:checked")[0]
    saved = downloaded(browser, ",")
    assert [row[column] for row in saved] == [row[0] for row in rows]
    assert sum(row["joy"] != "" for row in saved) == done
    assert not any(row["error"] for row in saved)


@pytest.mark.parametrize("language", ["en"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text\n" + "а\n" * 1001, "more rows than the page takes: 1002 > 1000"),
        ('text\nа\n"б\nв\n', "a quote is open until the end of the file; it begins in row 3"),
        ("", "The file has no row"),
        ("PK\0\1", "save the table as CSV"),
    ],
)
def test_what_is_no_csv_of_ours_is_refused_in_words(browser: Browser, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "wrong.csv").write_text(content, encoding="utf-8")
    open_file(browser, tmp_path / "wrong.csv")
    assert said in browser.texts("#file-status.bad")[0]
    assert not browser.run("return document.getElementById('table').offsetHeight")


@pytest.mark.parametrize("language", ["en"])
def test_another_column_and_no_names(browser: Browser, tmp_path: Path) -> None:
    open_file(browser, write_csv(tmp_path / "a.csv", [["рад", "длинный столбец"], ["ой", "ещё длиннее"]], "|", "utf-8"))
    assert browser.run("return document.getElementById('header').checked")
    browser.click("#header")
    assert browser.texts("#column option") == ["column 1", "column 2"]
    choose(browser, "#column", "0")
    browser.click("#start")
    browser.wait(lambda: "done" in browser.texts("#file-status")[0])
    rows = downloaded(browser, "|")
    assert [row["column 1"] for row in rows] == ["рад", "ой"]
    assert rows[0]["emotion"] == "joy"
