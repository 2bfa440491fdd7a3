"""The table of all values on docs/running/kubernetes.md, from deploy/chart/values.yaml and its comments.

`python -m tests.deploy.chart.values_table` writes it anew; a test compares.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.triton_process import ROOT

PAGE = ROOT / "docs/running/kubernetes.md"
VALUES = ROOT / "deploy/chart/values.yaml"
_KEY = re.compile(r"^( *)([A-Za-z][\w./-]*):(?: (.*))?$")
_SECTION = re.compile(r"(<!-- values: [^>]*-->\n).*?(<!-- end -->\n)", re.DOTALL)


class Row(NamedTuple):
    name: str
    default: str
    meaning: str


def rows() -> Iterator[Row]:
    """Each value with its default and the comment above it; a list that is written out is shown as `[…]`."""
    path: list[str] = []
    comment: list[str] = []
    lines = VALUES.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            comment.append(line.strip().lstrip("# "))
            continue
        match = _KEY.match(line)
        if match is None:
            comment = []
            continue
        depth, name, default = len(match[1]) // 2, match[2], match[3]
        if len(path) < depth:  # inside a list
            continue
        path = [*path[:depth], name]
        following = lines[number + 1].strip() if number + 1 < len(lines) else ""
        if default is not None:
            yield Row(".".join(path), default, " ".join(comment))
        elif following.startswith("- "):
            yield Row(".".join(path), "[…]", " ".join(comment))
            path = path[:depth]
        elif comment:
            yield Row(".".join(path), "", " ".join(comment))
        comment = []


def written(page: str) -> str:
    """The page with the table of now."""
    lines = [f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |" for name, default, meaning in rows()]
    table = "\n".join(["| value | default | |", "|---|---|---|", *lines]) + "\n"
    return _SECTION.sub(lambda match: match[1] + table + match[2], page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
