"""The arithmetic of a batch, against values computed by hand."""

import numpy as np
import pytest

from server.onnxruntime_backend.batching import (
    item_shapes,
    join_ragged,
    join_rows,
    refused_for_empty_rows,
    split_rows,
)


def test_item_shapes() -> None:
    """Two requests: two rows of three, and one row of five."""
    made = item_shapes([(2, 3), (1, 5)], flat=False)
    assert made.tolist() == [[3], [3], [5]]
    assert made.dtype == np.int32
    assert item_shapes([(2, 3), (1, 5)], flat=True).tolist() == [3, 3, 5]


def test_item_shapes_of_higher_rank() -> None:
    shapes = [(1, 2, 4), (2, 3, 5)]
    assert item_shapes(shapes, flat=False).tolist() == [[2, 4], [3, 5], [3, 5]]
    assert item_shapes(shapes, flat=True).tolist() == [2, 4, 3, 5, 3, 5]


def test_joining_ragged_tensors() -> None:
    joined = join_ragged([np.array([[1, 2], [3, 4]]), np.array([[5, 6, 7]])])
    assert joined.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_one_request_is_not_copied() -> None:
    only = np.arange(6).reshape(2, 3)
    assert np.shares_memory(join_ragged([only]), only)
    assert join_rows([only]) is only
    assert np.shares_memory(split_rows("y", only, [2])[0], only)


def test_joining_and_splitting_rows() -> None:
    joined = join_rows([np.array([[1, 2]]), np.array([[3, 4], [5, 6]])])
    assert joined.tolist() == [[1, 2], [3, 4], [5, 6]]
    parts = split_rows("y", joined, [1, 0, 2])
    assert [part.tolist() for part in parts] == [[[1, 2]], [], [[3, 4], [5, 6]]]


@pytest.mark.parametrize("output", [np.zeros((3, 2)), np.zeros(()), np.zeros(4)])
def test_an_output_with_other_rows_is_an_error(output: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"output 'y' has shape .* for a batch of 2 rows"):
        split_rows("y", output, [1, 1])


@pytest.mark.parametrize("shape", [(1, 0), (64, 0), (2, 3, 0), (1, 0, 4)])
def test_rows_with_nothing_in_them_are_refused(shape: tuple[int, ...]) -> None:
    good, bad = np.ones((2, 3)), np.ones(shape)
    refused = refused_for_empty_rows({"good": [good, good, good], "ids": [good, bad, good]})
    assert {at: str(error) for at, error in refused.items()} == {
        1: f"input 'ids' has shape {list(shape)}: a row must have at least one element"
    }


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (3,)])
def test_other_shapes_are_not(shape: tuple[int, ...]) -> None:
    assert refused_for_empty_rows({"ids": [np.ones(shape)]}) == {}
    assert refused_for_empty_rows({}) == {}
