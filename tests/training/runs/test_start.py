"""What stops a run is said before anything heavy is loaded, and nothing is left of a run that never began."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.triton_process import ROOT
from tests.training.support.fine_tuning_runs import write_bert, write_rows
from training.common.command import TrainingError
from training.runs.record import begun
from training.runs.start import check_folder, check_start
from training.train.settings import Settings

HEAVY = ("torch", "transformers", "sklearn", "datasets")
COMMAND = f"""
import runpy, sys
module, *flags = sys.argv[1:]
sys.argv = [module, *flags]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as ended:
    print(ended.code)
print([name for name in {HEAVY} if name in sys.modules])
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    write_bert(directory / "bert", write_rows(directory, each=20), dropout=0.0)
    return directory


def settings(data_dir: Path, weights: Path, base_model: str = "bert", **more: object) -> Settings:
    return Settings(
        train_model=True, base_model=str(data_dir / base_model), data_dir=data_dir, weights_dir=weights, **more
    )  # type: ignore[arg-type]


TEXTS = ("--texts", "/nowhere")
EACH = {
    "training.train": ("--train-model", "--base-model", "/nowhere"),
    "training.scratch.pretrain": TEXTS,
    "training.scratch.multitask": ("--base-model", "/nowhere"),
}


@pytest.mark.parametrize("module", EACH)
def test_a_wrong_name_is_told_before_anything_heavy_is_imported(module: str, data_dir: Path, tmp_path: Path) -> None:
    place = "--weights-dir" if module == "training.train" else "--output"
    flags = [*EACH[module], "--data-dir", str(data_dir), place, str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, module, *flags], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert "/nowhere" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "missing: there is no such directory"),
        ("file", "file: there is no such directory"),
        ("empty", "empty: it has no config.json"),
        ("no-tokenizer", "no-tokenizer has no tokenizer.json"),
    ],
)
def test_base_models_that_are_none(name: str, reason: str, data_dir: Path, tmp_path: Path) -> None:
    for made in ("empty", "no-tokenizer"):
        (tmp_path / made).mkdir()
    shutil.copy(data_dir / "bert" / "config.json", tmp_path / "no-tokenizer")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=reason):
        check_start(settings(data_dir, tmp_path / "weights"), str(tmp_path / name))


def test_a_data_directory_without_cedr(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    asked = settings(tmp_path / "data", tmp_path / "weights")
    with pytest.raises(TrainingError, match=r"data/cedr/train.jsonl does not exist: name the right directory"):
        check_start(asked, str(data_dir / "bert"))


def test_places_that_cannot_be_written(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"file is no directory: name another --weights-dir"):
        check_folder(settings(data_dir, tmp_path / "file" / "weights"))
    # The kernel's own file system: nobody makes files there, not even root.
    with pytest.raises(TrainingError, match=r"could not write /sys/"):
        check_folder(settings(data_dir, Path("/sys/weights")))
    check_folder(settings(data_dir, tmp_path / "deep" / "weights"))
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


@pytest.mark.parametrize("error", [TrainingError("the disk is too small"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_run_that_never_began(error: BaseException, data_dir: Path, tmp_path: Path) -> None:
    asked = settings(data_dir, tmp_path / "a" / "b")

    def fails() -> None:
        with begun(asked, {"recipe": asked.recipe}):
            (asked.folder / "checkpoints_fold0").mkdir()
            raise error

    with pytest.raises(type(error)):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_what_is_done_stays(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = settings(data_dir, tmp_path)

    def interrupted() -> None:
        with begun(asked, {"recipe": asked.recipe}):
            (asked.folder / "done").write_text("a fold")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {path.name for path in asked.folder.iterdir()} == {"done", "run.json"}
    assert "keeps what is done: go on with --resume" in capsys.readouterr().err
