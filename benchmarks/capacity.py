"""How many replicas a load needs, from the reports' own figures; and the figures of docs/running/capacity.md.

python -m benchmarks.capacity 5000                  # texts a second, at the peak
python -m benchmarks.capacity 5000 --triton 3700    # with what one Triton of yours does, as make tune measured it
python -m benchmarks.capacity --write               # the page's figures anew, after a new report
"""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.command import BenchmarkError, run_command
from benchmarks.report.results import Key, Results, keys, summary
from benchmarks.setup.repositories import SHAPES
from training.common.command import command_parser

_HERE: Final = Path(__file__).resolve().parent
_CPU: Final = _HERE / "results/report/results.json"
_GPU: Final = _HERE / "results/gpu/report/results.json"
PAGE: Final = _HERE.parent / "docs/running/capacity.md"
_BUSY: Final = 0.6
"""The share of what a replica can do that it is to do at the peak: beyond it, waiting times grow fast."""
_EXAMPLE: Final = 5000.0
"""Texts a second."""
_CORES: Final = 2
"""Of one Triton, as the chart asks for."""
_ONE_TEXT: Final = Key("http", "this project, 1 gateway worker", "1 text a request, 64 at once")
_MANY_TEXTS: Final = Key("http", "this project, 1 gateway worker", "32 texts a request, 16 at once")
_CALLS: Final = Key("triton", "Triton", "16 rows a request, 16 at once")
_ROWS: Final = Key("triton", "Triton", "1 row a request, 64 at once")
_SECTION: Final = re.compile(r"(<!-- (\w+): [^>]*-->\n).*?(<!-- end -->\n)", re.DOTALL)


@dataclass(frozen=True)
class Rate:
    """What one core, or one GPU, can do."""

    what: str
    source: Key
    texts: float
    """A second."""


def rates(cpu: Results, gpu: Results) -> dict[str, Rate]:
    """Rates by name, from the medians of the two reports.

    Raises:
        BenchmarkError: a report lacks one of them.
    """
    cores = cpu.machine.cores
    found = {
        "triton": Rate("Triton, a core, asked by gateways", _CALLS, _median(cpu, _CALLS, "texts_per_second") / cores),
        "triton, rows": Rate(
            "Triton, a core, asked for one text at a time", _ROWS, _median(cpu, _ROWS, "texts_per_second") / cores
        ),
        "gateway": Rate(
            "a gateway, a core, one text a request", _ONE_TEXT, 1000 / _median(cpu, _ONE_TEXT, "gateway_cpu_ms")
        ),
        "gateway, many": Rate(
            "a gateway, a core, 32 texts a request",
            _MANY_TEXTS,
            32_000 / _median(cpu, _MANY_TEXTS, "gateway_cpu_ms"),
        ),
        "together": Rate(
            "all on one machine, a core, one text a request",
            _ONE_TEXT,
            _median(cpu, _ONE_TEXT, "texts_per_second") / cores,
        ),
    }
    for key in keys(cpu.measurements):
        subject, _, model = key.subject.partition(", ")
        if model and (key.part, subject, key.case) == (_CALLS.part, _CALLS.subject, _CALLS.case):
            rate = _median(cpu, key, "texts_per_second") / cores
            found[model] = Rate(f"Triton, a core, asked by gateways for {model}", key, rate)
    for model in gpu.model:
        key = Key("gpu", f"Triton, {model}, 4 instances", "1 row a request, 512 at once")
        name = f"a GPU, {f'the shape of {model}' if model in SHAPES else model}"
        found[name] = Rate(f"Triton, {name}", key, _median(gpu, key, "texts_per_second"))
    return found


def _median(results: Results, key: Key, figure: str) -> float:
    found = summary(results.measurements, key, figure)
    if found is None:
        raise BenchmarkError(f"the report has no {figure} of {key.subject}, {key.case}")
    return found.median


def replicas(texts: float, rate: float, busy: float) -> int:
    """How many are needed: enough for the load, and one that may be away.

    Args:
        texts: a second, at the peak.
        rate: texts a second of one replica that does nothing else.
        busy: the share of it that one is to do.
    """
    return math.ceil(texts / (rate * busy)) + 1


def answer(texts: float, found: dict[str, Rate], *, busy: float, cores: int, triton: float | None = None) -> list[str]:
    """The replicas for a load, one line each.

    Args:
        texts: a second, at the peak.
        found: what `rates` gives.
        busy: the share of its rate that a replica is to do.
        cores: of one Triton on CPU.
        triton: texts a second of one Triton as it was measured, which takes the place of the reports' figures.
    """
    by_report = [
        f"Triton on CPU, {cores} cores each: {replicas(texts, found['triton'].texts * cores, busy)}",
        *[
            f"or Triton on {name}: {replicas(texts, rate.texts, busy)}"
            for name, rate in found.items()
            if rate.source.part == "gpu"
        ],
    ]
    lines = [
        *(by_report if triton is None else [f"Triton as you measured it: {replicas(texts, triton, busy)}"]),
        f"gateways, one text a request: {replicas(texts, found['gateway'].texts, busy)}",
        f"or gateways, 32 texts a request: {replicas(texts, found['gateway, many'].texts, busy)}",
    ]
    return [f"{line} (one of them may be away)" for line in lines]


def written(page: str, cpu: Results, gpu: Results) -> str:
    """The page with the figures of the two reports."""
    found = rates(cpu, gpu)
    rows = [
        f"| {one.what} | {_rounded(one.texts)} | {one.source.subject}, {one.source.case} |" for one in found.values()
    ]
    table = ["| | texts/s | measured as |", "|---|---:|---|", *rows]
    where = [
        "",
        f"Cores: `{cpu.command}` on {cpu.machine.processor} with {cpu.machine.cores} cores. The load and all of the "
        "service shared them.",
        f"GPU: `{gpu.command}` on {gpu.machine.gpus[0].partition(',')[0]} with {gpu.machine.cores} cores.",
    ]
    example = ["```", f"$ python -m benchmarks.capacity {_EXAMPLE:.0f}", *_answer_of_example(found), "```"]
    sections = {"figures": [*table, *where], "example": example}
    return _SECTION.sub(lambda match: match[1] + "\n".join(sections[match[2]]) + "\n" + match[3], page)


def _answer_of_example(found: dict[str, Rate]) -> list[str]:
    return answer(_EXAMPLE, found, busy=_BUSY, cores=_CORES)


def _rounded(rate: float) -> str:
    """Two digits: a machine drifts by more than the third."""
    return f"{float(f'{rate:.2g}'):,.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer, or write the page."""
    parser = command_parser("benchmarks.capacity", __doc__)
    parser.add_argument("texts", nargs="?", type=_positive, help="texts a second, at the peak")
    parser.add_argument("--busy", type=_share, default=_BUSY, help="share of its rate that each is to do (%(default)s)")
    parser.add_argument(
        "--cores", type=int, default=_CORES, choices=range(1, 65), metavar="1 to 64", help="of a Triton"
    )
    parser.add_argument("--triton", type=_positive, metavar="RATE", help="texts a second of one Triton of yours")
    parser.add_argument("--write", action="store_true", help=f"write the figures of {PAGE.name} anew")
    asked = parser.parse_args(arguments)
    cpu, gpu = Results.load(_CPU), Results.load(_GPU)
    if asked.write:
        PAGE.write_text(written(PAGE.read_text("utf-8"), cpu, gpu), "utf-8")
    elif asked.texts is None:
        parser.error("how many texts a second?")
    else:
        print(*answer(asked.texts, rates(cpu, gpu), busy=asked.busy, cores=asked.cores, triton=asked.triton), sep="\n")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 1")
    return number


if __name__ == "__main__":
    run_command(main)
