"""Who may write to a run's folder, and what the folder must hold for that."""

import json
import os
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from training.common.command import TrainingError
from training.runs import record
from training.runs.record import RECORD, begun, check
from training.runs.settings import RunSettings


class Settings(RunSettings):
    """The least a run needs."""

    ELSEWHERE: ClassVar[str] = "--output"

    output: Path = Field(exclude=True)
    lr: float = 0.1
    together: bool = Field(False, exclude=True)

    @property
    def folder(self) -> Path:
        return self.output

    @property
    def shared(self) -> bool:
        return self.together


def begin(settings: Settings) -> None:
    with begun(settings, {"recipe": settings.recipe}):
        pass


def test_a_run_from_before_something_was_written_down_goes_on(tmp_path: Path) -> None:
    settings = Settings(output=tmp_path / "run", resume=True)
    begin(settings)
    check(settings, {"recipe": settings.recipe, "read": {"sha256 with corrections and paraphrases": "1"}})
    with begun(settings, {"recipe": settings.recipe, "new": {"a": 1}}):
        pass
    with pytest.raises(TrainingError, match=r"was begun otherwise: lr was 0\.1, is 0\.2"):
        check(Settings(output=tmp_path / "run", resume=True, lr=0.2), {"recipe": {"lr": 0.2}})


def test_two_processes_never_write_to_one_folder(tmp_path: Path) -> None:
    settings = Settings(output=tmp_path / "run", resume=True)
    with (
        begun(settings, {"recipe": settings.recipe}),
        pytest.raises(TrainingError, match=r"another process is training in .*run: wait for it, or stop it"),
    ):
        begin(settings)
    begin(settings)


def test_processes_with_a_fold_each_share_a_folder_and_no_whole_run_joins_them(tmp_path: Path) -> None:
    shared = Settings(output=tmp_path / "run", together=True)
    with begun(shared, {"recipe": shared.recipe}):
        begin(shared)
        with pytest.raises(TrainingError, match="another process is training in"):
            begin(Settings(output=tmp_path / "run", resume=True))


@pytest.mark.parametrize(("lr", "reason"), [(0.1, None), (0.2, r"was begun otherwise: lr was 0\.1, is 0\.2\. Go on")])
def test_folds_that_begin_at_the_same_moment_share_the_run_if_they_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lr: float, reason: str | None
) -> None:
    link = os.link

    def after_the_other(unfinished: Path, path: Path) -> None:
        path.write_text(json.dumps({"recipe": {"lr": 0.1}}), encoding="utf-8")
        link(unfinished, path)

    monkeypatch.setattr(record.os, "link", after_the_other)
    settings = Settings(output=tmp_path / "run", together=True, lr=lr)
    if reason is None:
        begin(settings)
    else:
        with pytest.raises(TrainingError, match=reason):
            begin(settings)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [RECORD]


def test_asking_whether_a_run_may_begin_leaves_nothing(tmp_path: Path) -> None:
    settings = Settings(output=tmp_path / "run")
    check(settings, {"recipe": settings.recipe})
    assert not settings.output.exists()


def test_a_folder_with_other_files_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(TrainingError, match="holds files that are no run of this command: name another --output"):
        begin(Settings(output=tmp_path))


def test_a_part_of_the_record_can_be_asked_about_alone(tmp_path: Path) -> None:
    settings = Settings(output=tmp_path, resume=True)
    with begun(settings, {"recipe": settings.recipe, "hardware": {"device": "gpu"}}):
        pass
    check(settings, {"recipe": settings.recipe})
    with pytest.raises(TrainingError, match="was begun otherwise: device was gpu, is cpu"):
        check(settings, {"recipe": settings.recipe, "hardware": {"device": "cpu"}})


def test_of_settings_within_settings_only_the_changed_one_is_named(tmp_path: Path) -> None:
    settings = Settings(output=tmp_path, resume=True)
    with begun(settings, {"recipe": {"lr": 0.1, "taught": {"sentences": 10, "seed": 0}}}):
        pass
    with pytest.raises(TrainingError, match=r"was begun otherwise: taught\.sentences was 10, is 20\. Go on"):
        check(settings, {"recipe": {"lr": 0.1, "taught": {"sentences": 20, "seed": 0}}})
