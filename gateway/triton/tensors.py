"""Rows of token ids to a request for Triton, and its answer to probabilities."""

import math
import struct
from array import array
from collections.abc import Sequence
from itertools import repeat
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse

from contract.labels import EMOTIONS
from contract.version_directory import INPUT_IDS, PROBABILITIES
from gateway.errors.triton_errors import TritonError
from gateway.triton.replica import ModelVersion

_OUTPUTS: Final = (ModelInferRequest.InferRequestedOutputTensor(name=PROBABILITIES),)


def infer_request(served: ModelVersion, rows: Sequence[Sequence[int]], pad_id: int) -> bytes:
    """The request for rows of token ids, serialized: INT64 `[rows, length]`, right-padded to the longest row.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("rows must not be empty: Triton never answers that")
    length = max(map(len, rows))
    ids = array("q")
    for row in rows:
        ids.extend(row)
        ids.extend(repeat(pad_id, length - len(row)))
    request = ModelInferRequest(
        model_name=served.model,
        model_version=served.version,
        inputs=(ModelInferRequest.InferInputTensor(name=INPUT_IDS, datatype="INT64", shape=(len(rows), length)),),
        outputs=_OUTPUTS,
        raw_input_contents=(ids.tobytes(),),
    )
    message: bytes = request.SerializeToString()
    return message


def read_answer(message: bytes, served: ModelVersion, rows: int) -> list[list[float]]:
    """The probabilities of a serialized answer, `[rows, 6]`.

    Raises:
        TritonError: INTERNAL, the answer has none, or of another type or size.
    """
    shape = rows, len(EMOTIONS)
    try:
        answer = ModelInferResponse.FromString(message)
    except DecodeError as error:
        raise _unexpected(served, f"what is no message ({error})", shape) from None
    place, output = next(
        ((place, output) for place, output in enumerate(answer.outputs) if output.name == PROBABILITIES), (0, None)
    )
    if output is None or output.datatype != "FP32" or tuple(output.shape) != shape:
        found = "none" if output is None else f"{output.datatype} {[*output.shape]}"
        raise _unexpected(served, found, shape)
    try:
        numbers = struct.unpack(f"<{rows * len(EMOTIONS)}f", answer.raw_output_contents[place])
    except (struct.error, IndexError) as error:
        raise _unexpected(served, f"bytes that are not what it says ({error})", shape) from None
    return [[*numbers[start : start + len(EMOTIONS)]] for start in range(0, len(numbers), len(EMOTIONS))]


def _unexpected(served: ModelVersion, found: str, shape: tuple[int, int]) -> TritonError:
    return TritonError(
        grpc.StatusCode.INTERNAL,
        f"{served.model} version {served.version} answered as {PROBABILITIES} {found}; FP32 {[*shape]} expected",
    )


def are_probabilities(rows: Sequence[Sequence[float]]) -> bool:
    """Whether all numbers are finite and between 0 and 1."""
    # Comparisons with a number that is none come out either way, so the sum is looked at first.
    return math.isfinite(sum(map(sum, rows))) and min(map(min, rows)) >= 0.0 and max(map(max, rows)) <= 1.0
