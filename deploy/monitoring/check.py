"""`python -m deploy.monitoring.check`: do Prometheus and Alertmanager take what is here, and do the alerts' tests pass?

Exit codes: 0 yes, 1 no, or a program is missing; what it said is shown.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from deploy.monitoring.programs import ProgramError, find

HERE: Final = Path(__file__).resolve().parent


def main() -> int:
    """Run every check; returns the exit code."""
    try:
        promtool, amtool = find("promtool"), find("amtool")
    except ProgramError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rules = sorted((HERE / "rules").glob("*.yml"))
    with tempfile.TemporaryDirectory() as directory:
        # As Compose mounts it.
        container = Path(directory)
        shutil.copy(HERE / "compose/prometheus.yml", container)
        shutil.copytree(HERE / "rules", container / "rules")
        shutil.copy(HERE / "compose/no-key", container / "gateway-key")
        commands: list[list[str | Path]] = [
            [promtool, "check", "rules", "--lint=all", "--lint-fatal", *rules],
            [promtool, "check", "config", container / "prometheus.yml"],
            [amtool, "check-config", HERE / "compose/alertmanager.yml"],
            [promtool, "test", "rules", *sorted((HERE / "tests").glob("*.yml"))],
        ]
        return max(_run(command) for command in commands)


def _run(command: list[str | Path]) -> int:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    shown = f"{Path(command[0]).name} {command[1]} {command[2] if command[1] != 'check-config' else ''}".rstrip()
    print(f"{shown}: {'passed' if done.returncode == 0 else 'failed'}")
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
