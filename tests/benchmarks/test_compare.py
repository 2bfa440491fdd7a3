"""Two checkouts under the same load in turn: each round pairs its own figures, and the order alternates."""

from pathlib import Path

import pytest

from benchmarks.command import BenchmarkError
from benchmarks.compare import Figures, Measure, Stack, alternate, ratios, running_stack
from benchmarks.setup.serving import Server

THIS, OTHER = Stack(Server(1, "127.0.0.1:1"), 1), Stack(Server(2, "127.0.0.1:2"), 2)


def test_every_other_round_measures_the_other_checkout_first_and_ratios_are_paired_by_round() -> None:
    order: list[tuple[str, int]] = []

    def load(name: str) -> Measure:
        def measure(stack: Stack) -> Figures:
            order.append((name, stack.port))
            # A machine that slows down: every figure is lower than the one before it.
            return {"rate": 100.0 / len(order)}

        return measure

    said: list[str] = []
    found = alternate({"this": THIS, "other": OTHER}, {"a": load("a"), "b": load("b")}, 2, said.append)
    assert order == [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("a", 2), ("a", 1), ("b", 2), ("b", 1)]
    assert ratios(found["a"], "rate", "this", "other") == pytest.approx([2 / 1, 5 / 6])
    assert len(said) == 4


def test_a_checkout_that_is_not_ready_to_serve_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"has no \.venv: run `make serve` there once"), running_stack(tmp_path):
        pass
