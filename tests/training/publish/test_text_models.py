"""A model's text model follows it: after each publish, rollback, prune and quarantine, and at every moment of them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.canary import parse_trial
from contract.text_models import text_model
from tests.training.publish.test_versions import publish_command
from tests.training.support.version_directories import MODEL, make_repository, write_version
from training.common.command import TrainingError
from training.common.staging import staged
from training.export.text_models import CONFIGURATION, follow_versions, lacking_versions
from training.publish import versions
from training.publish.quarantine import quarantine_damaged, quarantine_version
from training.publish.trials import set_trial
from training.publish.versions import add_version, prune, roll_back, versions_of

TEXT_MODEL = text_model(MODEL)


def add(repository: Path, content: bytes = b"new") -> None:
    with staged(repository.parent) as directory:
        write_version(directory, content)
        add_version(repository, MODEL, directory)


def numbers(repository: Path, model: str) -> list[str]:
    return [path.name for path in versions_of(repository / model)]


def dangling(repository: Path) -> list[Path]:
    return [path for path in (repository / TEXT_MODEL).glob("*") if path.is_symlink() and not path.exists()]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = make_repository(tmp_path, 3)
    follow_versions(made, MODEL)
    return made


@pytest.fixture
def watched(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which no link may lead nowhere, before and after every rename."""
    rename: Callable[..., None] = os.rename

    def looked_at(*places: object, **options: object) -> None:
        assert dangling(repository) == []
        rename(*places, **options)
        assert dangling(repository) == []

    monkeypatch.setattr(os, "rename", looked_at)
    return repository


def test_the_first_version_comes_with_a_text_model(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    add(repository)
    assert sorted(path.name for path in repository.iterdir()) == [MODEL, TEXT_MODEL]
    assert sorted(os.listdir(repository / TEXT_MODEL)) == ["1", CONFIGURATION, "labels.txt"]
    assert os.readlink(repository / TEXT_MODEL / "1") == f"../{MODEL}/1"
    assert list(tmp_path.iterdir()) == [repository]


def test_it_has_the_models_versions_after_every_change(watched: Path) -> None:
    add(watched)
    assert numbers(watched, TEXT_MODEL) == ["1", "2", "3", "4"]
    roll_back(watched, MODEL, "2")
    assert numbers(watched, TEXT_MODEL) == ["1", "2", "3", "4", "5"]
    prune(watched, MODEL, 3)
    assert numbers(watched, TEXT_MODEL) == ["3", "4", "5"]
    quarantine_version(watched, MODEL, "5")
    assert numbers(watched, TEXT_MODEL) == ["3", "4"]
    (watched / MODEL / "4/tokenizer.json").write_bytes(b"damaged")
    quarantine_damaged(watched, MODEL)
    assert numbers(watched, TEXT_MODEL) == numbers(watched, MODEL) == ["3"]
    for number in numbers(watched, TEXT_MODEL):
        assert (watched / TEXT_MODEL / number).resolve() == watched / MODEL / number


def test_a_killed_publish_is_told_and_mended_by_the_next(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(versions, "follow_versions", killed)
        with pytest.raises(KeyboardInterrupt):
            add(repository)
    assert lacking_versions(repository, MODEL) == ["4"]
    listed = publish_command("list", "--repository", repository)
    assert f"{TEXT_MODEL} lacks 4: the next publish or rollback adds it" in listed.stdout
    add(repository)
    assert numbers(repository, TEXT_MODEL) == ["1", "2", "3", "4", "5"]


def test_one_whose_version_is_gone_is_forgotten(repository: Path) -> None:
    shutil.rmtree(repository / MODEL / "1")
    assert dangling(repository) == [repository / TEXT_MODEL / "1"]
    add(repository)
    assert numbers(repository, TEXT_MODEL) == ["2", "3", "4"]
    assert dangling(repository) == []


def test_copies_in_the_place_of_links_follow_too(tmp_path: Path, repository: Path) -> None:
    copied = Path(shutil.copytree(repository, tmp_path / "copy"))
    assert not (copied / TEXT_MODEL / "1").is_symlink()
    prune(copied, MODEL, 2)
    assert numbers(copied, TEXT_MODEL) == ["2", "3"]


def test_list_tells_models_and_not_their_text_models(repository: Path) -> None:
    listed = publish_command("list", "--repository", repository, "--verify")
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [MODEL, MODEL, MODEL, "every"]


@pytest.mark.parametrize("command", ["rollback --to 1", "prune", "quarantine", "canary 5%", "promote"])
def test_a_text_model_is_not_managed_by_itself(repository: Path, command: str) -> None:
    name, *rest = command.split()
    done = publish_command(name, "--model", TEXT_MODEL, "--repository", repository, *rest)
    assert done.returncode == 1
    assert f"{TEXT_MODEL} is a text model" in done.stderr
    assert f"name {MODEL}" in done.stderr


def test_no_model_has_a_text_models_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="emotion_con_text is a text model, as is every name that ends with _text"):
        versions.check_can_add(tmp_path, "emotion_con_text")


def test_a_trial_leaves_it_alone(repository: Path) -> None:
    set_trial(repository, MODEL, parse_trial("5%"))
    assert numbers(repository, TEXT_MODEL) == ["1", "2", "3"]
