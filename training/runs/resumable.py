"""Runs that can be interrupted: what a directory holds, and whether the same run may go on there."""

import json
from pathlib import Path
from typing import Any, Final

from training.common.command import TrainingError
from training.common.files import write_whole

SETTINGS: Final = "settings.json"


def begin(directory: Path, settings: dict[str, Any], resume: bool | None) -> None:
    """Make the directory and note the settings in it, or check that the run in it goes on with the same.

    Args:
        directory: of the run.
        settings: how it is made.
        resume: whether one is there already; None where another process may just be making it.

    Raises:
        TrainingError: as `check`.
    """
    check(directory, settings, resume)
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / SETTINGS, _as_json(settings).encode())


def check(directory: Path, settings: dict[str, Any], resume: bool | None) -> None:
    """That a new run may begin in a directory, or the one in it go on.

    Raises:
        TrainingError: a run is there and --resume isn't, or the other way round, or its settings differ.
    """
    path = directory / SETTINGS
    if not path.exists():
        if resume:
            raise TrainingError(f"{directory} holds no run to go on with: leave --resume out")
        return
    if resume is False:
        raise TrainingError(f"{directory} holds a run already: go on with --resume, or name another directory")
    was, now = json.loads(path.read_text(encoding="utf-8")), json.loads(_as_json(settings))
    different = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
    if different:
        changes = ", ".join(f"{name} was {was.get(name)!r}, is {now.get(name)!r}" for name in different)
        raise TrainingError(f"{directory} holds a run with other settings ({changes}): give the same, or go elsewhere")


def _as_json(settings: dict[str, Any]) -> str:
    return json.dumps(settings, indent=2, ensure_ascii=False)
