"""The goals that a run is judged by, and whether it reached them: over pairs of the same round, never a single one."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.parts import ceilings, gpu, http, triton
from benchmarks.parts.rounds import Measurement
from benchmarks.report.results import Key, Summary, best, keys, paired_ratio, summary

Verdict = Literal["reached", "not reached", "can't be said", "not measured", "no bound"]
Chosen = Callable[[Key], bool]
_RATE: Final = "texts_per_second"
_LATENCIES: Final = ("p50_ms", "p99_ms")


@dataclass(frozen=True)
class Goal:
    """A figure of ours, or its ratio to theirs, and its bound.

    Of several candidates the best of each side is taken, by this figure or by `best_by`; ours among those whose median
    p99 is below `p99_below`. If that is none of them, the goal is not reached, however fast they are. With `same_load`
    theirs is taken at the load and with the instances that ours is best with.
    """

    text: str
    figure: str
    ours: Chosen
    theirs: Chosen | None
    bound: float | None
    at_least: bool = True
    p99_below: float | None = None
    best_by: str | None = None
    same_load: bool = False


@dataclass(frozen=True)
class Judged:
    """A goal, what was compared, the ratio (or the figure) over the rounds, and what follows.

    `too_late` is ours' median p99 in milliseconds where it is above the goal's limit.
    """

    goal: Goal
    ours: Key | None
    theirs: Key | None
    found: Summary | None
    verdict: Verdict
    too_late: float | None = None


def judge(goal: Goal, measurements: Sequence[Measurement]) -> Judged:
    """Whether a goal was reached in every round, in none, or can't be said."""
    there = keys(measurements)
    figure = goal.best_by or goal.figure
    highest = figure not in _LATENCIES
    candidates = [key for key in there if goal.ours(key)]
    late: dict[Key, float] = {}
    if goal.p99_below is not None:
        p99 = {key: one.median for key in candidates if (one := summary(measurements, key, "p99_ms")) is not None}
        late = {key: median for key, median in p99.items() if median >= goal.p99_below}
        candidates = [key for key in p99 if key not in late] or list(late)
    ours = best(measurements, candidates, figure, highest=highest)
    others = [key for key in there if goal.theirs and goal.theirs(key)]
    if goal.same_load:
        others = [key for key in others if ours is not None and _load(key) == _load(ours)]
    theirs = best(measurements, others, figure, highest=highest)
    found: Summary | None = None
    if ours is not None and goal.theirs is None:
        found = summary(measurements, ours, goal.figure)
    elif ours is not None and theirs is not None:
        found = paired_ratio(measurements, ours, theirs, goal.figure)
    if ours in late:
        return Judged(goal, ours, theirs, found, "not reached", late[ours])
    return Judged(goal, ours, theirs, found, _verdict(goal, found))


def _load(key: Key) -> tuple[str, str]:
    """The load, and the end of the subject's name: with how many instances."""
    return key.case, key.subject.rpartition(", ")[2]


def _verdict(goal: Goal, found: Summary | None) -> Verdict:
    if found is None:
        return "not measured"
    if goal.bound is None:
        return "no bound"
    if found.rounds < 2:
        return "can't be said"
    passed = [
        (value >= goal.bound) if goal.at_least else (value <= goal.bound) for value in (found.lowest, found.highest)
    ]
    if all(passed):
        return "reached"
    return "can't be said" if any(passed) else "not reached"


def _triton(rows: int) -> Chosen:
    start = triton.case(rows, 0).partition(",")[0]
    return lambda key: key.subject == triton.BESIDE and key.case.startswith(f"{start},")


def _graph_after(rows: int) -> Chosen:
    cases = [triton.in_process(batch, rows) for batch in triton.TritonSettings.beside_batches]
    return lambda key: key.subject == triton.BESIDE and key.case in cases


def _growing(batch: int, lengths: ceilings.Lengths) -> Chosen:
    return lambda key: key.subject == ceilings.GROWING and key.case == ceilings.case(batch, lengths)


def _ours(texts: int, connections: int | None = None) -> Chosen:
    chosen = _http(None, texts, connections)
    return lambda key: chosen(key) and key.subject == http.ours(_default_workers())


@functools.cache
def _default_workers() -> int:
    from gateway.settings import Settings  # what the gateway needs need not be where only a GPU was measured

    return int(Settings.model_fields["workers"].default)


def _http(subjects: Sequence[str] | None, texts: int, connections: int | None = None) -> Chosen:
    """Of these subjects; None stands for all."""
    start = http.case(texts, 0).partition(",")[0]

    def chosen(key: Key) -> bool:
        fits = key.case.startswith(f"{start},") if connections is None else key.case == http.case(texts, connections)
        return key.part == http.PART and (subjects is None or key.subject in subjects) and fits

    return chosen


def _served_on_gpu(model: str, rows: int) -> Chosen:
    start = triton.case(rows, 0).partition(",")[0]
    return lambda key: key.part == gpu.PART and gpu.is_served(key.subject, model) and key.case.startswith(f"{start},")


def _in_process_on_gpu(model: str) -> Chosen:
    return lambda key: key.part == gpu.PART and key.subject == gpu.in_process(model)


def _on_gpu(model: str) -> Iterator[Goal]:
    start = f"Triton on the GPU, {model}"
    yield Goal(f"{start}: texts/s with a p99 below 50 ms, 1 row a request", _RATE, _served_on_gpu(model, 1), None,
               _GPU_RATES.get(model), p99_below=50.0)  # fmt: skip
    for rows in gpu.GpuSettings.rows:
        kind = triton.case(rows, 0).partition(",")[0]
        ours, nothing = _served_on_gpu(model, rows), _served_on_gpu(gpu.NOTHING, rows)
        yield Goal(f"{start}: share of the rate in process, {kind}", _RATE, ours, _in_process_on_gpu(model), None)
        yield Goal(f"{start}: share of the rate with a graph that computes nothing, {kind}", _RATE, ours, nothing,
                   None, same_load=True)  # fmt: skip
        yield Goal(f"{start}: share of a text's CPU that a graph which computes nothing takes too, {kind}", "cpu_ms",
                   nothing, ours, None, best_by=_RATE, same_load=True)  # fmt: skip


_GPU_RATES: Final = {"rubert_tiny2": 25_000.0, "xlm_roberta_base": 15_000.0}
_BAR: Final = (http.fastapi("int8", 2),)
_WITHOUT_TRITON: Final = (http.zero_padding(2),)
_FP32: Final = (http.fastapi("fp32", 1), http.fastapi("fp32", 2), http.litserve("fp32"), http.PIPELINE)
_SMALLEST: Final = ceilings.CeilingSettings.growing[0]

GOALS: Final = (
    Goal("Triton with 16 rows a request, of the graph in process at its best batch", _RATE,
         _triton(16), _graph_after(16), 0.90),
    Goal("Triton with one row a request, of the same", _RATE, _triton(1), _graph_after(1), 0.60),
    *(Goal(f"the graph in process with batches of {batch}, of batches of {_SMALLEST}", _RATE,
           _growing(batch, "mixed"), _growing(_SMALLEST, "mixed"), 0.95)
      for batch in ceilings.CeilingSettings.growing[1:]),
    *(Goal(f"mixed lengths in batches of {batch}, of equal lengths with as many tokens", "tokens_per_second",
           _growing(batch, "mixed"), _growing(batch, "equal"), 0.95) for batch in ceilings.CeilingSettings.growing),
    Goal("one text a request, 16 at once: requests/s of the best peer's", "requests_per_second",
         _ours(1, 16), _http(_BAR, 1, 16), 1.2),
    Goal("the same, 64 at once", "requests_per_second", _ours(1, 64), _http(_BAR, 1, 64), 1.5),
    Goal("requests/s of our own graph's without Triton, 16 at once", "requests_per_second",
         _ours(1, 16), _http(_WITHOUT_TRITON, 1, 16), 1.0),
    Goal("requests/s of our own graph's without Triton, 64 at once", "requests_per_second",
         _ours(1, 64), _http(_WITHOUT_TRITON, 1, 64), 1.3),
    Goal("p99 of the best peer's, 16 at once", "p99_ms", _ours(1, 16), _http(_BAR, 1, 16), 1.0, at_least=False),
    Goal("p99 of the best peer's, 64 at once", "p99_ms", _ours(1, 64), _http(_BAR, 1, 64), 1.0, at_least=False),
    Goal("p99 of our own graph's without Triton, 16 at once", "p99_ms",
         _ours(1, 16), _http(_WITHOUT_TRITON, 1, 16), 1.0, at_least=False),
    Goal("p99 of our own graph's without Triton, 64 at once", "p99_ms",
         _ours(1, 64), _http(_WITHOUT_TRITON, 1, 64), 1.0, at_least=False),
    Goal("requests/s of the best fp32 peer's, 64 at once", "requests_per_second",
         _ours(1, 64), _http(_FP32, 1, 64), 1.8),
    Goal("p50 of the best peer's, 1 at once", "p50_ms", _ours(1, 1), _http(_BAR, 1, 1), 1.5, at_least=False),
    Goal("32 texts a request: texts/s of the best peer's", _RATE, _ours(32), _http(_BAR, 32), 2.5),
    Goal("CPU of the gateway for a one-text request, 64 at once, ms", "gateway_cpu_ms",
         _ours(1, 64), None, 0.35, at_least=False),
    *(goal for model in gpu.MODELS for goal in _on_gpu(model)),
)  # fmt: skip
