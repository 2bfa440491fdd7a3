"""Rounds alternate, ratios are paired by round, and a verdict needs every round."""

import pytest

from benchmarks.command import BenchmarkError
from benchmarks.parts import ceilings, gpu, http, triton
from benchmarks.parts.rounds import Measurement, Record, Subject, run_rounds
from benchmarks.report.goals import GOALS, Goal, judge
from benchmarks.report.results import Key, Summary, best, paired_ratio, summary

OURS, THEIRS = Key("http", "ours", "load"), Key("http", "theirs", "load")


def measured(key: Key, *values: float, figure: str = "rate") -> list[Measurement]:
    return [
        Measurement(part=key.part, subject=key.subject, case=key.case, round=number, figures={figure: value})
        for number, value in enumerate(values, start=1)
    ]


def test_every_other_round_is_reversed() -> None:
    order: list[str] = []

    def subject(name: str) -> Subject:
        def measure(record: Record) -> None:
            order.append(name)
            record("load", {"rate": float(len(order))})

        return Subject("http", name, measure)

    found = run_rounds([subject("a"), subject("b"), subject("c")], 3, lambda _: None)
    assert "".join(order) == "abc" + "cba" + "abc"
    assert [(one.subject, one.round) for one in found.measurements[2:4]] == [("c", 1), ("c", 2)]
    assert [one.figures["rate"] for one in found.measurements] == list(range(1, 10))


def test_a_failure_is_kept_and_the_others_go_on() -> None:
    def fails(record: Record) -> None:
        record("load", {"rate": 1.0})
        raise BenchmarkError("it did not start")

    subjects = [Subject("http", "bad", fails), Subject("http", "good", lambda record: record("load", {"rate": 2.0}))]
    found = run_rounds(subjects, 2, lambda _: None)
    assert [(one.subject, one.round, one.reason) for one in found.failures] == [
        ("bad", 1, "it did not start"),
        ("bad", 2, "it did not start"),
    ]
    assert sum(one.subject == "good" for one in found.measurements) == 2


def test_what_is_no_explained_error_is_not_swallowed() -> None:
    def broken(_: Record) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_rounds([Subject("http", "broken", broken)], 1, lambda _: None)


def test_median_range_and_spread() -> None:
    found = summary(measured(OURS, 90.0, 130.0, 100.0), OURS, "rate")
    assert found == Summary(median=100.0, lowest=90.0, highest=130.0, rounds=3)
    assert found is not None
    assert found.spread == pytest.approx(0.4)
    assert summary(measured(OURS, 1.0), THEIRS, "rate") is None
    assert summary(measured(OURS, 1.0), OURS, "p99_ms") is None


def test_ratios_are_of_the_same_round() -> None:
    # The machine doubled its speed between the rounds: the ratio did not move.
    rows = measured(OURS, 120.0, 240.0) + measured(THEIRS, 100.0, 200.0, 300.0)
    assert paired_ratio(rows, OURS, THEIRS, "rate") == Summary(1.2, 1.2, 1.2, 2)
    assert paired_ratio(measured(OURS, 1.0), OURS, THEIRS, "rate") is None


def test_the_best_is_by_median() -> None:
    rows = measured(OURS, 10.0, 500.0, 20.0) + measured(THEIRS, 30.0, 30.0, 30.0)
    assert best(rows, [OURS, THEIRS], "rate") == THEIRS
    assert best(rows, [OURS, THEIRS], "rate", highest=False) == OURS
    assert best(rows, [OURS], "p99_ms") is None


@pytest.mark.parametrize(
    ("ratios", "at_least", "verdict"),
    [
        ((1.3, 1.25, 1.2), True, "reached"),
        ((1.3, 1.1, 1.4), True, "can't be said"),
        ((1.1, 1.0, 1.19), True, "not reached"),
        ((1.3,), True, "can't be said"),
        ((0.8, 1.1), False, "reached"),
        ((1.3, 1.4), False, "not reached"),
        ((), True, "not measured"),
    ],
)
def test_verdicts(ratios: tuple[float, ...], at_least: bool, verdict: str) -> None:
    rows = measured(OURS, *ratios) + measured(THEIRS, *[1.0] * len(ratios))
    goal = Goal("faster", "rate", lambda key: key == OURS, lambda key: key == THEIRS, 1.2, at_least)
    assert judge(goal, rows).verdict == verdict


def test_a_goal_without_another_side_is_about_the_figure() -> None:
    goal = Goal("cheap", "rate", lambda key: key == OURS, None, 0.35, at_least=False)
    assert judge(goal, measured(OURS, 0.3, 0.34)).verdict == "reached"
    assert judge(goal, measured(OURS, 0.36, 0.4)).verdict == "not reached"


def test_the_goals_over_http_find_what_http_measures() -> None:
    """The names that the parts record are those that the goals look for."""
    key = Key(http.PART, http.ours(1), http.case(1, 64))
    bar = Key(http.PART, http.fastapi("int8", 2), http.case(1, 64))
    alone = Key(http.PART, http.zero_padding(2), http.case(1, 64))
    rows = [
        Measurement(part=one.part, subject=one.subject, case=one.case, round=number, figures={
            "requests_per_second": rate, "p99_ms": 1000 / rate, "gateway_cpu_ms": 0.3})
        for one, rate in ((key, 1600.0), (bar, 1000.0), (alone, 1200.0)) for number in (1, 2)
    ]  # fmt: skip
    verdicts = {judged.goal.text: judged for goal in GOALS if (judged := judge(goal, rows)).found}
    assert {judged.verdict for judged in verdicts.values()} == {"reached"}
    assert len(verdicts) == 5
    assert all(judged.ours == key for judged in verdicts.values())
    assert [judged.theirs for judged in verdicts.values()] == [bar, alone, bar, alone, None]


def test_the_goals_of_the_graph_and_of_triton_find_what_these_parts_measure() -> None:
    settings, growing = triton.TritonSettings, ceilings.CeilingSettings.growing
    cases = [(triton.BESIDE, triton.case(rows, concurrency), 95.0) for rows, concurrency in settings.beside]
    cases += [
        (triton.BESIDE, triton.in_process(batch, rows), 100.0 - batch / 64)
        for rows, _ in settings.beside
        for batch in settings.beside_batches
    ]
    lengths: tuple[ceilings.Lengths, ...] = ("mixed", "equal")
    cases += [(ceilings.GROWING, ceilings.case(batch, one), 100.0) for batch in growing for one in lengths]
    part = {triton.BESIDE: triton.PART, ceilings.GROWING: ceilings.PART}
    rows = [
        Measurement(part=part[subject], subject=subject, case=case, round=number,
                    figures={"texts_per_second": rate, "tokens_per_second": rate})
        for subject, case, rate in cases for number in (1, 2)
    ]  # fmt: skip
    judged = [one for goal in GOALS if (one := judge(goal, rows)).found is not None]
    assert len(judged) == 2 + (len(growing) - 1) + len(growing)
    assert {one.verdict for one in judged} == {"reached"}
    assert [one.theirs.case for one in judged[:2] if one.theirs] == [
        triton.in_process(16, 16), triton.in_process(16, 1),
    ]  # fmt: skip


def test_a_rate_with_too_high_a_latency_does_not_count() -> None:
    fast, slow = Key("gpu", "Triton", "8 at once"), Key("gpu", "Triton", "512 at once")
    rows = [
        Measurement(part=key.part, subject=key.subject, case=key.case, round=number,
                    figures={"texts_per_second": rate, "p99_ms": p99})
        for key, rate, p99 in ((fast, 20_000.0, 5.0), (slow, 30_000.0, 60.0)) for number in (1, 2)
    ]  # fmt: skip
    goal = Goal("fast", "texts_per_second", lambda key: key.part == "gpu", None, 25_000, p99_below=50.0)
    assert (judge(goal, rows).ours, judge(goal, rows).verdict) == (fast, "not reached")
    too_late = judge(Goal("fast", "texts_per_second", lambda key: key == slow, None, 25_000, p99_below=50.0), rows)
    assert (too_late.ours, too_late.verdict, too_late.too_late) == (slow, "not reached", 60.0)
    untimed = measured(slow, 30_000.0, 30_000.0)
    limited = Goal("fast", "rate", lambda key: key == slow, None, 25_000, p99_below=50.0)
    assert (judge(limited, untimed).ours, judge(limited, untimed).verdict) == (None, "not measured")
    without_limit = Goal("fast", "texts_per_second", lambda key: key.part == "gpu", None, 25_000)
    assert (judge(without_limit, rows).ours, judge(without_limit, rows).verdict) == (slow, "reached")


def test_the_goals_on_a_gpu_find_what_that_part_measures() -> None:
    rows = [
        Measurement(part=gpu.PART, subject=subject, case=load, round=number,
                    figures={"texts_per_second": rate, "p99_ms": 10.0})
        for subject, load, rate in (
            (gpu.served("rubert_tiny2", 1), triton.case(1, 64), 20_000.0),
            (gpu.served("rubert_tiny2", 4), triton.case(1, 64), 30_000.0),
            (gpu.served("rubert_tiny2", 4), triton.case(16, 64), 45_000.0),
            (gpu.in_process("rubert_tiny2"), "batch 64", 60_000.0),
        )
        for number in (1, 2)
    ]  # fmt: skip
    judged = [one for goal in GOALS if (one := judge(goal, rows)).found is not None]
    assert [(one.verdict, one.found.median) for one in judged if one.found] == [
        ("reached", 30_000), ("no bound", 0.5), ("no bound", 0.75),
    ]  # fmt: skip


def test_what_the_backend_costs_on_a_gpu_is_of_the_same_load_and_instances() -> None:
    model, kind = gpu.MODELS[0], triton.case(1, 0).partition(",")[0]
    rows = [
        Measurement(part=gpu.PART, subject=gpu.served(subject, instances), case=triton.case(1, at_once), round=number,
                    figures={"texts_per_second": rate, "cpu_ms": cpu})
        for subject, instances, at_once, rate, cpu in (
            (model, 1, 64, 10_000.0, 0.30),
            (model, 4, 64, 30_000.0, 0.20),
            (model, 4, 512, 20_000.0, 0.25),
            (gpu.NOTHING, 1, 64, 20_000.0, 0.15),
            (gpu.NOTHING, 4, 64, 40_000.0, 0.16),
            (gpu.NOTHING, 4, 512, 50_000.0, 0.10),
        )
        for number in (1, 2)
    ]  # fmt: skip
    found = {one.goal.text.partition(": ")[2]: one for goal in GOALS if (one := judge(goal, rows)).found is not None}
    rate = found[f"share of the rate with a graph that computes nothing, {kind}"]
    assert (rate.ours, rate.theirs) == (
        Key(gpu.PART, gpu.served(model, 4), triton.case(1, 64)),
        Key(gpu.PART, gpu.served(gpu.NOTHING, 4), triton.case(1, 64)),
    )
    assert rate.found == Summary(0.75, 0.75, 0.75, 2)
    # Where the graph that computes nothing is served fastest, not where its CPU is highest.
    cpu = found[f"share of a text's CPU that a graph which computes nothing takes too, {kind}"]
    assert (cpu.ours, cpu.theirs) == (
        Key(gpu.PART, gpu.served(gpu.NOTHING, 4), triton.case(1, 512)),
        Key(gpu.PART, gpu.served(model, 4), triton.case(1, 512)),
    )
    assert cpu.found == Summary(0.4, 0.4, 0.4, 2)
    assert {one.verdict for one in found.values()} == {"no bound"}
