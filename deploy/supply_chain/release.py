"""Make a release here: check, build what is given away into `dist/`, and tag. Nothing is pushed.

    python -m deploy.supply_chain.release 1.2.3    # `make release VERSION=1.2.3`

In `dist/`: the wheel, a bill of materials and the licence texts for the release and each image, the chart, and
SHA256SUMS. Two releases of a commit have the same bytes.
"""

import argparse
import gzip
import io
import re
import shutil
import tarfile
from datetime import date
from pathlib import Path
from typing import Final

from deploy.supply_chain import images, licences
from deploy.supply_chain.command import ROOT, SupplyChainError, git, run_command
from deploy.supply_chain.sbom import source_date_epoch, version, write_bills
from deploy.supply_chain.shipped import SHIPPED, sha256_of
from deploy.supply_chain.wheel import build_wheel, tracked_files

DIST: Final = ROOT / "dist"
CHART: Final = "deploy/chart"
TESTS: Final = (
    ".ci/run", "make check-supply", "make audit", "make test-clients", "make test-cluster", "make test-storage",
    "make test-monitoring", "make test-kubernetes", "make drill-network", "make drills", "make end-to-end",
)  # fmt: skip
"""What should have passed; the first leaves out the others."""


def notes_of(changelog: str, released: str) -> str:
    """What the changelog says of a version.

    Raises:
        SupplyChainError: it has no section for it, or an empty one, or one without a day.
    """
    section = re.search(rf"^## \[{re.escape(released)}\](.*)\n((?:(?!^## |^\[).*\n?)*)", changelog, re.MULTILINE)
    if section is None:
        raise SupplyChainError(
            f"CHANGELOG.md has no section for {released}: rename [Unreleased] to [{released}] - {date.today()}, commit"
        )
    if not re.fullmatch(r" - \d{4}-\d\d-\d\d", section[1]):
        raise SupplyChainError(f"the section of {released} in CHANGELOG.md needs its day: ## [{released}] - 2026-01-31")
    if not section[2].strip():
        raise SupplyChainError(f"the section of {released} in CHANGELOG.md says nothing")
    return section[2].strip()


def check(released: str) -> str:
    """Check that this commit can be released under a version; gives the changelog's notes.

    Raises:
        SupplyChainError: it can't.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", released):
        raise SupplyChainError(f"{released!r} is no version such as 1.2.3 or 1.2.3rc1")
    if released != version():
        raise SupplyChainError(f"pyproject.toml has version {version()}, not {released}: change it there, and commit")
    # Helm takes SemVer alone; the images' tag is the version as it is.
    for field, right in (("version", released.replace("rc", "-rc")), ("appVersion", released)):
        if (there := chart_says(field)) != right:
            raise SupplyChainError(f"{CHART}/Chart.yaml has {field} {there}, not {right}: change it there, and commit")
    notes = notes_of((ROOT / "CHANGELOG.md").read_text("utf-8"), released)
    if changed := git("status", "--porcelain"):
        raise SupplyChainError(f"there are changes that are not committed:\n{changed}")
    if git("tag", "--list", f"v{released}"):
        raise SupplyChainError(f"the tag v{released} is there already: a version is released once")
    return notes


def build(directory: Path) -> list[Path]:
    """Build everything that a release gives away; a directory that is there is replaced."""
    shutil.rmtree(directory, ignore_errors=True)
    build_wheel(directory)
    write_bills(directory)
    for shipped in SHIPPED:
        (directory / f"LICENSES-{shipped.name}.txt").write_text(licences.texts(shipped), "utf-8")
    package_chart(directory)
    files = sorted(directory.iterdir())
    sums = "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)
    (directory / "SHA256SUMS").write_text(sums, "utf-8")
    return [*files, directory / "SHA256SUMS"]


def chart_says(field: str, root: Path = ROOT) -> str:
    """A field of Chart.yaml, as it is written there."""
    text = (root / CHART / "Chart.yaml").read_text("utf-8")
    return str(re.findall(rf"^{field}: *[\"']?([^\s\"'#]+)", text, re.MULTILINE)[0])


def chart_files(root: Path = ROOT) -> dict[str, Path]:
    """What `helm package` packs, by its place: what git tracks, links followed, without the folders of .helmignore."""
    ignored = tuple((root / CHART / ".helmignore").read_text("utf-8").split())
    tracked = tracked_files(root)
    files: dict[str, Path] = {}
    for name in filter(None, git("ls-files", "-z", "--", CHART, root=root).split("\0")):
        place = name.removeprefix(f"{CHART}/")
        if place.startswith(ignored):
            continue
        target = (root / name).resolve().relative_to(root.resolve()).as_posix()
        # A link to a folder (rules, dashboards) stands for what is tracked in there.
        inside = [each.removeprefix(target) for each in tracked if each == target or each.startswith(f"{target}/")]
        files |= {place + each: root / (target + each) for each in inside}
    return files


def package_chart(directory: Path, root: Path = ROOT) -> Path:
    """The chart as `helm package` packs it, with fixed times, owners and order."""
    chart, number = chart_says("name", root), chart_says("version", root)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, file in sorted(chart_files(root).items()):
            content = file.read_bytes()
            member = tarfile.TarInfo(f"{chart}/{name}")
            member.size, member.mode, member.mtime = len(content), 0o644, source_date_epoch()
            archive.addfile(member, io.BytesIO(content))
    path = directory / f"{chart}-{number}.tgz"
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return path


def main() -> None:
    """Check, build, tag."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain.release", description=__doc__)
    parser.add_argument("version")
    released = parser.parse_args().version
    notes = check(released)
    if (ROOT / licences.PAGE).read_text("utf-8") != licences.page():
        raise SupplyChainError(f"{licences.PAGE} is not up to date: make licences, and commit")
    for file in build(DIST):
        print(file.relative_to(ROOT))
    git("tag", "--annotate", f"v{released}", "--cleanup=whitespace", "--message", f"Version {released}\n\n{notes}\n")
    print(images.report(ROOT)[0].splitlines()[-1])
    print(f"Tagged v{released}; nothing is pushed. These should have passed on this commit: {', '.join(TESTS)}.")
    print(f"Then: git push origin v{released}, and give away what is in dist/.")


if __name__ == "__main__":
    run_command(main)
