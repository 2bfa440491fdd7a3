"""`python -m training.data report` and `clean`: their figures are those of the rows, and a full disk is a sentence."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.labels import EMOTIONS
from tests.support.triton_process import ROOT
from tests.training.support.rows import keyword_rows, write_lines
from training.common.command import TrainingError
from training.data import __main__ as command
from training.data.report.statistics import co_occurrence, emotions_by_domain, figures_of, load_all, overlaps
from training.data.rows.sources import SOURCES
from training.data.splits.training_rows import train_and_held_out


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    rows = [row | {"source": ("lj", "twitter")[number % 2]} for number, row in enumerate(keyword_rows(20))]
    rows[7]["text"] += " <script>alert(1)</script>"
    rows[119]["text"] = rows[113]["text"].upper() + "!"
    write_lines(tmp_path, "cedr", "train", rows)
    for split in ("train", "validation"):
        more = [{"text": f"{split} {number**5}", "labels": f"{number}"} for number in range(9)]
        more.append({"text": f"{split} {0}!", "labels": "4,0"})
        write_lines(tmp_path, "ru_goemotions", split, more)
    write_lines(tmp_path, "ru_goemotions", "test", [{"text": rows[0]["text"], "labels": "2,6"}])
    return tmp_path


def test_figures_of_each_split(data_dir: Path) -> None:
    parts, missing = load_all(data_dir)
    names = ["cedr train", "ru_goemotions train", "ru_goemotions validation", "ru_goemotions test"]
    # Written texts are in the project, whatever the directory holds.
    assert [part.name for part in parts] == [*names, "written train"]
    assert f"{data_dir}/cedr/test.jsonl" in missing
    assert len(missing) == sum(len(source.splits) for source in SOURCES.values()) - 5
    cedr, goemotions, *_ = map(figures_of, parts)
    assert cedr.rows == 120
    assert cedr.emotions == dict.fromkeys(EMOTIONS, 20)
    assert cedr.classes == dict.fromkeys(("joy", "sadness", "surprise", "fear", "anger"), 20)
    assert (cedr.none, cedr.several, cedr.repeated, cedr.contradicting) == (0, 0, 1, 0)
    assert cedr.domains == {"lj": 60, "twitter": 60}
    lengths = sorted(len(row.text) for row in parts[0].rows)
    assert cedr.characters[0] == lengths[0]
    assert cedr.characters[2] == round(sum(lengths) / 120, 1)
    assert cedr.characters[4] == lengths[-1]
    assert goemotions.classes == {"joy": 2, "anger": 2} | dict.fromkeys(
        ("interest", "surprise", "sadness", "disgust", "fear", "guilt", "neutral"), 1
    )
    assert (goemotions.none, goemotions.several, goemotions.repeated, goemotions.contradicting) == (3, 1, 1, 1)
    both = co_occurrence(parts[1:3])
    assert np.diag(both).tolist() == [2, 4, 2, 2, 2, 4]
    assert both[1, 5] == both[5, 1] == 2
    assert both.sum() == 16 + 4
    shared = overlaps(parts)
    assert np.diag(shared)[:4].tolist() == [119, 9, 9, 1]
    assert shared[0, 3] == shared[3, 0] == 1
    assert shared[1, 2] == 0
    shares = emotions_by_domain(parts)
    assert set(shares) == {"lj", "twitter"}
    assert shares["lj"].sum() == pytest.approx(1)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> None:
    monkeypatch.setattr("sys.argv", ["data", *map(str, arguments)])
    command.main()


def test_report(data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    output = data_dir / "pages" / "report.html"
    run(monkeypatch, "report", "--dataset", "combo", "--data-dir", data_dir, "--output", output)
    page, printed = output.read_text(encoding="utf-8"), capsys.readouterr().out
    assert page.count("<svg") == 3 + 2 + 2 + 1 + 2
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page), "one file that needs nothing else"
    assert "<script>" not in page
    split = train_and_held_out("combo", 0, data_dir)
    assert f"{len(split.train)} rows to train on are left; the 24 held-out rows are untouched." in page
    assert f"combo, dev held out: {len(split.train)} rows to train on" in printed
    for step in split.steps:
        assert re.search(rf"{step.name} +{len(step.touched)} {step.effect}", printed)
        assert re.search(rf'<td>{step.name}\s*<td class="n">{len(step.touched)}<', page.replace("&#39;", "'"))
    for source in SOURCES.values():
        for name, meaning in source.classes.items():
            row = rf'<tr><td>{name}<td class="n">[\d–]+<td>{meaning.emotion or "dropped, row kept"}<td>'
            assert re.search(row, page), name
    assert re.search(r"cedr train +120( +20){6} +0 +1\n", printed)
    assert f"not there, and not counted: {data_dir}/cedr/test.jsonl" in printed


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_clean(data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made_from, *_ = train_and_held_out("combo", 3, data_dir).train
    made = {"text": "сказано совсем иначе", "labels": [], "source": "cedr", "paraphrase_of": made_from.text}
    augmented = write_lines(data_dir, "made", "rows", [made])
    corrections = data_dir / "corrections.csv"
    given = " ".join(EMOTIONS[label] for label in made_from.labels)
    corrections.write_text(f"text,given,corrected\n{made_from.text},{given},anger surprise\n", encoding="utf-8")
    flags = ["--dataset", "combo", "--fold", 3, "--augmented", augmented, "--corrections", corrections]
    output = data_dir / "cleaned"
    run(monkeypatch, "clean", *flags, "--data-dir", data_dir, "--output", output)
    split = train_and_held_out("combo", 3, data_dir)
    train = lines(output / "train.jsonl")
    assert [row["text"] for row in train] == [*(row.text for row in split.train), made["text"]]
    assert train[0] == {"text": made_from.text, "labels": ["surprise", "anger"], "source": "cedr"}
    assert train[-1] == made | {"labels": ["surprise", "anger"]}
    assert [row["text"] for row in lines(output / "held_out.jsonl")] == [row.text for row in split.held_out]
    touched = {row["step"]: row for row in lines(output / "touched.jsonl")}
    assert touched["corrections"]["because"] == "now surprise, anger"
    assert touched["paraphrases"]["effect"] == "added"
    assert f"{len(train)} rows to train on and 24 held out are in {output}" in capsys.readouterr().out


@pytest.mark.parametrize(("sub", "name"), [("report", "report.html"), ("clean", "train.jsonl")])
def test_no_room_on_the_disk(data_dir: Path, monkeypatch: pytest.MonkeyPatch, sub: str, name: str) -> None:
    # /dev/full refuses what is written to it as a full disk does.
    directory = data_dir / "out"
    directory.mkdir()
    (directory / name).write_text("of an earlier run")
    (directory / f".{name}.unfinished").symlink_to("/dev/full")
    output = directory / name if sub == "report" else directory
    with pytest.raises(TrainingError, match=r"could not write .*: No space left on device; make room"):
        run(monkeypatch, sub, "--data-dir", data_dir, "--output", output)
    assert (directory / name).read_text() == "of an earlier run"


def test_places_that_cannot_be_written_or_read(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data_dir / "file").touch()
    for sub, output in (("clean", data_dir / "file"), ("report", data_dir / "file" / "a.html"), ("report", data_dir)):
        with pytest.raises(TrainingError, match=f"could not write {output}"):
            run(monkeypatch, sub, "--data-dir", data_dir, "--output", output)
    with pytest.raises(TrainingError, match="holds none of the data sets"):
        run(monkeypatch, "report", "--data-dir", data_dir / "none", "--output", data_dir / "a.html")
    for wrong in (["clean", "--fold", "5"], ["clean", "--data", "x"], ["tidy"], ["report", "--dataset", "both"]):
        with pytest.raises(SystemExit, match="2"):
            run(monkeypatch, *wrong, "--output", data_dir / "o")


def test_an_error_is_a_sentence_on_the_command_line(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "training.data", "clean", "--data-dir", tmp_path, "--output", tmp_path / "o"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/cedr/train.jsonl does not exist: name the right directory")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    code = "import sys, training.data.commands\nassert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
