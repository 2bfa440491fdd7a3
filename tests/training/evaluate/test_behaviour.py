"""`training.evaluate --behaviour`: of a run and of a version, printed, as JSON and as a page."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape

from tests.support.committed import committed
from tests.support.triton_process import ROOT
from tests.training.support.small_run import read_json, write_cedr, write_run
from training.behaviour.suite import GROUPS, load_suite
from training.common.command import TrainingError
from training.data.rows.examples import Example
from training.data.splits.folds import held_out_fold
from training.evaluate import __main__ as command
from training.evaluate.behaviour import DEV_ROWS, evaluate_behaviour, evaluate_behaviour_and_write, texts_to_change
from training.evaluate.predictions import checked_card, predict_checkpoint, predict_version
from training.evaluate.sources import answers_of

COMMITTED = committed()


def evaluated(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "training.evaluate", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)


def test_a_version(tmp_path: Path) -> None:
    done = evaluated(f"{COMMITTED}", "--behaviour", "--hidden", "--output", f"{tmp_path}")
    assert done.returncode == 0, done.stderr
    written = read_json(tmp_path / "behaviour.json")
    assert (written["model"], written["changed"]) == (f"{COMMITTED}", "the suite's open half")
    suite = written["figures"]["suite"]
    # Counted again, from the version's own answers.
    cases = load_suite()
    answers = predict_version(COMMITTED, checked_card(COMMITTED), [Example(c.text, c.labels, "") for c in cases])
    right = [int(row.argmax()) in case.labels for row, case in zip(answers, cases, strict=True)]
    assert suite["open"]["texts"] == len(cases)
    assert suite["open"]["right"] == round(sum(right) / len(right), 4)
    low, high = suite["open"]["interval_95"]
    assert low < suite["open"]["right"] < high
    assert list(suite["open"]["groups"]) == list(suite["hidden"]["groups"]) == list(GROUPS)
    joy = [ok for ok, case in zip(right, cases, strict=True) if case.group == "joy"]
    assert suite["open"]["groups"]["joy"] == {"texts": len(joy), "right": round(sum(joy) / len(joy), 4)}
    kinds = written["figures"]["changes"]["kinds"]
    assert kinds["lower_case"]["changed"] == 0, "its vocabulary has small letters only"
    for name, share in kinds.items():
        assert f"  {name:32} {share['changed']:7.1%}" in done.stdout

    page = (tmp_path / "behaviour.html").read_text(encoding="utf-8")
    wrong = [case.text for case, ok in zip(cases, right, strict=True) if not ok]
    assert [text for text in wrong if str(escape(text)) not in page] == []
    assert not any(f">{escape(case.text)}<" in page for case in load_suite(["hidden"]))
    assert f"{suite['hidden']['right']:.1%}" in page
    assert f"{kinds['greeting']['changed']:.1%}" in page


def test_a_run_answers_as_its_checkpoint(tmp_path: Path) -> None:
    write_cedr(tmp_path)
    run = write_run(tmp_path / "run", tmp_path, steps=30)
    dev = held_out_fold(0, tmp_path)[:12]
    with answers_of(f"{run}", None, None) as (name, answers):
        assert np.array_equal(answers([example.text for example in dev]), predict_checkpoint(run, dev))
    assert name == f"{run}"


def test_rows_of_dev_are_changed_too_where_there_is_data(tmp_path: Path) -> None:
    write_cedr(tmp_path)
    dev = {example.text for example in held_out_fold(0, tmp_path)}
    suite = [case.text for case in load_suite()]
    assert len(dev) < DEV_ROWS
    name, texts = texts_to_change(tmp_path)
    assert name == f"the suite's open half and {len(dev)} rows of dev (fold 0 of CEDR train)"
    assert texts == suite + texts[len(suite) :]
    assert set(texts[len(suite) :]) == dev
    assert texts_to_change(None) == ("the suite's open half", suite)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is no directory, and no http:// address of a gateway"):
        evaluate_behaviour(f"{tmp_path}/none", None)
    with pytest.raises(TrainingError, match="could not load the checkpoint"):
        evaluate_behaviour(f"{tmp_path}", None)
    with pytest.raises(TrainingError, match="--model and --version choose among what a gateway serves"):
        evaluate_behaviour(f"{COMMITTED}", None, model="rubert")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="file is a file: name a directory with --output"):
        evaluate_behaviour_and_write(f"{COMMITTED}", None, tmp_path / "file")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--hidden"], "--hidden belongs to --behaviour"),
        (["--behaviour", "--rows", "test"], "not allowed with argument --behaviour"),
    ],
)
def test_flags_that_exclude_each_other(
    flags: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["training.evaluate", f"{COMMITTED}", "--output", "out", *flags])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert reason in capsys.readouterr().err
