"""`python -m deploy.monitoring.generate`: write the dashboards; with --check, say whether they are as written.

Exit codes: 0 written, or as they should be; 1 one differs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.monitoring.generate.drift import DRIFT
from deploy.monitoring.generate.overview import OVERVIEW
from deploy.monitoring.generate.trial_and_keys import TRIAL_AND_KEYS
from deploy.monitoring.generate.triton import TRITON
from deploy.monitoring.generate.versions import VERSIONS

BOARDS: Final = {
    "overview": OVERVIEW,
    "versions": VERSIONS,
    "triton": TRITON,
    "drift": DRIFT,
    "trial-and-keys": TRIAL_AND_KEYS,
}
DIRECTORY: Final = Path(__file__).resolve().parents[1] / "dashboards"


def main(arguments: Sequence[str]) -> int:
    """Write or check every dashboard; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.monitoring.generate", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs")
    check = parser.parse_args(arguments).check
    files = {DIRECTORY / f"{name}.json": board.json() for name, board in BOARDS.items()}
    if not check:
        for path, text in files.items():
            path.write_text(text, "utf-8")
        return 0
    stale = [path.name for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    stale += [path.name for path in DIRECTORY.iterdir() if path not in files]
    if stale:
        print(f"error: not as generated: {', '.join(sorted(stale))}; run make dashboards", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
