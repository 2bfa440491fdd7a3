"""The commands of docs/starter-weights.md: each is understood, and finds what those before it leave."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

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
    printing = re.sub(r"\S*python -m", "echo", script)
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
    assert given["training.scratch.distill"][0].recipe == {
        "base_model": "runs/tiny", "epochs": 20.0, "batch_size": 512, "lr": 0.001, "warmup": 0.06,
        "weight_decay": 0.01, "layer_decay": 1.0, "head_rate": 1.0, "average_share": 0.1, "adapt_epochs": 0.0,
        "seed": 0, "cedr_repeats": 3, "cedr_labels": 0.0, "brighter_repeats": 2, "brighter_labels": 0.5,
        "written_repeats": 2, "written_labels": 0.8, "changed_share": 0.5, "changed_copies": 3,
        "smiles_from": 0.5, "smiles_not_in": [], "final_epochs": 0.0, "logit_weight": 0.1,
        "taught": {"seed": 0},
    }  # fmt: skip
