"""What is compared is measured in turn, by the subject that has all of it."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from benchmarks.command import BenchmarkError
from benchmarks.load import wrk
from benchmarks.parts import http
from benchmarks.parts.rounds import Record, Subject, run_rounds
from benchmarks.setup.texts import Workload


def test_servers_side_by_side_are_subjects_of_their_own_and_fail_alone() -> None:
    def measure(record: Record) -> None:
        for case in ("one", "two"):
            record(case, {"rate": 1.0}, of="ours")
            record(case, {"rate": 2.0}, of="theirs")
        raise BenchmarkError("others: it did not start")

    found = run_rounds([Subject("http", "ours beside theirs beside others", measure)], 1, lambda _: None)
    assert [(one.subject, one.case) for one in found.measurements] == [
        ("ours", "one"), ("theirs", "one"), ("ours", "two"), ("theirs", "two"),
    ]  # fmt: skip
    assert [one.reason for one in found.failures] == ["others: it did not start"]


def test_what_the_goals_compare_over_http_is_under_each_load_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With servers that are there already, and no load: the order is what counts."""
    order: list[tuple[str, int]] = []

    @contextlib.contextmanager
    def start(name: str) -> Iterator[http.Target]:
        if name == http.zero_padding(2):
            raise BenchmarkError("no memory")
        yield http.Target(0, f"/{name}", {})

    def measure(url: str, _: object, texts: int, connections: int, *__: object) -> dict[str, float]:
        order.append((url.partition(":0/")[2], connections))
        return {"rate": float(texts)}

    names = [http.fastapi("fp32", 1), *http.COMPARED]
    monkeypatch.setattr(
        http, "_peers", lambda _: {name: partial(start, name) for name in names if name != http.ours(1)}
    )
    monkeypatch.setattr(http, "_our_own", lambda _, workers: start(http.ours(workers)))
    monkeypatch.setattr(http, "_check_answer", lambda _: None)
    monkeypatch.setattr(wrk, "measure", measure)
    settings = http.HttpSettings(tmp_path, "", tmp_path, 1, (1, 16), (1,), (1,))
    texts = Workload(["рад"], [[1]], 0)
    found = run_rounds(http.subjects(texts, tmp_path, settings), 2, lambda _: None)
    pair = [http.ours(1), http.fastapi("int8", 2)]
    alone = http.fastapi("fp32", 1)
    there_and_back = [
        *((name, count) for count in (1, 16) for name in pair), (alone, 1), (alone, 16),
        (alone, 1), (alone, 16), *((name, count) for count in (1, 16) for name in reversed(pair)),
    ]  # fmt: skip
    assert order == there_and_back
    assert [one.subject for one in found.measurements] == [name for name, _ in order]
    assert [one.reason for one in found.failures] == [f"{http.zero_padding(2)}: no memory"] * 2
