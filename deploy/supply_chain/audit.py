"""Ask for known vulnerabilities of every package of every lock, with pip-audit.

    python -m deploy.supply_chain.audit                          # PyPI, or OSV where PyPI doesn't know
    python -m deploy.supply_chain.audit --advisories all.zip     # a local copy of OSV's advisories for PyPI
    python -m deploy.supply_chain.audit --osv-url http://osv.example.org/v1/query

"No vulnerability is known" is said only if a source was asked about every package. Exit status: 0 none is known; 1 some
are; 2 wrong input; 3 no source could be asked about everything. `ignored.toml` beside this file names advisories that
don't concern this project, why, and until when; one that has expired counts again.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from deploy.supply_chain.advisories import Advisories, served
from deploy.supply_chain.command import ROOT, SupplyChainError, run_command
from deploy.supply_chain.locks import LOCKS, read_lock

VULNERABLE: Final = 1
NOT_ASKED: Final = 3
IGNORED: Final = Path(__file__).with_name("ignored.toml")
_SECONDS: Final = 900
Pin = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """What a source says of packages."""

    asked: frozenset[Pin]
    vulnerabilities: frozenset[tuple[str, str, tuple[str, ...], str]]
    """Name and version of the package, the advisory's names, the versions that mend it."""


def all_pins(root: Path = ROOT) -> frozenset[Pin]:
    """Name and version of every package that a lock names."""
    texts = [(root / lock.file).read_text("utf-8") for lock in LOCKS]
    return frozenset((package.name, package.version) for text in texts for package in read_lock(text).values())


def ignored(text: str, today: date) -> dict[str, str]:
    """The advisories of `ignored.toml` that still count as such, with the reason.

    Raises:
        SupplyChainError: an entry lacks its id, reason or date, or has expired.
    """
    reasons = {}
    for entry in tomllib.loads(text).get("ignored", []):
        if set(entry) != {"id", "reason", "until"} or not isinstance(entry["until"], date) or not entry["reason"]:
            raise SupplyChainError(f"ignored.toml: an entry needs id, reason and until (a date): {entry}", 2)
        if entry["until"] < today:
            raise SupplyChainError(
                f"ignored.toml: {entry['id']} was ignored until {entry['until']}: look again, then remove or renew it",
                VULNERABLE,
            )
        reasons[entry["id"]] = entry["reason"]
    return reasons


def ask(pins: Iterable[Pin], service: list[str]) -> Found:
    """Ask a source about packages.

    Args:
        pins: name and version.
        service: the flags of pip-audit that name it.

    Returns:
        What it says; only of those packages that it answered for.
    """
    asked: set[Pin] = set()
    found = set()
    for name, version, vulnerabilities in (one for part in _once_each(pins) for one in _pip_audit(part, service)):
        asked.add((name, version))
        for one in vulnerabilities:
            found.add((name, version, (one["id"], *one["aliases"]), ", ".join(one["fix_versions"])))
    return Found(frozenset(asked), frozenset(found))


def _once_each(pins: Iterable[Pin]) -> list[list[Pin]]:
    """Lists in which a package stands once: two locks may have it in two versions."""
    parts: list[dict[str, str]] = []
    for name, version in sorted(pins):
        part = next((part for part in parts if name not in part), None)
        if part is None:
            parts.append(part := {})
        part[name] = version
    return [list(part.items()) for part in parts]


def _pip_audit(pins: list[Pin], service: list[str]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    with tempfile.TemporaryDirectory() as name:
        requirements = Path(name, "requirements.txt")
        requirements.write_text("".join(f"{package}=={version}\n" for package, version in pins), "utf-8")
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--requirement", str(requirements)]
        options = ["--format=json", "--progress-spinner=off", "--timeout=15", f"--cache-dir={name}/cache", *service]
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                [*command, *options], capture_output=True, text=True, check=False, timeout=_SECONDS
            )
        except subprocess.TimeoutExpired:
            return []
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return []  # It ends with a traceback where it gets no answer, with the status of a vulnerability.
    # One that the source doesn't know has a skip_reason; pip-audit counts that as no vulnerability.
    return [(one["name"], one["version"], one["vulns"]) for one in dependencies if "skip_reason" not in one]


def sources(osv_url: str | None) -> list[tuple[str, list[str]]]:
    """Names of the sources to ask in turn, and pip-audit's flags for each."""
    if osv_url:
        return [(osv_url, ["--vulnerability-service=osv", f"--osv-url={osv_url}"])]
    return [("PyPI", ["--vulnerability-service=pypi"]), ("OSV", ["--vulnerability-service=osv"])]


def audit(osv_url: str | None, pins: frozenset[Pin], reasons: dict[str, str], source: str = "") -> str:
    """Ask the sources, each about what those before it did not know.

    Returns:
        A summary.

    Raises:
        SupplyChainError: there are vulnerabilities, or packages that no source knows.
    """
    asked: set[Pin] = set()
    lines, names = [], []
    for name, service in sources(osv_url):
        found = ask(pins - asked, service)
        if found.asked:
            names.append(f"{source or name} ({len(found.asked)})")
        asked |= found.asked
        for package, version, identities, fixed in sorted(found.vulnerabilities):
            reason = next((reasons[identity] for identity in identities if identity in reasons), None)
            mended = f"mended in {fixed}" if fixed else "not mended yet"
            says = f"{package} {version}: {', '.join(identities)}; {mended}"
            print(f"ignored: {says}; {reason}" if reason else says)
            lines += [] if reason else [says]
        if asked >= pins:
            break
    missing = sorted(pins - asked)
    if lines:
        unknown = f"; no source could be asked about {len(missing)} others" if missing else ""
        raise SupplyChainError(f"{len(lines)} vulnerabilities in what the locks name (above){unknown}", VULNERABLE)
    if not asked:
        raise SupplyChainError(
            "no advisory source could be reached, so nothing is known about vulnerabilities. Name a local one: "
            'make audit FLAGS="--advisories all.zip" (docs/running/supply-chain.md)',
            NOT_ASKED,
        )
    if missing:
        shown = ", ".join(f"{name} {version}" for name, version in missing[:5])
        raise SupplyChainError(
            f"{', '.join(names)} could not be asked about {len(missing)} of {len(pins)} packages: {shown}"
            f"{', …' if len(missing) > 5 else ''}",
            NOT_ASKED,
        )
    return f"no vulnerability is known in {len(pins)} packages, says {', '.join(names)}"


def main() -> None:
    """Audit, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain.audit", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--advisories", type=Path, help="a zip file or folder of OSV's JSON files for PyPI")
    where.add_argument("--osv-url", help="a server that answers as api.osv.dev does")
    arguments = parser.parse_args()
    if arguments.osv_url and not re.match(r"https?://", arguments.osv_url):
        raise SupplyChainError(f"--osv-url must begin with http:// or https://: {arguments.osv_url}", 2)
    reasons = ignored(IGNORED.read_text("utf-8"), datetime.now(UTC).date())
    local = Advisories.read(arguments.advisories) if arguments.advisories else None
    if local:
        print(f"{arguments.advisories}: {local.count} advisories for PyPI, the newest of {local.newest}")
    with served(local) if local else nullcontext(arguments.osv_url) as url:
        print(audit(url, all_pins(), reasons, str(arguments.advisories or "")))


if __name__ == "__main__":
    run_command(main)
