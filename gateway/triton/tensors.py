"""Rows of token ids to a message for Triton, and its answer to probabilities."""

import array
import math
from collections.abc import Sequence
from typing import Any, Final

import grpc
from tritonclient.grpc import service_pb2 as messages

from contract.labels import EMOTIONS
from contract.version_directory import INPUT_IDS, PROBABILITIES
from gateway.errors.triton_errors import TritonError
from gateway.triton.replica import ModelVersion

_FLOAT_BYTES: Final = 4


def infer_request(served: ModelVersion, rows: Sequence[Sequence[int]], pad_id: int) -> Any:
    """The message that asks a version for the probabilities of rows, right-padded to the longest.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("rows must not be empty: Triton never answers that")
    length = max(map(len, rows))
    ids = array.array("q")
    for row in rows:
        ids.extend(row)
        ids.extend([pad_id] * (length - len(row)))
    return messages.ModelInferRequest(
        model_name=served.model,
        model_version=served.version,
        inputs=[
            messages.ModelInferRequest.InferInputTensor(name=INPUT_IDS, datatype="INT64", shape=(len(rows), length))
        ],
        outputs=[messages.ModelInferRequest.InferRequestedOutputTensor(name=PROBABILITIES)],
        raw_input_contents=(ids.tobytes(),),
    )


def read_answer(answer: Any, served: ModelVersion, rows: int) -> list[list[float]]:
    """The numbers of an answer, `[rows, 6]`.

    Raises:
        TritonError: INTERNAL, there are more or fewer.
    """
    raw = answer.raw_output_contents[0] if answer.raw_output_contents else b""
    width = len(EMOTIONS)
    if len(raw) != rows * width * _FLOAT_BYTES:
        raise TritonError(
            grpc.StatusCode.INTERNAL,
            f"{served.model} version {served.version} answered {len(raw)} bytes of {PROBABILITIES} for "
            f"{rows} rows, {rows * width * _FLOAT_BYTES} expected",
        )
    values = array.array("f", raw).tolist()
    return [values[start : start + width] for start in range(0, len(values), width)]


def are_probabilities(rows: Sequence[Sequence[float]]) -> bool:
    """Whether all numbers are finite and between 0 and 1."""
    # Comparisons with a number that is none come out either way, so the sum is looked at first.
    return math.isfinite(sum(map(sum, rows))) and min(map(min, rows)) >= 0.0 and max(map(max, rows)) <= 1.0
