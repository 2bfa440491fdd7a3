"""The commands of docs/starter-weights.md: each is understood, and finds what those before it leave."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from contract.version_directory import read_card
from tests.support.committed import committed
from tests.support.triton_process import ROOT
from training.runs.settings import RunSettings, read_settings
from training.scratch.pretraining.settings import PretrainingSettings
from training.scratch.settings import MultitaskSettings, StudentSettings
from training.scratch.teachers.settings import EnsembleSettings
from training.scratch.trim import trim_parser

KINDS: dict[str, type[RunSettings]] = {
    "training.scratch.pretrain": PretrainingSettings,
    "training.scratch.multitask": MultitaskSettings,
    "training.scratch.teach": EnsembleSettings,
    "training.scratch.distill": StudentSettings,
}


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Module and arguments of each command, once bash has put the page's variables in."""
    blocks = re.findall(r"```\w*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (script,) = [block for block in blocks if "training.scratch.pretrain" in block]
    quoting = "say() { printf '%q ' \"$@\"; echo; }\n"
    printing = quoting + re.sub(r"\S*python -m", "say", script)
    done = subprocess.run(["bash", "-euc", printing], capture_output=True, text=True, check=True)
    return [(words[0], words[1:]) for line in done.stdout.splitlines() if (words := shlex.split(line))]


def test_every_command_is_understood_and_finds_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    given: dict[str, list[RunSettings]] = {module: [] for module in KINDS}
    published, trimmed = [], []
    for module, arguments in commands(ROOT / "docs" / "starter-weights.md"):
        if module == "training.publish":
            published.append(Path(arguments[0]))
            continue
        if module == "training.scratch.trim":
            options = trim_parser().parse_args(arguments)
            trimmed.append((options.checkpoint, options.output))
            assert options.normalised
            continue
        settings = read_settings(KINDS[module], module, None, arguments)
        given[module].append(settings)
        # As a finished run leaves it: the next command looks for these.
        for directory in (settings.folder, *(settings.folder / f"fold{fold}" for fold in range(1, 5))):
            directory.mkdir(parents=True)
            (directory / "config.json").touch()
        (settings.folder / "metrics.json").write_text('{"recipe": {"seed": 0}}', encoding="utf-8")
    assert [len(given[module]) for module in KINDS] == [3, 7, 1, 2]
    assert published == [Path("runs/student-tiny"), Path("runs/student-e5")]
    assert trimmed == [("intfloat/multilingual-e5-small", Path("runs/e5"))]
    scratch = {str(settings.folder) for settings in given["training.scratch.pretrain"]}
    bases = [settings.recipe["base_model"] for settings in given["training.scratch.multitask"]]
    # The smallest of those from scratch is a student alone.
    assert set(bases) == {*scratch, trimmed[0][0], "runs/e5"} - {"runs/tiny"}
    assert [settings.recipe["base_model"] for settings in given["training.scratch.distill"]] == ["runs/tiny", "runs/e5"]
    (ensemble,) = given["training.scratch.teach"]
    teachers = {str(settings.folder) for settings in given["training.scratch.multitask"]}
    assert set(ensemble.recipe["teachers"]) == teachers
    assert ensemble.recipe["variants"] == 9
    for student, model in zip(given["training.scratch.distill"], ("emotion_rubert", "emotion_xlm"), strict=True):
        # What the shipped version was made with. A setting that was added or left out later is in one of them alone.
        card = dict(read_card(committed(model)).training)
        shared = student.recipe.keys() & card.keys() - {"taught"}
        assert len(shared) >= 20
        assert {name: student.recipe[name] for name in shared} == {name: card[name] for name in shared}
