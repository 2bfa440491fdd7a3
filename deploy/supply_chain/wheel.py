"""Build the project's wheel so that the same commit gives the same bytes, wherever and by whomever it is built.

    python -m deploy.supply_chain.wheel --output dist    # `make wheel`

Built from a copy of what git tracks, with fixed permissions and times (the last commit's, or SOURCE_DATE_EPOCH), by the
setuptools of `locks/build.txt`: neither the folder, the umask, the time zone nor leftovers of earlier builds show.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from deploy.supply_chain.command import ROOT, SupplyChainError, git, run_command
from deploy.supply_chain.sbom import source_date_epoch

FORBIDDEN: Final = ("tests/", "benchmarks/", "model_repository/", "deploy/supply_chain/")
NEEDED: Final = (
    "gateway/pages/page.html",
    "server/environment/requirements.txt",
    "training/encoder/normalization/",
    ".dist-info/licenses/LICENSE",
)


def tracked_files(root: Path) -> list[str]:
    """What git tracks, as paths relative to the checkout; links are left out.

    Raises:
        SupplyChainError: this is no checkout of git.
    """
    names = filter(None, git("ls-files", "-z", root=root).split("\0"))
    return [name for name in names if (root / name).is_file() and not (root / name).is_symlink()]


def build_wheel(output: Path, root: Path = ROOT) -> Path:
    """Build it.

    Raises:
        SupplyChainError: setuptools fails, or something is in the wheel that shouldn't be, or isn't that should.
    """
    with tempfile.TemporaryDirectory() as name:
        source, made = Path(name, "source"), Path(name, "made")
        _copy(root, source)
        # What setuptools writes gets its permissions from the umask.
        variables = os.environ | {"SOURCE_DATE_EPOCH": str(source_date_epoch()), "PYTHONHASHSEED": "0"}
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(made), str(source)],
            env=variables, umask=0o022, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SupplyChainError(f"the wheel can't be built:\n{(done.stdout + done.stderr)[-2000:]}")
        (wheel,) = made.glob("*.whl")
        check_contents(zipfile.ZipFile(wheel).namelist())
        output.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, output / wheel.name))


def _copy(root: Path, source: Path) -> None:
    rooms = ("clients", "contract", "deploy", "gateway", "server", "training")
    for name in tracked_files(root):
        if name.partition("/")[0] in (*rooms, "pyproject.toml", "README.md", "LICENSE"):
            place = source / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, place)
            place.chmod(0o644)


def check_contents(names: Iterable[str]) -> None:
    """Check what a wheel holds.

    Raises:
        SupplyChainError: it holds tests or the like, or lacks data or the licence.
    """
    names = list(names)
    wrong = [name for name in names if name.startswith(FORBIDDEN) or name.endswith((".pyc", ".onnx"))]
    lost = [needed for needed in NEEDED if not any(needed in name for name in names)]
    if wrong or lost:
        raise SupplyChainError(f"the wheel has what it should not: {wrong[:5]}; it lacks: {lost}")


def main() -> None:
    """Build it and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain.wheel", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="default: dist")
    print(build_wheel(parser.parse_args().output))


if __name__ == "__main__":
    run_command(main)
