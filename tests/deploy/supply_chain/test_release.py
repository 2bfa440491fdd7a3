"""A release, made in a clone of this checkout: what is checked, what it leaves, and that it is the same every time."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.supply_chain.command import ROOT, SupplyChainError, git
from deploy.supply_chain.release import notes_of
from deploy.supply_chain.sbom import version
from deploy.supply_chain.shipped import SHIPPED, WHEELS

pytestmark = pytest.mark.supply
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n\n### Added\n\n- a\n\n## [1.2.2]\n\n- b\n"


def test_the_changelog_is_for_people_and_has_a_place_for_what_is_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", text, re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert len(re.findall(r"^## ", text, re.MULTILINE)) == len(sections)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds


def test_notes_are_a_versions_section() -> None:
    assert notes_of(CHANGELOG, "1.2.3") == "### Added\n\n- a"


@pytest.mark.parametrize(
    ("changelog", "said"),
    [
        (CHANGELOG.replace("1.2.3", "1.2.4"), r"no section for 1.2.3: rename \[Unreleased\]"),
        (CHANGELOG.replace(" - 2026-11-30", ""), "needs its day"),
        (CHANGELOG.replace("### Added\n\n- a\n\n", ""), "says nothing"),
    ],
)
def test_a_version_without_notes_is_refused(changelog: str, said: str) -> None:
    with pytest.raises(SupplyChainError, match=said):
        notes_of(changelog, "1.2.3")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose changelog has a section for its version."""
    directory = tmp_path_factory.mktemp("release") / "checkout"
    subprocess.run(["git", "clone", "--quiet", ROOT, directory], check=True)
    (directory / "build/supply").mkdir(parents=True)
    (directory / "build/supply/wheels").symlink_to(WHEELS)
    changelog = directory / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text().replace("## [Unreleased]", f"## [Unreleased]\n\n## [{version()}] - 2026-11-30")
    )
    commit(directory, "ready")
    return directory


def commit(directory: Path, message: str) -> None:
    git("add", "--all", root=directory)
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *who, "commit", "--quiet", "--message", message], cwd=directory, check=True)


def release(directory: Path, name: str) -> subprocess.CompletedProcess[str]:
    who = {f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = [sys.executable, "-m", "deploy.supply_chain.release", name]
    return subprocess.run(command, cwd=directory, env=os.environ | who, capture_output=True, text=True, check=False)


def test_what_can_not_be_released(checkout: Path) -> None:
    for name, said in (
        ("9.9.9", f"pyproject.toml has version {version()}, not 9.9.9"),
        ("v1", "is no version such as"),
    ):
        refused = release(checkout, name)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert said in refused.stderr
    chart = checkout / "deploy/chart/Chart.yaml"
    stated = chart.read_text()
    chart.write_text(re.sub(r"^version: .*", "version: 0.0.7", stated, flags=re.MULTILINE))
    refused = release(checkout, version())
    chart.write_text(stated)
    assert refused.returncode == 1
    assert f"Chart.yaml has version 0.0.7, not {version()}" in refused.stderr
    (checkout / "stray.txt").write_text("")
    refused = release(checkout, version())
    (checkout / "stray.txt").unlink()
    assert refused.returncode == 1
    assert "changes that are not committed:\n?? stray.txt" in refused.stderr
    assert git("tag", root=checkout) == git("tag")


def test_a_release(checkout: Path) -> None:
    remote = git("for-each-ref", "refs/tags")
    done = release(checkout, version())
    assert done.returncode == 0, done.stderr
    files = {file.name: file.read_bytes() for file in (checkout / "dist").iterdir()}
    named = {
        *(f"ru-emotions-{shipped.name}-{version()}.cdx.json" for shipped in SHIPPED),
        *(f"LICENSES-{shipped.name}.txt" for shipped in SHIPPED),
        f"ru_emotions_triton-{version()}-py3-none-any.whl",
        "SHA256SUMS",
    }
    (chart,) = files.keys() - named
    sums = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "SHA256SUMS"}
    with tarfile.open(checkout / "dist" / chart) as archive:
        (folder,) = {name.partition("/")[0] for name in archive.getnames()}
        names = set(archive.getnames())
    assert chart == f"{folder}-{version().replace('rc', '-rc')}.tgz"
    # What links lead to is packed, and what .helmignore names is not.
    linked = [*(ROOT / "deploy/monitoring/rules").iterdir(), *(ROOT / "deploy/monitoring/dashboards").iterdir()]
    assert {f"{folder}/files/{file.parent.name}/{file.name}" for file in linked} <= names
    assert {f"{folder}/Chart.yaml", f"{folder}/values.schema.json", f"{folder}/templates/_names.tpl"} <= names
    assert not [name for name in names if name.startswith(f"{folder}/ci/")]
    assert git("tag", "--points-at", "HEAD", root=checkout) == f"v{version()}"
    assert git("cat-file", "-t", f"v{version()}", root=checkout) == "tag"
    assert "### Added" in git("tag", "--list", "--format=%(contents)", f"v{version()}", root=checkout)
    (named_tests,) = [line for line in done.stdout.splitlines() if ".ci/run" in line]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"make ([a-z-]+)", named_tests))
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"check-supply", "test-monitoring", "test-storage", "drill-network", "drills"} <= targets
    assert "images are not pinned by digest" in done.stdout
    assert git("for-each-ref", "refs/tags") == remote, "nothing is pushed"
    again = release(checkout, version())
    assert again.returncode == 1
    assert f"the tag v{version()} is there already" in again.stderr
    git("tag", "--delete", f"v{version()}", root=checkout)
    assert release(checkout, version()).returncode == 0
    assert {file.name: file.read_bytes() for file in (checkout / "dist").iterdir()} == files
