"""Images are pinned where they are named; the registry's answer comes from a program that stands in for crane."""

import os
import shutil
from pathlib import Path

import pytest

from deploy.supply_chain.command import ROOT, SupplyChainError
from deploy.supply_chain.images import UNREACHABLE, files, named_images, pin, report

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for file in files(ROOT):
        target = tmp_path / "checkout" / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path / "checkout"


def only_program(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crane that answers so, and neither skopeo nor docker."""
    directory.mkdir()
    (directory / "crane").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "crane").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))


def test_every_base_is_named_once_in_its_file() -> None:
    """So that a digest has one place; and what is built on the same tag is built on the same image."""
    bases = set()
    for file in ROOT.glob("deploy/**/*Dockerfile"):
        lines = file.read_text("utf-8").splitlines()
        stages = {line.split()[1] for line in lines if line.startswith("FROM ")} - {"scratch"}
        named = [named for named in named_images(ROOT) if named.file == file]
        assert stages == ({"$BASE"} if named else set()), file
        bases |= {(base.image, base.digest) for base in named}
    assert len(bases) == len({image for image, _ in bases}) == 2


def test_images_of_other_compose_services_count(checkout: Path) -> None:
    compose = checkout / "docker-compose.yml"
    compose.write_text(compose.read_text("utf-8") + f"  x:\n    image: prom/prometheus:v3@{DIGEST} # why\n")
    found = {named.image: named.digest for named in named_images(checkout)}
    assert found["prom/prometheus:v3"] == DIGEST
    assert not any(image.startswith("ru-emotions-") for image in found)


def test_pinning_writes_every_digest_and_nothing_else(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file: file.read_text("utf-8") for file in files(checkout)}
    only_program(tmp_path / "bin", f'test "$1" = digest && echo {DIGEST}', monkeypatch)
    unpinned = report(checkout)[1]
    assert len(pin(checkout)) == len(named_images(checkout)) >= unpinned
    assert report(checkout)[1] == 0
    assert pin(checkout) == []
    for file, text in before.items():
        assert file.read_text("utf-8").replace(f"@{DIGEST}", "") == text
    newer = DIGEST.replace("ab", "cd")
    (tmp_path / "bin/crane").write_text(f"#!/bin/sh\necho {newer}\n")
    assert {named.digest for named in pin(checkout)} == {DIGEST}
    assert {named.digest for named in named_images(checkout)} == {newer}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Error: connection refused' >&2; exit 1", "crane got no digest of .*: Error: connection refused"),
        ("echo latest", "crane got no digest of .*: it said nothing"),
    ],
)
def test_a_registry_that_does_not_answer(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    before = {file: file.read_bytes() for file in files(checkout)}
    only_program(tmp_path / "bin", script, monkeypatch)
    with pytest.raises(SupplyChainError, match=said) as error:
        pin(checkout)
    assert error.value.status == UNREACHABLE
    assert {file: file.read_bytes() for file in files(checkout)} == before


def test_no_program_that_could_ask(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(SupplyChainError, match="none of crane, skopeo, docker is here"):
        pin(checkout)
