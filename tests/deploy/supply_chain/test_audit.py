"""The audit: pip-audit itself, asked against a local copy of advisories, and sources that don't answer."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.supply_chain.advisories import Advisories
from deploy.supply_chain.audit import all_pins, ignored
from deploy.supply_chain.command import ROOT, SupplyChainError

pytestmark = pytest.mark.supply


def advisory(package: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": package}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "PYSEC-1", "modified": "2026-11-01T00:00:00Z", "aliases": ["CVE-1"], "affected": [affected], **more}


def copy(directory: Path, *records: dict[str, Any]) -> Path:
    path = directory / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, record in enumerate(records):
            archive.writestr(f"{number}.json", json.dumps(record))
    return path


def audit(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.supply_chain.audit", *flags]
    return subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)


def test_a_vulnerability_is_named(tmp_path: Path) -> None:
    version = dict(all_pins())["fastapi"]
    path = copy(tmp_path, advisory("FastAPI", {"introduced": "0"}, {"fixed": "999.1"}), advisory("no-such-package"))
    found = audit("--advisories", str(path))
    assert found.returncode == 1
    assert f"fastapi {version}: PYSEC-1, CVE-1; mended in 999.1\n" in found.stdout
    assert "2 advisories for PyPI, the newest of 2026-11-01" in found.stdout
    assert found.stderr == "error: 1 vulnerabilities in what the locks name (above)\n"


def test_none_is_known(tmp_path: Path) -> None:
    found = audit("--advisories", str(copy(tmp_path, advisory("fastapi", {"introduced": "0"}, {"fixed": "0.1"}))))
    assert found.returncode == 0, found.stderr
    assert f"no vulnerability is known in {len(all_pins())} packages" in found.stdout


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(("status", "body"), [(503, b""), (200, b"<html>"), (404, b"{}")])
def test_a_source_that_gives_no_answer_is_none(status: int, body: bytes) -> None:
    with answering(status, body) as url:
        found = audit("--osv-url", url)
    assert found.returncode == 3
    assert found.stdout == ""
    assert found.stderr.startswith("error: no advisory source could be reached, so nothing is known")


def test_no_source_at_all() -> None:
    """Every way out is closed: a proxy that isn't there."""
    nowhere = "http://127.0.0.1:9"
    found = audit(
        HTTPS_PROXY=nowhere, HTTP_PROXY=nowhere, https_proxy=nowhere, http_proxy=nowhere, NO_PROXY="", no_proxy=""
    )
    assert found.returncode == 3
    assert "no vulnerability" not in found.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [({"id": "x"}, "has no advisories for PyPI"), ([], "can't be read as OSV's advisories")],
)
def test_a_copy_that_is_none(tmp_path: Path, content: Any, said: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = audit("--advisories", str(tmp_path))
    assert found.returncode == 2
    assert said in found.stderr
    assert audit("--advisories", str(tmp_path / "none.zip")).returncode == 2


@pytest.mark.parametrize(
    ("version", "concerned"),
    [("1.0", False), ("1.2", True), ("1.4.9", True), ("1.5", False), ("2.0rc1", False), ("2.0", True), ("2.1", False)],
)
def test_ranges_are_read_as_osv_means_them(tmp_path: Path, version: str, concerned: bool) -> None:
    events: list[dict[str, str]] = [
        {"introduced": "2.0"}, {"last_affected": "2.0"}, {"introduced": "1.1"}, {"fixed": "1.5"}
    ]  # fmt: skip
    advisories = Advisories.read(copy(tmp_path, advisory("a_b", *events)))
    assert bool(advisories.about("A-B", version)) is concerned


def test_versions_that_are_listed_count(tmp_path: Path) -> None:
    record = advisory("a")
    record["affected"][0]["versions"] = ["1.0.post7"]
    advisories = Advisories.read(copy(tmp_path, record))
    assert advisories.about("a", "1.0.post7")
    assert not advisories.about("a", "1.0")


def test_ignored_advisories_need_a_reason_and_expire() -> None:
    entry = '[[ignored]]\nid = "PYSEC-1"\nreason = "not called"\nuntil = 2026-12-31\n'
    assert ignored(entry, date(2026, 12, 31)) == {"PYSEC-1": "not called"}
    with pytest.raises(SupplyChainError, match="PYSEC-1 was ignored until 2026-12-31") as error:
        ignored(entry, date(2027, 1, 1))
    assert error.value.status == 1
    for damaged in (entry.replace("not called", ""), entry.replace("until = 2026-12-31\n", "")):
        with pytest.raises(SupplyChainError, match="needs id, reason and until"):
            ignored(damaged, date(2026, 12, 1))
