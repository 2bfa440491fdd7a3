"""Whether a model's configuration and its graph describe the same tensors."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np

from server.onnxruntime_backend.configuration import (
    ConfigurationError,
    ModelConfiguration,
    TensorConfig,
)

TRITON_TYPES: Final = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}
"""ONNX Runtime's names of types to Triton's; what is not here numpy can't carry."""

NUMPY_TYPES: Final = {
    "TYPE_BOOL": np.bool_,
    "TYPE_UINT8": np.uint8,
    "TYPE_UINT16": np.uint16,
    "TYPE_UINT32": np.uint32,
    "TYPE_UINT64": np.uint64,
    "TYPE_INT8": np.int8,
    "TYPE_INT16": np.int16,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_FP16": np.float16,
    "TYPE_FP32": np.float32,
    "TYPE_FP64": np.float64,
    "TYPE_STRING": np.object_,
}


class GraphTensor(Protocol):
    """What ONNX Runtime says of a graph's input or output."""

    name: str
    type: str
    shape: Sequence[Any]


def check_contract(
    config: ModelConfiguration,
    inputs: Sequence[GraphTensor],
    outputs: Sequence[GraphTensor],
    initializers: Sequence[GraphTensor] = (),
) -> None:
    """Compare a configuration with a graph.

    Args:
        config: the model's configuration.
        inputs: of the graph.
        outputs: of the graph.
        initializers: inputs of the graph that have a default; the configuration may name them.

    Raises:
        ConfigurationError: a name, a type or a shape differs.
    """
    graph_inputs = {tensor.name: tensor for tensor in [*inputs, *initializers]}
    graph_outputs = {tensor.name: tensor for tensor in outputs}
    for tensor in config.inputs:
        found = _find("input", tensor.name, graph_inputs)
        _check_type("input", tensor.name, tensor.data_type, found)
        if tensor.ragged:
            if len(found.shape) != 1 or isinstance(found.shape[0], int):
                raise ConfigurationError(
                    f"ragged input '{tensor.name}' needs a graph input of shape [-1], and the "
                    f"graph's is {_show(found.shape)}"
                )
        else:
            _check_shape("input", tensor, found, batching=config.batching)
    for made in config.batch_inputs:
        found = _find("batch_input", made.target, graph_inputs)
        _check_type("batch_input", made.target, made.data_type, found)
    given = {tensor.name for tensor in config.inputs} | {b.target for b in config.batch_inputs}
    unfed = [tensor.name for tensor in inputs if tensor.name not in given]
    if unfed:
        raise ConfigurationError(f"the graph has inputs that the configuration does not: {', '.join(unfed)}")
    scattered = {output.target for output in config.batch_outputs}
    for tensor in config.outputs:
        found = _find("output", tensor.name, graph_outputs)
        _check_type("output", tensor.name, tensor.data_type, found)
        if tensor.name not in scattered:
            _check_shape("output", tensor, found, batching=config.batching)


def _find(role: str, name: str, tensors: dict[str, GraphTensor]) -> GraphTensor:
    if name not in tensors:
        raise ConfigurationError(
            f"the configuration has {role} '{name}', and the graph has only: {', '.join(tensors) or 'none'}"
        )
    return tensors[name]


def _check_type(role: str, name: str, data_type: str, found: GraphTensor) -> None:
    actual = TRITON_TYPES.get(found.type)
    if actual is None:
        raise ConfigurationError(f"{role} '{name}' is {found.type} in the graph: not supported")
    if actual != data_type:
        raise ConfigurationError(f"{role} '{name}' is {data_type} in the configuration and {actual} in the graph")


def _check_shape(role: str, tensor: TensorConfig, found: GraphTensor, *, batching: bool) -> None:
    wanted = ((-1,) if batching else ()) + tensor.dims
    actual = tuple(dim if isinstance(dim, int) else -1 for dim in found.shape)
    if not actual and not batching and set(wanted) <= {1}:
        return  # a scalar, which Triton can only call [1]
    free = role == "output"
    fits = len(wanted) == len(actual) and all(
        graph in (-1, config) or (free and config == -1 and i > 0)
        for i, (graph, config) in enumerate(zip(actual, wanted, strict=True))
    )
    if not fits:
        raise ConfigurationError(
            f"{role} '{tensor.name}' has shape {_show(wanted)} in the configuration"
            f"{' (with the batch dimension)' if batching else ''} and {_show(found.shape)} in "
            f"the graph"
        )


def _show(shape: Sequence[Any]) -> str:
    return f"[{', '.join(str(dim) if isinstance(dim, int) else '-1' for dim in shape)}]"
