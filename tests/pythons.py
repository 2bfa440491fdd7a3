"""The backend's tests with the other Pythons that serve: `python -m tests.pythons`, as `make test-pythons` calls it.

`make test` tests the one of `.venv-triton`. Each of the others gets an environment of Triton's own in `build/pythons`,
made on first use. Says which versions were left out.
"""

import os
import subprocess
import sys
from pathlib import Path

from server.environment.triton_environment import read_environment
from tests.support.triton_process import ROOT

ENVIRONMENTS = ROOT / "build/pythons"
TESTS = ("tests/server/backend/test_backend_serving.py",)
SERVES = ("3.11", "3.12", "3.13")


def find_interpreter(version: str) -> Path | None:
    """The path of an interpreter of this version, such as `3.12`; None if this machine has none."""
    places = [*os.environ.get("PATH", "").split(":"), "/usr/bin", "/usr/local/bin"]
    places += [str(path) for path in Path.home().glob(".pyenv/versions/*/bin")]
    places += [str(path) for path in ROOT.glob("build/python/*/bin")]
    answer = "import sys; print('%d.%d' % sys.version_info[:2])"
    for place in places:
        program = Path(place, f"python{version}")
        try:
            said = subprocess.run([program, "-c", answer], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if said.stdout.strip() == version:
            return program
    return None


def main() -> int:
    """Test each version that is here; gives the number of those that failed."""
    tested = read_environment(ROOT / ".venv-triton").python_version
    print(f"== Python {tested}: make test has tested it")
    failed, left_out = [], []
    for version in SERVES:
        if version == tested:
            continue
        python = find_interpreter(version)
        if python is None:
            left_out.append(version)
            continue
        environment = ENVIRONMENTS / f"triton-{version}"
        print(f"== Python {version}: {python}", flush=True)
        install = [str(python), "-m", "server", "install", f"--environment={environment}"]
        test = [sys.executable, "-m", "pytest", "-q", *TESTS]
        variables = {**os.environ, "EMOTION_TRITON_ENVIRONMENT": str(environment)}
        for command in (install, test):
            if subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode:
                failed.append(version)
                break
    if left_out:
        print(f"left out, for there is no such Python here: {', '.join(left_out)}")
    if failed:
        print(f"failed with Python {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
