"""Plots of a run: medians, with bars from the lowest to the highest round."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import matplotlib

from benchmarks.parts import gpu, http, triton
from benchmarks.report.results import Key, Results, keys, summary

matplotlib.use("agg")
from matplotlib import pyplot

_AT_ONCE: Final = re.compile(r"^(.*), (\d+) at once$")
_SWEPT: Final = (
    (triton.PART, "texts_per_second"),
    (http.PART, "texts_per_second"),
    (gpu.PART, "texts_per_second"),
)


def draw(results: Results, directory: Path) -> dict[str, list[Path]]:
    """For each swept part and kind of request, throughput and p99 against the requests at once; the files by part."""
    found: dict[str, list[Path]] = {}
    for part, rate in _SWEPT:
        for kind in _kinds(results, part):
            path = directory / f"{part}-{re.sub(r'[^a-z0-9]+', '-', kind.lower())}.png"
            _draw(results, part, kind, rate, path)
            found.setdefault(part, []).append(path)
    return found


def _kinds(results: Results, part: str) -> list[str]:
    """Such as `1 text a request`, of every case that has a number of requests at once."""
    cases = (_AT_ONCE.match(key.case) for key in keys(results.measurements) if key.part == part)
    return list(dict.fromkeys(match[1] for match in cases if match))


def _draw(results: Results, part: str, kind: str, rate: str, path: Path) -> None:
    lines = _lines(results, part, kind)
    figure, panels = pyplot.subplots(1, 2, figsize=(13, 4.8))
    for panel, name, label in zip(panels, (rate, "p99_ms"), ("texts per second", "p99, ms"), strict=True):
        drawn = [_line(panel, results, *line, name) for line in lines.items()]
        if name == "p99_ms" and any(drawn):
            panel.set_yscale("log")
        panel.set_xscale("log")
        places = sorted({x for points in lines.values() for x, _ in points})
        panel.set_xticks(places, map(str, places))
        panel.minorticks_off()
        panel.set(xlabel="requests at once", ylabel=label, title=f"{kind}: {label}")
        panel.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, fontsize="small", frameon=False
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


def _lines(results: Results, part: str, kind: str) -> dict[str, list[tuple[int, Key]]]:
    lines: dict[str, list[tuple[int, Key]]] = {}
    for key in keys(results.measurements):
        match = _AT_ONCE.match(key.case)
        if key.part == part and match and match[1] == kind:
            lines.setdefault(key.subject, []).append((int(match[2]), key))
    return lines


def _line(panel: Any, results: Results, subject: str, points: Iterable[tuple[int, Key]], name: str) -> bool:
    """Whether there was anything to draw."""
    found = [(x, one) for x, key in sorted(points) if (one := summary(results.measurements, key, name)) is not None]
    below = [one.median - one.lowest for _, one in found]
    above = [one.highest - one.median for _, one in found]
    panel.errorbar(
        [x for x, _ in found], [one.median for _, one in found], yerr=(below, above),
        label=subject, marker="o", capsize=3, linewidth=1.2, markersize=4,
    )  # fmt: skip
    return bool(found)
