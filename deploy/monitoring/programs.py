"""Prometheus, promtool, Alertmanager and amtool: those that are installed, or Debian's packages unpacked in build/.

`python -m deploy.monitoring.programs` unpacks them where there are none. Nothing is installed, and no service starts.
Exit codes: 0 they are there, 1 they can't be had.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

UNPACKED: Final = Path(__file__).resolve().parents[2] / "build/prometheus"
PACKAGES: Final = ("prometheus", "prometheus-alertmanager")
NAMES: Final = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    # Debian's name first; upstream's second.
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "amtool": ("amtool",),
}


class ProgramError(Exception):
    """A program is not there, and can't be had; the message says what to do."""


def find(program: str) -> Path:
    """Where one of the programs is.

    Raises:
        ProgramError: nowhere.
    """
    for name in NAMES[program]:
        found = shutil.which(name) or shutil.which(name, path=str(UNPACKED / "usr/bin"))
        if found is not None:
            return Path(found)
    raise ProgramError(f"there is no {program} here; on Debian and Ubuntu: apt install {' '.join(PACKAGES)}")


def unpack() -> None:
    """Take Debian's packages apart in build/prometheus.

    Raises:
        ProgramError: apt-get or dpkg-deb is not there, or failed.
    """
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED) as directory:
        try:
            _download(Path(directory))
            for package in Path(directory).glob("*.deb"):
                _run(["dpkg-deb", "--extract", str(package), str(UNPACKED)], Path(directory))
        except (OSError, subprocess.CalledProcessError) as error:
            raise ProgramError(
                f"Prometheus is not here and can't be had with apt-get download ({error}). As root: "
                f"apt-get update && apt-get install {' '.join(PACKAGES)}. Elsewhere: put prometheus, promtool, "
                "alertmanager and amtool on PATH."
            ) from None


def _download(directory: Path) -> None:
    download = ["apt-get", "download", *PACKAGES]
    try:
        _run(download, directory)
    except subprocess.CalledProcessError:
        if os.geteuid() != 0:
            raise
        # A fresh machine has no lists of packages yet.
        _run(["apt-get", "update"], directory)
        _run(download, directory)


def _run(command: list[str], directory: Path) -> None:
    subprocess.run(command, cwd=directory, check=True, capture_output=True)  # noqa: S603


def main() -> int:
    """Make sure that all are there; returns the exit code."""
    try:
        if not _all_there():
            unpack()
        for program in NAMES:
            find(program)
    except ProgramError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _all_there() -> bool:
    try:
        return all(find(program) for program in NAMES)
    except ProgramError:
        return False


if __name__ == "__main__":
    sys.exit(main())
