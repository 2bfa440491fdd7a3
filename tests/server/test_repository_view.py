"""What Triton is shown of a repository that changes between two looks, or holds what can't be looked at."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from server.errors import ModelRepositoryError
from server.repository.check import check_repository
from server.repository.configurations import ConfigurationChoice
from server.repository.view import RepositoryView
from tests.server.graphs import X3, Y3, config

LONG = "/" + "x" * 300
"""A link to it can't be followed, and that is no sign that it leads nowhere: as where one may not look."""


def write(repository: Path, *versions: int, model: str = "plus") -> None:
    """A model of empty directories, which only a Triton would look into."""
    (repository / model / "configs").mkdir(parents=True, exist_ok=True)
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        (repository / model / name).write_text(config([X3], [Y3]))
    for version in versions:
        (repository / model / str(version)).mkdir()


def write_text_model(repository: Path, *versions: int, name: str = "plus_text") -> None:
    (repository / name).mkdir(exist_ok=True)
    (repository / name / "config.pbtxt").write_text("")
    for version in versions:
        (repository / name / str(version)).symlink_to(f"../plus/{version}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repository = tmp_path / "models"
    write(repository, 1)
    return repository


@pytest.fixture
def view(repository: Path, tmp_path: Path) -> RepositoryView:
    return RepositoryView(repository, tmp_path / "view")


def shown(view: RepositoryView, model: str = "plus") -> list[str]:
    return sorted(view.shown_versions(model))


def call_between(monkeypatch: pytest.MonkeyPatch, look: Callable[[], None], *names: str) -> None:
    """Look before and after each call of these functions of `os`."""

    def looked(name: str) -> None:
        do = getattr(os, name)

        def between(*arguments: object, **more: object) -> object:
            look()
            found = do(*arguments, **more)
            look()
            return found

        monkeypatch.setattr(os, name, between)

    for name in names:
        looked(name)


@pytest.mark.parametrize("named", [False, True])
def test_no_version_is_shown_before_its_configuration(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Triton would take config.pbtxt, which is the GPU's, or none."""
    choice = ConfigurationChoice("cpu", "cpu") if named else None
    view = RepositoryView(repository, tmp_path / "view", configuration=choice)
    write(repository, *range(1, 9), model="new")
    found = []

    def look() -> None:
        for model in view.directory.iterdir():
            names = {path.name for path in model.iterdir()}
            if any(map(str.isdigit, names)) and not (model / "configs/cpu.pbtxt").exists():
                found.append(names)

    call_between(monkeypatch, look, "symlink", "mkdir", "rename")
    view.update()
    assert len(shown(view, "new")) == 8
    assert not found
    assert [path.name for path in tmp_path.iterdir() if path.name[0] == "."] == []


def test_configurations_that_come_with_a_version_come_first(
    repository: Path, view: RepositoryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(repository / "plus/configs")
    view.update()
    write(repository, *range(2, 9))
    found = []

    def look() -> None:
        if len(shown(view)) > 1 and not (view.directory / "plus/configs").exists():
            found.append(shown(view))

    call_between(monkeypatch, look, "symlink")
    view.update()
    assert len(shown(view)) == 8
    assert not found


def test_a_version_and_what_asks_it_leave_at_once(
    repository: Path, view: RepositoryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when old versions are pruned between two looks."""
    write(repository, 2)
    write_text_model(repository, 1, 2)
    view.update()
    (repository / "plus_text/1").unlink()
    shutil.rmtree(repository / "plus/1")
    found = []

    def look() -> None:
        found.extend(set(shown(view, "plus_text")) - set(shown(view)))

    call_between(monkeypatch, look, "unlink")
    view.update()
    assert shown(view) == shown(view, "plus_text") == ["2"]
    assert not found


@pytest.mark.parametrize(
    "gone",
    ["both left out", "one left out", "one version", "the model", "both", "a pipe"],
)
def test_what_cannot_answer_without_a_version_goes_before_it(
    repository: Path, view: RepositoryView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """Triton's index named a text model without its model for a moment, and that passed for being ready."""
    write(repository, 2)
    # Names on both sides of its model's: directories are listed in no order that one could rely on.
    for text in ("plus_text", "a_text"):
        write_text_model(repository, 1, 2, name=text)
    view.update()
    assert len(view.shown_versions("plus_text")) == 2
    found: list[str] = []

    def look() -> None:
        seen = {(path.parent.name, path.name) for path in view.directory.glob("*/*") if path.is_symlink()}
        numbered = [(model, version) for model, version in seen if version.isdigit()]
        found.extend(f"{model}/{version}" for model, version in numbered if ("plus", version) not in seen)

    call_between(monkeypatch, look, "unlink", "rmdir")
    if gone.endswith("left out"):
        for number in ("1", "2")[gone.startswith("one") :]:
            view.leave_out("plus", number, "damaged")
    elif gone == "one version":
        (repository / "plus/1").rename(tmp_path / "gone")
    elif gone == "the model":
        (repository / "plus").rename(tmp_path / "gone")
    elif gone == "both":
        for name in ("plus", "plus_text"):
            (repository / name).rename(tmp_path / name)
    else:
        (repository / "plus/config.pbtxt").unlink()
        os.mkfifo(repository / "plus/config.pbtxt")
    view.update()
    assert not found
    assert shown(view, "plus_text") == shown(view)
    assert len(view.shown_versions("plus")) < 2


def test_links_that_lead_round_in_a_circle_are_left_out(repository: Path, view: RepositoryView, tmp_path: Path) -> None:
    write(repository, 2)
    write_text_model(repository, 1, 2)
    view.update()
    (repository / "plus/1").rename(tmp_path / "gone")
    (repository / "plus/1").symlink_to("../plus_text/1")
    view.update()
    assert view.shown_versions("plus") == view.shown_versions("plus_text") == ["2"]
    assert "leads nowhere" in view.reasons()["plus", "1"]


def test_a_text_model_waits_for_a_model_whose_directory_is_a_link(
    repository: Path, view: RepositoryView, tmp_path: Path
) -> None:
    """As where the graphs lie on another disk, or a volume of Kubernetes has its `..data`."""
    write_text_model(repository, 1)
    (repository / "plus").rename(tmp_path / "plus-of-today")
    (repository / "plus").symlink_to(tmp_path / "plus-of-today")
    view.update()
    view.loaded("plus", "1")
    (repository / "plus/2").mkdir()
    (repository / "plus_text/2").symlink_to("../plus/2")
    (repository / "plus_text/3").symlink_to(tmp_path / "plus-of-today/2")
    view.update()
    assert shown(view) == ["1", "2"]
    assert shown(view, "plus_text") == ["1"]
    view.loaded("plus", "2")
    view.update()
    assert shown(view, "plus_text") == ["1", "2", "3"]
    view.leave_out("plus", "2", "damaged")
    assert shown(view, "plus_text") == ["1"]


def test_another_name_of_a_model_is_not_what_its_text_model_asks(repository: Path, view: RepositoryView) -> None:
    write_text_model(repository, 1)
    (repository / "current").symlink_to("plus")  # before it in the alphabet
    view.update()
    view.loaded("plus", "1")  # Triton refuses the other: its configuration has the model's own name
    view.update()
    assert shown(view, "plus_text") == ["1"]


def test_a_version_that_became_its_own_asks_no_other(repository: Path, view: RepositoryView) -> None:
    write_text_model(repository, 1)
    view.update()
    (repository / "plus_text/1").unlink()
    (repository / "plus_text/1").mkdir()
    view.update()
    view.leave_out("plus", "1", "damaged")
    assert shown(view, "plus_text") == ["1"]


def test_a_version_that_is_a_link_to_its_neighbour_is_its_own(repository: Path, view: RepositoryView) -> None:
    (repository / "plus/2").symlink_to("1")
    view.update()
    assert shown(view) == ["1", "2"]


def test_a_version_that_was_gone_is_loaded_anew_before_it_is_asked(
    repository: Path, view: RepositoryView, tmp_path: Path
) -> None:
    write(repository, 2)
    write_text_model(repository, 1, 2)
    view.update()
    for version in ("1", "2"):
        view.loaded("plus", version)
    (repository / "plus/1").rename(tmp_path / "away")
    view.update()
    (tmp_path / "away").rename(repository / "plus/1")
    view.update()
    assert shown(view) == ["1", "2"]
    assert shown(view, "plus_text") == ["2"]
    view.loaded("plus", "1")
    view.update()
    assert shown(view, "plus_text") == ["1", "2"]


def test_a_configuration_that_is_being_replaced_stays_in_sight(repository: Path, view: RepositoryView) -> None:
    """Editors move it aside. Triton took the model to have none, and leaves alone one in which a link leads nowhere."""
    view.update()
    (repository / "plus/config.pbtxt").rename(repository / "plus/config.pbtxt~")
    view.update()
    assert (view.directory / "plus/config.pbtxt").is_symlink()
    assert not (view.directory / "plus/config.pbtxt").exists()
    assert shown(view) == ["1"]


@pytest.mark.parametrize("moved", ["", "plus"])
@pytest.mark.parametrize("after", ["", "plus"])
def test_what_is_moved_away_during_a_look_stays_shown(
    repository: Path, view: RepositoryView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: str, after: str
) -> None:
    """Listed, and then not there: that is not gone. The next look finds what has taken its place."""
    write(repository, 1, model="another")
    view.update()
    before = sorted(view.directory.glob("*/*"))

    def moves_away(name: str) -> None:
        do = getattr(os, name)

        def listed(path: Path) -> object:
            found = do(path)
            if path != repository / after or not (repository / moved).exists():
                return found
            # Whether it was a list, or was to become one.
            found = found if isinstance(found, list) else contextlib.nullcontext(list(found))
            (repository / moved).rename(tmp_path / "away")
            return found

        monkeypatch.setattr(os, name, listed)

    for name in ("listdir", "scandir"):
        moves_away(name)
    view.update()
    assert not (repository / moved).exists()
    assert sorted(view.directory.glob("*/*")) == before
    assert not view.reasons()
    monkeypatch.undo()
    (tmp_path / "away").rename(repository / moved)
    view.update()
    assert sorted(view.directory.glob("*/*")) == before


def test_a_model_that_can_not_be_read_stays_shown(
    repository: Path, view: RepositoryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk, or a file system of the network, may fail for a moment."""
    view.update()

    def fails(name: str) -> None:
        do = getattr(os, name)

        def failing(path: object = ".") -> object:
            if str(path) == str(repository / "plus"):
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return do(path)

        monkeypatch.setattr(os, name, failing)

    for name in ("listdir", "scandir"):
        fails(name)
    view.update()
    assert "can't be read (Input/output error)" in view.reasons()["plus", ""]
    assert shown(view) == ["1"]


def test_a_link_that_can_not_be_followed_holds_nothing_else_up(
    repository: Path, view: RepositoryView, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "beside").symlink_to(LONG)
    (repository / "plus/notes").symlink_to(LONG)
    check_repository(repository)
    view.update()
    assert shown(view) == ["1"]
    said = capsys.readouterr().err
    assert f"{repository / 'beside'} can't be read (File name too long)" in said
    assert f"{repository / 'plus/notes'} leads nowhere: remove it" in said


def test_a_repository_that_can_not_be_looked_for_is_named() -> None:
    with pytest.raises(ModelRepositoryError, match="can't be read"):
        check_repository(Path(LONG))
