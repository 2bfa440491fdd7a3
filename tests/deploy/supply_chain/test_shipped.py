"""What is shipped, and the page that says so, agree with the lock files; nothing is fetched for that."""

import re
from pathlib import Path

import pytest

from deploy.supply_chain.command import ROOT
from deploy.supply_chain.locks import read_lock
from deploy.supply_chain.shipped import SHIPPED

PAGE = (ROOT / "docs/running/licences.md").read_text("utf-8")


def test_the_page_of_licences_names_every_package_and_where_it_is() -> None:
    expected: dict[tuple[str, str], set[str]] = {}
    for shipped in SHIPPED:
        for lock in shipped.locks:
            for package in read_lock((ROOT / lock).read_text("utf-8")).values():
                expected.setdefault((package.name, package.version), set()).add(shipped.name)
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (\S*\d\S*) \| .+ \| ([a-z, ]+) \|$", PAGE, re.MULTILINE)
    assert {(name, version): set(places.split(", ")) for name, version, places in rows} == expected


@pytest.mark.parametrize("dockerfile", sorted(ROOT.glob("deploy/**/*Dockerfile")), ids=lambda file: file.name)
def test_every_image_has_a_bill_with_the_lock_that_it_installs(dockerfile: Path) -> None:
    text = dockerfile.read_text("utf-8")
    if "pip install" not in text:
        return
    (shipped,) = [
        shipped for shipped in SHIPPED if shipped.dockerfile and ROOT / shipped.dockerfile == ROOT / dockerfile
    ]
    (lock,) = shipped.locks
    assert re.search(rf"^COPY {re.escape(lock)} ", text, re.MULTILINE)
    for label in ("title", "version", "revision", "source", "licenses"):
        assert f"org.opencontainers.image.{label}=" in text
