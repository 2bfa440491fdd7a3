"""The arithmetic of a batch, against values computed by hand."""

import numpy as np
import pytest

from server.onnxruntime_backend.batching import (
    batch_input,
    decode_text,
    element_count,
    join_ragged,
    join_rows,
    refused_for_empty_rows,
    scatter,
    split_rows,
)

# Two requests: two rows of three, and one row of five.
SHAPES = [(2, 3), (1, 5)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("BATCH_ELEMENT_COUNT", [6, 5]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT", [6, 11]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", [0, 6, 11]),
        ("BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", [0, 0, 0, 0, 0, 0]),
        ("BATCH_ITEM_SHAPE", [[3], [3], [5]]),
        ("BATCH_ITEM_SHAPE_FLATTEN", [3, 3, 5]),
    ],
)
@pytest.mark.parametrize(("data_type", "dtype"), [("TYPE_INT32", np.int32), ("TYPE_FP32", np.float32)])
def test_batch_input(kind: str, expected: list[int], data_type: str, dtype: type) -> None:
    made = batch_input(kind, data_type, SHAPES)
    assert made.tolist() == expected
    assert made.dtype == dtype


def test_item_shapes_of_higher_rank() -> None:
    shapes = [(1, 2, 4), (2, 3, 5)]
    assert batch_input("BATCH_ITEM_SHAPE", "TYPE_INT32", shapes).tolist() == [
        [2, 4],
        [3, 5],
        [3, 5],
    ]
    flat = batch_input("BATCH_ITEM_SHAPE_FLATTEN", "TYPE_INT32", shapes)
    assert flat.tolist() == [2, 4, 3, 5, 3, 5]


def test_requests_without_rows_have_no_item() -> None:
    made = batch_input("BATCH_ITEM_SHAPE", "TYPE_INT32", [(0, 7), (1, 2)])
    assert made.tolist() == [[2]]


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="BATCH_OTHER"):
        batch_input("BATCH_OTHER", "TYPE_INT32", SHAPES)


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


def test_scattering() -> None:
    parts = scatter("y", np.arange(11), SHAPES)
    assert [part.tolist() for part in parts] == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8, 9, 10]]]
    with pytest.raises(ValueError, match="10 elements, and its source input 11"):
        scatter("y", np.arange(10), SHAPES)


def test_element_count() -> None:
    assert [element_count(shape) for shape in ((), (4,), (2, 3), (2, 0))] == [1, 4, 6, 0]


def test_text() -> None:
    text = decode_text(np.array([["радость".encode(), b""]], dtype=object))
    assert text.tolist() == [["радость", ""]]
    with pytest.raises(ValueError, match="utf-8"):
        decode_text(np.array([b"\xff"], dtype=object))


@pytest.mark.parametrize("shape", [(1, 0), (64, 0), (2, 3, 0), (1, 0, 4)])
def test_rows_with_nothing_in_them_are_refused(shape: tuple[int, ...]) -> None:
    good, bad = np.ones((2, 3)), np.ones(shape)
    refused = refused_for_empty_rows({"good": [good, good, good], "ids": [good, bad, good]})
    assert {at: str(error) for at, error in refused.items()} == {
        1: f"input 'ids' has shape {list(shape)}: a row must have at least one element"
    }


@pytest.mark.parametrize("shape", [(1, 1), (0, 5), (0, 0), (3,), (0,)])
def test_other_shapes_are_not(shape: tuple[int, ...]) -> None:
    assert refused_for_empty_rows({"ids": [np.ones(shape)]}) == {}
    assert refused_for_empty_rows({}) == {}
