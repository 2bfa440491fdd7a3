"""Rows of token ids to a tensor for Triton, and its answer to probabilities."""

import math
from collections.abc import Sequence
from typing import Final

import grpc
import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult

from contract.labels import EMOTIONS
from contract.version_directory import INPUT_IDS, PROBABILITIES
from gateway.errors.triton_errors import TritonError
from gateway.triton.replica import ModelVersion

REQUESTED_OUTPUTS: Final = (InferRequestedOutput(PROBABILITIES),)


def input_ids(rows: Sequence[Sequence[int]], pad_id: int) -> InferInput:
    """The input tensor, INT64 `[rows, length]`: token ids, right-padded to the longest row.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("rows must not be empty: Triton never answers that")
    ids = np.full((len(rows), max(map(len, rows))), pad_id, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    return InferInput(INPUT_IDS, ids.shape, "INT64").set_data_from_numpy(ids)


def read_answer(answer: InferResult, served: ModelVersion, rows: int) -> list[list[float]]:
    """The probabilities of an answer, `[rows, 6]`.

    Raises:
        TritonError: INTERNAL, the answer has none, or of another type or size.
    """
    shape = rows, len(EMOTIONS)
    output = answer.get_output(PROBABILITIES)
    if output is None or output.datatype != "FP32" or tuple(output.shape) != shape:
        found = "none" if output is None else f"{output.datatype} {[*output.shape]}"
        raise _unexpected(served, found, shape)
    try:
        probabilities: list[list[float]] = answer.as_numpy(PROBABILITIES).tolist()
    except ValueError as error:
        raise _unexpected(served, f"bytes that are not what it says ({error})", shape) from None
    return probabilities


def _unexpected(served: ModelVersion, found: str, shape: tuple[int, int]) -> TritonError:
    return TritonError(
        grpc.StatusCode.INTERNAL,
        f"{served.model} version {served.version} answered as {PROBABILITIES} {found}; FP32 {[*shape]} expected",
    )


def are_probabilities(rows: Sequence[Sequence[float]]) -> bool:
    """Whether all numbers are finite and between 0 and 1."""
    # Comparisons with a number that is none come out either way, so the sum is looked at first.
    return math.isfinite(sum(map(sum, rows))) and min(map(min, rows)) >= 0.0 and max(map(max, rows)) <= 1.0
