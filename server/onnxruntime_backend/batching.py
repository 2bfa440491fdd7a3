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
        if tensor.size == 0
    }


def item_shapes(shapes: Sequence[Shape], *, flat: bool) -> Array:
    """The tensor that a `batch_input` gives the graph: the shape of every row, int32.

    Args:
        shapes: of the source input in each request, batch dimension first.
        flat: for `BATCH_ITEM_SHAPE_FLATTEN`.

    Returns:
        `[rows, rank - 1]`, or the same values flat.
    """
    items = np.array([shape[1:] for shape in shapes], dtype=np.int32)
    rows = [shape[0] for shape in shapes]
    if rows != [1] * len(rows):
        items = np.repeat(items, rows, axis=0)
    return items.reshape(-1) if flat else items


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
