"""What the pages name is there: links, headings, make's targets, modules and files."""

import re
from pathlib import Path

import pytest

from tests.support.triton_process import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MAKE = re.compile(r"(?<![\w-])make ([a-z][a-z-]*)")
MODULE = re.compile(r"-m ((?:benchmarks|clients|deploy|gateway|server|training)[\w.]*)")
FILE = re.compile(r"`((?:benchmarks|clients|contract|deploy|docs|gateway|server|tests|training)/[\w./-]*)`")


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text("utf-8"))


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {anchor(heading) for heading in HEADING.findall(prose(page))}


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dead_links(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `page`\n[a](#one-page) [b](#two) [c](none.md) [d](page.md#one-page)\n```\n[e](f.md)\n```\n")
    assert dead_links(page) == ["#two", "none.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_modules_and_files_exist(page: Path) -> None:
    code = "\n".join(CODE.findall(page.read_text("utf-8")))
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(MAKE.findall(code)) - targets == set()
    modules = [ROOT / name.rstrip(".").replace(".", "/") for name in MODULE.findall(code)]
    assert [path for path in modules if not path.with_suffix(".py").exists() and not path.is_dir()] == []
    assert [name for name in FILE.findall(code) if not (ROOT / name).exists()] == []
