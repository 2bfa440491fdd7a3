"""Commands of training/, as a person types them."""

import subprocess
import sys
from typing import Any

from tests.support.triton_process import ROOT


def command(module: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)


def succeeds(module: str, *arguments: Any) -> str:
    done = command(module, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def fails(module: str, *arguments: Any) -> str:
    done = command(module, *arguments)
    assert done.returncode == 1, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stderr
