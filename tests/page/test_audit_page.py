"""The audit's page in a real browser: filters, decisions, and the corrections file that training reads."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.labels import EMOTIONS
from tests.page.browser import Browser, running_browser
from training.audit.label_evidence import LabelEvidence
from training.audit.results import write_suspects
from training.audit.serving import AuditServer
from training.data.rows.corrections import Correction, apply_corrections, read_corrections
from training.data.rows.examples import Example

pytestmark = pytest.mark.page

JOY, SADNESS, ANGER = (EMOTIONS.index(name) for name in ("joy", "sadness", "anger"))
TEXTS = (
    'Ударили, "больно"; и\nобидно',
    "</script><script>document.title='broken'</script>",
    "Рад, рад",
    *(f"Текст {n}" for n in range(250)),
)
EXAMPLES = [
    Example(text, frozenset({SADNESS if n == 2 else JOY}), "cedr", domain=("lj", "twitter")[n % 2], number=n + 1)
    for n, text in enumerate(TEXTS)
]


def write_page(output: Path) -> None:
    rows = len(EXAMPLES)
    answers = np.tile(np.array([0.1, 0.2, 0.1, 0, 0, 0.8], np.float32), (rows, 1))
    evidence = LabelEvidence("larger", answers, np.linspace(0.1, 0.9, rows), np.ones(rows, dtype=np.bool_))
    write_suspects(output, EXAMPLES, {"larger": Path("weights/larger")}, [evidence])


@pytest.fixture
def browser() -> Iterator[Browser]:
    with running_browser("en") as running:
        running.resize(1300, 900)
        yield running


def choose(browser: Browser, css: str, value: str) -> None:
    browser.run(
        "const found = document.querySelector(arguments[0]); found.value = arguments[1];"
        " found.dispatchEvent(new Event(found.tagName === 'INPUT' ? 'input' : 'change'))",
        css, value,
    )  # fmt: skip


def of_row(number: int, rest: str) -> str:
    return f"#rows tr:nth-child({number}) {rest}"


def decide(browser: Browser) -> None:
    """The first row is changed to sadness and anger, the second dropped, the third kept with a note."""
    choose(browser, of_row(1, "select"), "change")
    browser.click(of_row(1, "input[value=sadness]"))
    choose(browser, of_row(2, "select"), "drop")
    choose(browser, of_row(3, "select"), "keep")
    choose(browser, of_row(3, "td.decision > input"), 'верно, "так"')


def check(path: Path) -> None:
    corrections = read_corrections(path)
    assert corrections == [
        Correction(EXAMPLES[0].text.strip(), frozenset({JOY}), frozenset({SADNESS, ANGER})),
        Correction(EXAMPLES[1].text, frozenset({JOY}), None),
    ]
    rows = apply_corrections(EXAMPLES, corrections)
    assert [row.labels for row in rows[:2]] == [{SADNESS, ANGER}, {SADNESS}]
    assert len(rows) == len(EXAMPLES) - 1


def test_a_file_opened_in_the_browser(browser: Browser, tmp_path: Path) -> None:
    write_page(tmp_path)
    address = (tmp_path / "suspects.html").as_uri()
    browser.open(address)
    assert browser.run("return document.title") == "Labels to look at again"
    assert len(browser.texts("#rows tr")) == 200
    assert browser.texts("#rows tr td.text div")[:3] == list(TEXTS[:3])
    assert browser.texts("#rows tr td.text small")[1] == "cedr/twitter, row 2"
    browser.click("#more")
    assert len(browser.texts("#rows tr")) == len(TEXTS)

    for css, value, count in (("#source", "cedr/lj", 127), ("#given", "sadness", 1), ("#search", "ТЕКСТ 24", 11)):
        choose(browser, css, value)
        assert len(browser.texts("#rows tr")) == count
        choose(browser, css, "")
    decide(browser)
    heights = [
        browser.run("return document.querySelector(arguments[0]).offsetHeight", of_row(n, ".labels")) for n in (1, 2)
    ]
    assert heights[0] > heights[1] == 0, "labels are offered where they are changed"
    choose(browser, "#decided", "drop")
    assert browser.texts("#rows td.text div") == [TEXTS[1]]
    choose(browser, "#decided", "")
    said = "decided: 1 keep, 1 change, 1 drop"
    assert said in browser.texts("#count")[0]

    # Closed and opened again; written in full; read again from the file.
    browser.open(address)
    assert said in browser.texts("#count")[0]
    content = browser.run("return correctionsFile()")
    path = tmp_path / "corrections.csv"
    path.write_text(content, encoding="utf-8", newline="")
    check(path)
    browser.run("localStorage.clear()")
    browser.open(address)
    assert "0 keep, 0 change, 0 drop" in browser.texts("#count")[0]
    assert browser.run("const found = read(arguments[0]); remember(); render(); return found", content) == 3
    assert browser.run("return correctionsFile()") == content
    with_semicolons = "text;given;corrected\r\nТекст 5;joy;Anger\r\nнет на странице;joy;drop\r\n"
    assert browser.run("const found = read(arguments[0]); remember(); return found", with_semicolons) == 2
    assert "1 keep, 2 change, 2 drop; 1 of the loaded rows are not on this page" in browser.texts("#count")[0]
    wrong = browser.run("try { read('text,given,corrected\\nа,joy,glad\\n') } catch (error) { return error.message }")
    assert wrong == "row 1 has no label of ours: glad"

    # What is not complete is not saved; then the download is the file.
    choose(browser, of_row(5, "select"), "change")
    browser.click(of_row(5, "input[value=anger]"))
    browser.click("#save")
    assert "not saved: 1 decision(s) are not complete; the first: Текст 1 (choose what" in browser.texts("#message")[0]
    choose(browser, of_row(5, "select"), "")
    browser.run(
        "window.saved = [];"
        " URL.createObjectURL = (blob) => { blob.text().then((text) => saved.push(text)); return '#' }"
    )
    browser.click("#save")
    browser.wait(lambda: bool(browser.run("return saved.length")))
    assert "нет на странице,joy,drop" in browser.run("return saved[0]")
    assert not browser.log(), "no script failed, nothing was blocked or asked for"
    assert browser.requested() == []


def test_served_by_the_command(browser: Browser, tmp_path: Path) -> None:
    write_page(tmp_path)
    path = tmp_path / "corrections.csv"
    with AuditServer(tmp_path, path) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for _ in range(2):  # The second time the decisions are those of the file.
                browser.open(server.url)
                browser.wait(lambda: len(browser.texts("#rows tr")) == 200)
                if not path.exists():
                    decide(browser)
                browser.wait(lambda: path.exists() and "так" in path.read_text(encoding="utf-8"))
                check(path)
                assert "1 keep, 1 change, 1 drop" in browser.texts("#count")[0]
            # Another window, or an editor, wrote the file meanwhile: it stays as it is.
            path.write_text("text,given,corrected\r\nРад,joy,anger\r\n", encoding="utf-8", newline="")
            choose(browser, of_row(4, "select"), "drop")
            browser.wait(lambda: "was changed elsewhere: load the page again" in browser.texts("#message")[0])
            assert path.read_text(encoding="utf-8").endswith("Рад,joy,anger\n")
        finally:
            server.shutdown()
            thread.join()
    assert all(address.startswith(server.url) for address in browser.requested())
    (only,) = browser.log()
    assert "412 (Precondition Failed)" in only
