"""The arithmetic of a batch: joining requests into graph inputs, and outputs back.

Equals NVIDIA's C++ backends (triton-inference-server/backend, the input collector and the
output responder), tensor by tensor.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


def element_count(shape: Shape) -> int:
    """Number of elements of a tensor."""
    count = 1
    for dim in shape:
        count *= dim
    return count


def join_ragged(tensors: Sequence[Array]) -> Array:
    """All elements of all requests, one after the other: rank 1, no copy for one request."""
    if len(tensors) == 1:
        return tensors[0].reshape(-1)
    return np.concatenate([tensor.reshape(-1) for tensor in tensors])


def join_rows(tensors: Sequence[Array]) -> Array:
    """The rows of all requests, one below the other; no copy for one request."""
    return tensors[0] if len(tensors) == 1 else np.concatenate(tensors)


def refused_for_empty_rows(ragged: Mapping[str, Sequence[Array]]) -> dict[int, ValueError]:
    """The errors of requests whose ragged inputs have rows with nothing in them, by the request's place.

    NVIDIA's collector stops filling the batch at such an input, so that graphs may be written to answer neither these
    rows nor any behind them. Answered alone it is the error of its own request.

    Args:
        ragged: each ragged input's tensors, one a request, batch dimension first.
    """
    return {
        at: ValueError(f"input '{name}' has shape {list(tensor.shape)}: a row must have at least one element")
        for name, tensors in ragged.items()
        for at, tensor in enumerate(tensors)
        if tensor.size == 0 and tensor.shape[0]
    }


def decode_text(tensor: Array) -> Array:
    """Triton's STRING tensors hold bytes, ONNX Runtime's hold text.

    Raises:
        ValueError: not UTF-8.
    """
    flat = [item.decode() for item in tensor.reshape(-1)]
    text = np.empty(len(flat), dtype=object)
    text[:] = flat
    return text.reshape(tensor.shape)


def batch_input(kind: str, data_type: str, shapes: Sequence[Shape]) -> Array:
    """The tensor that a `batch_input` gives the graph.

    Args:
        kind: such as `BATCH_ITEM_SHAPE`.
        data_type: `TYPE_INT32` or `TYPE_FP32`.
        shapes: of the source input in each request, batch dimension first.

    Returns:
        `[requests]` for the element counts (`[requests + 1]` with a leading zero), zeros
        `[largest count]` for `BATCH_MAX_ELEMENT_COUNT_AS_SHAPE`, `[rows, rank - 1]` for
        `BATCH_ITEM_SHAPE` and the same values flat for `BATCH_ITEM_SHAPE_FLATTEN`.

    Raises:
        ValueError: no such kind.
    """
    dtype = np.float32 if data_type == "TYPE_FP32" else np.int32
    if kind in ("BATCH_ITEM_SHAPE", "BATCH_ITEM_SHAPE_FLATTEN"):
        items = np.array([shape[1:] for shape in shapes], dtype=dtype)
        rows = [shape[0] for shape in shapes]
        if rows != [1] * len(rows):
            items = np.repeat(items, rows, axis=0)
        return items if kind == "BATCH_ITEM_SHAPE" else items.reshape(-1)
    counts = [element_count(shape) for shape in shapes]
    if kind == "BATCH_ELEMENT_COUNT":
        return np.array(counts, dtype=dtype)
    if kind == "BATCH_ACCUMULATED_ELEMENT_COUNT":
        return np.cumsum(counts).astype(dtype)
    if kind == "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO":
        return np.cumsum([0, *counts]).astype(dtype)
    if kind == "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE":
        return np.zeros(max(counts), dtype=dtype)
    raise ValueError(f"no batch_input kind {kind}")


def split_rows(name: str, output: Array, rows: Sequence[int]) -> list[Array]:
    """Hand an output's rows out to the requests.

    Args:
        name: the output's, for the error.
        output: `[rows of all requests, …]`.
        rows: how many each request has.

    Raises:
        ValueError: the graph gave another number of rows than it got.
    """
    total = sum(rows)
    if output.ndim == 0 or output.shape[0] != total:
        raise ValueError(f"output '{name}' has shape {list(output.shape)} for a batch of {total} rows")
    if len(rows) == 1:
        return [output]
    parts, start = [], 0
    for count in rows:
        parts.append(output[start : start + count])
        start += count
    return parts


def scatter(name: str, output: Array, shapes: Sequence[Shape]) -> list[Array]:
    """Hand a flat output out in the shapes of an input: `BATCH_SCATTER_WITH_INPUT_SHAPE`.

    Raises:
        ValueError: the output has another number of elements than the input had.
    """
    counts = [element_count(shape) for shape in shapes]
    if output.size != sum(counts):
        raise ValueError(f"output '{name}' has {output.size} elements, and its source input {sum(counts)}")
    flat, parts, start = output.reshape(-1), [], 0
    for count, shape in zip(counts, shapes, strict=True):
        parts.append(flat[start : start + count].reshape(shape))
        start += count
    return parts
