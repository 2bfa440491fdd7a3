"""The report of a run: what was measured where, what it says of the goals, every table, and plots."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.command import ROOT, BenchmarkError
from benchmarks.parts import ceilings, gpu, http, triton
from benchmarks.report import plots
from benchmarks.report.goals import GOALS, Judged, judge
from benchmarks.report.results import Key, Results, Summary, keys, summary

REPORT: Final = ROOT / "benchmarks/results/REPORT.md"
WIDE: Final = 0.15
"""Spread over the rounds, as a share of the median, above which a figure is marked."""
_MARK: Final = " ⚠"

_PERF: Final = {
    "texts_per_second": "texts/s", "p50_ms": "p50 ms", "p95_ms": "p95 ms", "p99_ms": "p99 ms",
    "rows_per_execution": "rows an execution", "queue_ms": "queue ms", "compute_ms": "compute ms",
}  # fmt: skip
_TABLES: Final = (
    (triton.PART, "Triton over gRPC, by perf_analyzer", _PERF),
    (http.PART, "HTTP, by wrk", {
        "requests_per_second": "requests/s", "texts_per_second": "texts/s", "p50_ms": "p50 ms", "p95_ms": "p95 ms",
        "p99_ms": "p99 ms", "errors": "errors", "cpu_ms": "CPU ms a request", "gateway_cpu_ms": "of it the gateway",
        "memory_mb": "memory MB", "load_generator_cpu_ms": "wrk's CPU ms",
    }),
    (ceilings.PART, "Without a server", {"texts_per_second": "texts/s", "tokens_per_second": "tokens/s"}),
    (triton.GROWTH, "How it grows", _PERF),
    (gpu.PART, "On the GPU", {**_PERF, "cpu_ms": "Triton's CPU ms a text"}),
)  # fmt: skip


def write_report(results: Results, path: Path, images: Path) -> None:
    """Write the report and its plots; it refers to `images` from its own directory.

    Raises:
        BenchmarkError: nothing was measured.
    """
    if not results.measurements:
        reasons = "; ".join(f"{one.subject}: {one.reason}" for one in results.failures)
        raise BenchmarkError(f"nothing was measured ({reasons or 'no part was named'})")
    images.mkdir(parents=True, exist_ok=True)
    drawn = plots.draw(results, images)
    lines = [f"# {results.title}", "", *_circumstances(results), ""]
    lines += [*_warnings(results), *_goals(results)]
    for part, title, columns in _TABLES:
        there = [key for key in keys(results.measurements) if key.part == part]
        if there:
            lines += [f"## {title}", "", *_table(results, there, columns), ""]
            lines += [f"![{title}]({image.relative_to(path.parent)})\n" for image in drawn.get(part, [])]
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _circumstances(results: Results) -> list[str]:
    machine, tokens = results.machine, results.tokens
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    triton = ", ".join(f"{name} {version}" for name, version in machine.triton.items())
    return [
        f"Written by `{results.command}`; don't edit."
        f" Started {results.started:%Y-%m-%d %H:%M} UTC, commit {machine.commit}.",
        "",
        f"- Machine: {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB"
        + "".join(f", {gpu_name}" for gpu_name in machine.gpus)
        + f"; {machine.system}; {machine.load:.0%} of the cores in use before the start.",
        f"- Software: Python {machine.python}, {packages}; in Triton's environment {triton};"
        f" its memory from {machine.allocator}.",
        f"- Model: {', '.join(f'{name} {value}' for name, value in results.model.items())}.",
        f"- Texts: {tokens['texts']:,.0f}, of {tokens['mean']} tokens on average, median {tokens['p50']:.0f},"
        f" 95th percentile {tokens['p95']:.0f}, longest {tokens['longest']:.0f}.",
        f"- Rounds: {results.rounds}, every other one in reverse order. Figures are medians over the rounds;"
        f" {_MARK.strip()} marks those whose rounds lie more than {WIDE:.0%} of the median apart.",
    ]


def _warnings(results: Results) -> list[str]:
    said = list(results.remarks)
    if results.machine.is_busy:
        said.append("The machine was busy with other work when this began: nothing here should be concluded from.")
    if results.rounds < 2:
        said.append("There was one round only: no spread is known, and nothing should be concluded from it.")
    wide, known = _wide(results)
    if wide:
        said.append(f"{wide} of {known} throughputs have rounds too far apart to conclude from; they are marked.")
    said += [f"{one.part}: {one.subject} failed in round {one.round}: {one.reason}" for one in results.failures]
    return [*(f"> **{sentence}**\n" for sentence in said)]


def _wide(results: Results) -> tuple[int, int]:
    found = [summary(results.measurements, key, "texts_per_second") for key in keys(results.measurements)]
    spreads = [one.spread for one in found if one is not None]
    return sum(spread > WIDE for spread in spreads), len(spreads)


def _goals(results: Results) -> list[str]:
    judged = [one for goal in GOALS if (one := judge(goal, results.measurements)).ours is not None]
    judged = [one for one in judged if one.found is not None or one.goal.bound is not None]
    if not judged:
        return []
    lines = ["## Goals", "", "Ratios are of the same round, and the range is over the rounds.", ""]
    lines += _rows(("goal", "bound", "median", "range", "verdict", "compared"), [_judged(one) for one in judged])
    return [*lines, ""]


def _judged(one: Judged) -> list[str]:
    bound = "" if one.goal.bound is None else f"{'≥' if one.goal.at_least else '≤'} {one.goal.bound:,g}"
    names = " / ".join(f"{key.subject}, {key.case}" for key in (one.ours, one.theirs) if key is not None)
    if one.too_late is not None:
        names += f", p99 {one.too_late:,.0f} ms"
    if one.found is None:
        return [one.goal.text, bound, "", "", one.verdict, names]
    return [
        one.goal.text, bound, f"{one.found.median:,.2f}", f"{one.found.lowest:,.2f} to {one.found.highest:,.2f}",
        f"**{one.verdict}**", names,
    ]  # fmt: skip


def _table(results: Results, there: Sequence[Key], columns: dict[str, str]) -> list[str]:
    used = [name for name in columns if any(summary(results.measurements, key, name) for key in there)]
    rows = [
        [key.subject, key.case, *(_cell(summary(results.measurements, key, name)) for name in used)]
        for key in sorted(there, key=lambda key: [one.subject for one in there].index(key.subject))
    ]
    return _rows(("", "", *(columns[name] for name in used)), rows)


def _cell(found: Summary | None) -> str:
    if found is None:
        return ""
    digits = f"{found.median:,.0f}" if found.median >= 100 else f"{found.median:.3g}"
    return digits + (_MARK if found.spread > WIDE and found.rounds > 1 else "")


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
