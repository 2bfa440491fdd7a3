"""Which texts travel together."""

import random

import pytest

from gateway.grouping import SHORT, group_rows


def test_one_row_is_one_group() -> None:
    assert group_rows([5], 64) == [[0]]


def test_no_rows_make_no_group() -> None:
    assert group_rows([], 64) == []


def test_rows_are_taken_shortest_first_and_ties_in_order() -> None:
    assert group_rows([9, 3, 9, 4], 64) == [[1, 3, 0, 2]]


def test_a_full_group_is_followed_by_another() -> None:
    assert group_rows([7] * 5, 2) == [[0, 1], [2, 3], [4]]


def test_short_rows_share_a_group_whatever_their_lengths() -> None:
    assert group_rows([1, SHORT], 64) == [[0, 1]]
    assert group_rows([1, SHORT + 1], 64) == [[0], [1]]


def test_no_row_is_padded_to_more_than_twice_its_length() -> None:
    assert group_rows([20, 40, 41], 64) == [[0, 1], [2]]


@pytest.mark.parametrize("seed", range(20))
def test_any_lengths(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    lengths = [chance.randint(1, 256) for _ in range(chance.randint(1, 300))]
    max_rows = chance.choice([1, 8, 64])
    groups = group_rows(lengths, max_rows)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) <= max_rows
        longest = max(lengths[index] for index in group)
        assert all(longest <= max(SHORT, 2 * lengths[index]) for index in group)
    full = len(lengths) // max_rows
    assert len(groups) <= full + 5
