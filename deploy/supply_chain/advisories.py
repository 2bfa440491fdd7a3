"""A local copy of OSV's advisories, and a server on this machine that answers from it as OSV does.

OSV publishes all advisories for PyPI as one zip file of JSON files (https://google.github.io/osv.dev/data/). pip-audit
can ask a server at any address, but reads no files: hence the server. It lives as long as the audit, on 127.0.0.1.
"""

import json
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from deploy.supply_chain.command import SupplyChainError


@dataclass(frozen=True)
class Advisories:
    """Advisories in OSV's format, by the package that they are about."""

    by_package: dict[str, list[dict[str, Any]]]
    count: int
    newest: str
    """The day of the last change, as the advisories say."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a zip file, or a folder, of JSON files.

        Raises:
            SupplyChainError: it can't be read, or has no advisories for PyPI.
        """
        by_package: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        days = []
        try:
            for record in _records(path):
                for one in _affected(record):
                    # pip-audit compares names as they are written.
                    one["package"]["name"] = canonicalize_name(one["package"]["name"])
                names = {one["package"]["name"] for one in _affected(record)}
                for name in names:
                    by_package[name].append(record)
                if names:
                    days.append(record["modified"][:10])
        except (OSError, zipfile.BadZipFile, AttributeError, KeyError, TypeError, ValueError) as error:
            raise SupplyChainError(f"{path} can't be read as OSV's advisories: {error!r}", 2) from None
        if not days:
            raise SupplyChainError(f"{path} has no advisories for PyPI", 2)
        return cls(dict(by_package), len(days), max(days))

    def about(self, package: str, version: str) -> list[dict[str, Any]]:
        """The advisories that concern this version of a package."""
        name = canonicalize_name(package)
        return [record for record in self.by_package.get(name, ()) if _concerns(record, name, version)]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield json.loads(file.read_text("utf-8"))
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def _affected(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in record.get("affected", []) if one.get("package", {}).get("ecosystem") == "PyPI"]


def _concerns(record: dict[str, Any], name: str, version: str) -> bool:
    """OSV's rule: the version is listed, or lies in a range."""
    for one in _affected(record):
        if one["package"]["name"] != name:
            continue
        if version in one.get("versions", []):
            return True
        ranges = [events["events"] for events in one.get("ranges", []) if events.get("type") == "ECOSYSTEM"]
        if any(_in_range(Version(version), events) for events in ranges):
            return True
    return False


def _in_range(version: Version, events: list[dict[str, str]]) -> bool:
    """Whether a version lies in a range, given as what happened at which version."""
    affected = False
    for kind, at in sorted(((kind, at) for event in events for kind, at in event.items()), key=_order):
        if kind == "introduced" and (at == "0" or version >= _version(at)):
            affected = True
        elif (kind == "fixed" and version >= _version(at)) or (kind == "last_affected" and version > _version(at)):
            affected = False
    return affected


def _order(event: tuple[str, str]) -> tuple[Version, bool]:
    return _version(event[1]), event[0] != "introduced"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")  # Older advisories have such; their `versions` lists what they mean.


@contextmanager
def served(advisories: Advisories) -> Iterator[str]:
    """A server that answers OSV's queries; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = advisories.about(asked["package"]["name"], asked["version"])
            body = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the audit says what was found."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
