"""Pin the images that ours are built on, and those that Compose runs, by digest.

    python -m deploy.supply_chain.images          # says which have no digest
    python -m deploy.supply_chain.images --pin    # asks their registry and writes the digests: `make pin-images`

A tag may point to another image tomorrow; a digest can't. Each image is named where it is used: as `ARG BASE=` of a
Dockerfile, or as `image:` in docker-compose.yml. The digest goes behind the tag, `python:3.12-slim@sha256:…`, which
Docker, Compose, crane and tools that update pins understand. `--pin` asks again for those that have one.
"""

import argparse
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.supply_chain.command import ROOT, SupplyChainError, run_command

UNREACHABLE: Final = 3
"""Exit status where no registry could be asked."""
OURS: Final = "ru-emotions-"
_NAMED: Final = re.compile(
    r"^(?P<before>ARG BASE=|\s+image:\s+)(?P<image>[\w./:-]+?)(?P<digest>@sha256:[0-9a-f]{64})?(?P<rest>\s.*)?$"
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_SECONDS: Final = 60
# The first that is installed is asked. All three give the digest of the whole, not of one platform's part.
TOOLS: Final[dict[str, Callable[[str], list[str]]]] = {
    "crane": lambda image: ["crane", "digest", image],
    "skopeo": lambda image: ["skopeo", "inspect", "--format", "{{.Digest}}", f"docker://{image}"],
    "docker": lambda image: ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image],
}


@dataclass(frozen=True)
class Named:
    """An image where it is named."""

    file: Path
    line: int
    """From 0."""
    image: str
    """With its tag, without its digest."""
    digest: str
    """Such as `sha256:…`; empty if it has none."""


def files(root: Path) -> list[Path]:
    """Where images are named."""
    return sorted([*(root / "deploy").rglob("*Dockerfile"), *root.glob("docker-compose*.yml")])


def named_images(root: Path) -> list[Named]:
    """All images of others that a checkout names."""
    found = []
    for file in files(root):
        for number, line in enumerate(file.read_text("utf-8").splitlines()):
            match = _NAMED.match(line)
            if match and not match["image"].startswith(OURS):
                found.append(Named(file, number, match["image"], (match["digest"] or "").removeprefix("@")))
    return found


def resolve(image: str) -> str:
    """Ask the image's registry for the digest that its tag points to.

    Raises:
        SupplyChainError: there is no program that could ask, or the registry doesn't answer.
    """
    tool = next((name for name in TOOLS if shutil.which(name)), None)
    if tool is None:
        raise SupplyChainError(f"none of {', '.join(TOOLS)} is here, so no registry can be asked", UNREACHABLE)
    try:
        done = subprocess.run(TOOLS[tool](image), capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603
        said, status = done.stdout.strip(), done.returncode
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
    except subprocess.TimeoutExpired:
        said, status, reason = "", 1, f"no answer within {_SECONDS} s"
    if status or not _DIGEST.fullmatch(said):
        raise SupplyChainError(f"{tool} got no digest of {image}: {reason}", UNREACHABLE)
    return said


def pin(root: Path) -> list[Named]:
    """Write the digest of every image; nothing is written unless all are known.

    Returns:
        Those whose digest is another now.

    Raises:
        SupplyChainError: a digest can't be had.
    """
    named = named_images(root)
    digests = {image: resolve(image) for image in sorted({one.image for one in named})}
    changed = [one for one in named if one.digest != digests[one.image]]
    for one in changed:
        lines = one.file.read_text("utf-8").split("\n")
        written = f"\\g<before>\\g<image>@{digests[one.image]}\\g<rest>"
        lines[one.line] = _NAMED.sub(written, lines[one.line])
        one.file.write_text("\n".join(lines), "utf-8")
    return changed


def report(root: Path) -> tuple[str, int]:
    """What is pinned and what is not, and the number of those that are not."""
    named = named_images(root)
    lines = [
        f"{one.file.relative_to(root)}:{one.line + 1}: {one.image} {one.digest or 'is named by its tag alone'}"
        for one in named
    ]
    open_ones = sum(not one.digest for one in named)
    lines.append(f"{open_ones} of {len(named)} images are not pinned by digest (make pin-images)")
    return "\n".join(lines), open_ones


def main() -> None:
    """Report, or pin."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain.images", description=__doc__)
    parser.add_argument("--pin", action="store_true", help="ask the registries and write the digests")
    parser.add_argument("--strict", action="store_true", help="fail if an image is not pinned")
    arguments = parser.parse_args()
    if arguments.pin:
        try:
            pin(ROOT)
        except SupplyChainError as error:
            summary = report(ROOT)[0].splitlines()[-1]
            raise SupplyChainError(f"{error}. Nothing was changed. {summary}", error.status) from None
    text, open_ones = report(ROOT)
    print(text)
    if arguments.strict and open_ones:
        raise SupplyChainError("images must be pinned by digest here")


if __name__ == "__main__":
    run_command(main)
