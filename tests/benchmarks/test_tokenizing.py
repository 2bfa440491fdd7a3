"""`python -m benchmarks.parts.tokenizing`: a line for each tokenizer, and an error that names what can't be read."""

import subprocess
import sys
from pathlib import Path

from tests.support.committed import committed
from tests.support.triton_process import ROOT

VERSION = committed()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.parts.tokenizing", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_a_line_for_each_tokenizer(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("Как же я рад тебя видеть!\nМне страшно.\n", encoding="utf-8")
    done = run(VERSION, VERSION / "tokenizer.json", "--texts", texts, "--rounds", 3)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|")[1:-1] for line in done.stdout.splitlines()[2:]]
    assert [line[0].strip(" `") for line in lines] == [str(VERSION), str(VERSION / "tokenizer.json")]
    assert float(lines[0][3]) == 1
    assert all(float(figure) > 0 for line in lines for figure in line[1:])


def test_what_is_no_tokenizer(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("Мне страшно.\n", encoding="utf-8")
    done = run(texts, "--texts", texts)
    assert done.returncode == 1
    assert "can't be read" in done.stderr
    assert "Traceback" not in done.stderr
