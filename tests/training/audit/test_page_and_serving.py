"""The audit's page holds what the CSV holds; the command that serves it writes corrections that training reads."""

import csv
import http.client
import io
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from contract.labels import EMOTIONS
from tests.support.triton_process import ROOT, hear_ctrl_c
from tests.training.support.commands import fails
from tests.training.support.small_run import write_cedr
from training.audit.label_evidence import LabelEvidence
from training.audit.results import write_suspects
from training.audit.serving import AuditServer
from training.common.command import TrainingError
from training.data.rows.corrections import read_corrections
from training.data.rows.examples import Example
from training.data.rows.loading import load_source
from training.data.splits.training_rows import train_and_held_out

JOY, ANGER = EMOTIONS.index("joy"), EMOTIONS.index("anger")
HOSTILE = "</script><script>alert(1)</script> & «кавычки» \u2028 \"x\", 'y' <!--"


def write_audit(output: Path, examples: list[Example]) -> None:
    """Of every row, doubted by one model that says anger."""
    rows = len(examples)
    answers = np.tile(np.array([0.1, 0.2, 0.1, 0, 0, 0.8], np.float32), (rows, 1))
    evidence = LabelEvidence("larger", answers, np.linspace(0.1, 0.9, rows), np.ones(rows, dtype=np.bool_))
    write_suspects(output, examples, {"larger": Path("weights/larger")}, [evidence])


def page_data(page: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found)


def test_the_page_has_every_suspect_and_no_text_ends_its_script(tmp_path: Path) -> None:
    examples = [Example(f"{HOSTILE} {n}", frozenset({JOY}), "cedr", domain="lj", number=n + 1) for n in range(700)]
    write_audit(tmp_path, examples)
    page = (tmp_path / "suspects.html").read_text(encoding="utf-8")
    suspects = page_data(page)["suspects"]
    assert [each["text"] for each in suspects] == [example.text for example in examples]
    assert suspects[0] == {
        "source": "cedr/lj", "row": 1, "text": f"{HOSTILE} 0", "given": "joy", "suggested": "anger",
        "doubted_by": ["larger"], "quality": 0.1, "probabilities": {"larger": [0.2, 0.8]},
    }  # fmt: skip
    assert page.count("<script") == page.count("</script>") == 2, "the data's and the page's own"
    assert "<!--" not in page
    assert not re.search(r"""(src|href)=["'](?!#|data:)|url\((?!#)|@import""", page), "the page needs nothing else"
    assert page.index("Content-Security-Policy") < page.index("</head>"), "elsewhere it counts for nothing"
    with (tmp_path / "suspects.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["row"], row["text"]) for row in rows] == [
        ("cedr/lj", f"{each['row']}", each["text"]) for each in suspects
    ]


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    write_cedr(tmp_path / "data")
    write_audit(tmp_path / "audit", load_source("cedr", "train", tmp_path / "data"))
    return tmp_path / "audit"


@pytest.fixture
def server(audit: Path) -> Iterator[AuditServer]:
    with AuditServer(audit, audit.parent / "mine" / "corrections.csv") as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def corrections_of(*rows: tuple[str, str, str]) -> bytes:
    content = io.StringIO(newline="")
    csv.writer(content).writerows([("text", "given", "corrected"), *rows])
    return content.getvalue().encode("utf-8-sig")


def test_from_the_page_to_the_rows_that_are_trained_on(audit: Path, server: AuditServer) -> None:
    data_dir = audit.parent / "data"
    train = {row.text: row for row in train_and_held_out("cedr", 0, data_dir).train}
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        suspects = page_data(client.get("").text)["suspects"]
        changed, dropped = [each for each in suspects if each["text"] in train and each["given"] == "joy"][:2]
        empty = client.get("corrections.csv")
        assert empty.text == "text,given,corrected\r\n"
        content = corrections_of((changed["text"], "joy", "anger"), (dropped["text"], "joy", "drop"))
        saved = client.put("corrections.csv", content=content, headers={"if-match": empty.headers["etag"]})
        assert (saved.status_code, saved.text) == (200, f"2 corrections are in {server.corrections}")
        assert client.get("corrections.csv").content == content
        assert client.get("corrections.csv").headers["etag"] == saved.headers["etag"]

        # Another window knows an older file; and what training would not read is not written.
        stale = client.put("corrections.csv", content=b"", headers={"if-match": empty.headers["etag"]})
        assert stale.status_code == 412
        assert "was changed elsewhere: load the page again" in stale.text
        now = {"if-match": saved.headers["etag"]}
        wrong = client.put("corrections.csv", content=corrections_of((changed["text"], "joy", "rage")), headers=now)
        assert wrong.status_code == 422
        assert "line 2, corrected: no label rage" in wrong.text
        assert server.corrections.read_bytes() == content
        assert [path.name for path in server.corrections.parent.iterdir()] == ["corrections.csv"]
    rows = train_and_held_out("cedr", 0, data_dir, corrections=read_corrections(server.corrections)).train
    after = {row.text: row for row in rows}
    assert after[changed["text"]].labels == {ANGER}
    assert set(train) - set(after) == {dropped["text"]}


def test_who_is_answered(server: AuditServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    origin = f"http://127.0.0.1:{server.server_port}"
    with httpx.Client(trust_env=False) as client:
        for address in (origin, f"{origin}/", f"{origin}/wrong/", f"{origin}/{server.token[:-1]}/", f"{server.url}x"):
            assert client.get(address).status_code == 404
        assert client.get(f"{origin}/wrong/corrections.csv").status_code == 404
        assert client.put(f"{origin}/wrong/corrections.csv", content=b"").status_code == 404
        assert client.get(f"{server.url}other").status_code == 404
        # A name that somebody else's server gives to 127.0.0.1.
        assert client.get(server.url, headers={"host": "evil.example"}).status_code == 404
        assert client.get(server.url).headers["referrer-policy"] == "no-referrer"
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("PUT", f"/{server.token}/corrections.csv", headers={"content-length": str(2**40)})
    with connection.getresponse() as refused:
        assert refused.status == 413
    connection.close()
    assert not server.corrections.exists()


def test_what_cannot_be_served(audit: Path, tmp_path: Path) -> None:
    said = fails("training.audit", "serve", tmp_path / "none", "--corrections", tmp_path / "c.csv")
    assert (
        "suspects.html cannot be read (No such file or directory): `python -m training.audit suspects` makes it" in said
    )
    (tmp_path / "c.csv").write_text("text;given\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"c\.csv has no column corrected"):
        AuditServer(audit, tmp_path / "c.csv")
    with (
        AuditServer(audit, tmp_path / "d.csv") as running,
        pytest.raises(TrainingError, match=r"cannot be listened on .*name another --port"),
    ):
        AuditServer(audit, tmp_path / "d.csv", running.server_port)


def test_the_command_serves_until_ctrl_c(audit: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "training.audit", "serve", audit, "--corrections", tmp_path / "c.csv"]
    with subprocess.Popen(
        list(map(str, line)), cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    ) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().removeprefix("open ").strip()
            assert "Labels to look at again" in httpx.get(url, trust_env=False).text
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert "nothing was decided" in process.stdout.read()
        finally:
            process.kill()
