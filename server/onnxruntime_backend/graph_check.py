"""Whether a model's configuration and its graph describe the same tensors."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from server.onnxruntime_backend.configuration import ConfigurationError, ModelConfiguration, TensorConfig

BATCH_INPUT_TYPE: Final = "TYPE_INT32"
_TRITON_TYPES: Final = {"tensor(float)": "TYPE_FP32", "tensor(int32)": "TYPE_INT32", "tensor(int64)": "TYPE_INT64"}
"""ONNX Runtime's names of types to Triton's."""


class GraphTensor(Protocol):
    """What ONNX Runtime says of a graph's input or output."""

    name: str
    type: str
    shape: Sequence[Any]


def check_graph(config: ModelConfiguration, inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor]) -> None:
    """Compare a configuration with a graph.

    Args:
        config: the model's configuration.
        inputs: of the graph.
        outputs: of the graph.

    Raises:
        ConfigurationError: a name, a type or a shape differs.
    """
    graph_inputs = {tensor.name: tensor for tensor in inputs}
    graph_outputs = {tensor.name: tensor for tensor in outputs}
    for tensor in config.inputs:
        found = _find("input", tensor.name, graph_inputs)
        _check_type("input", tensor.name, tensor.data_type, found)
        if tensor.ragged:
            _check_ragged(tensor, found)
        else:
            _check_shape("input", tensor, found)
    for made in config.batch_inputs:
        _check_type("batch_input", made.target, BATCH_INPUT_TYPE, _find("batch_input", made.target, graph_inputs))
    given = {tensor.name for tensor in config.inputs} | {made.target for made in config.batch_inputs}
    unfed = [tensor.name for tensor in inputs if tensor.name not in given]
    if unfed:
        raise ConfigurationError(f"the graph has inputs that the configuration does not: {', '.join(unfed)}")
    for tensor in config.outputs:
        found = _find("output", tensor.name, graph_outputs)
        _check_type("output", tensor.name, tensor.data_type, found)
        _check_shape("output", tensor, found)


def _find(role: str, name: str, tensors: dict[str, GraphTensor]) -> GraphTensor:
    if name not in tensors:
        raise ConfigurationError(
            f"the configuration has {role} '{name}', and the graph has only: {', '.join(tensors) or 'none'}"
        )
    return tensors[name]


def _check_type(role: str, name: str, data_type: str, found: GraphTensor) -> None:
    actual = _TRITON_TYPES.get(found.type, found.type)
    if actual != data_type:
        raise ConfigurationError(f"{role} '{name}' is {data_type} in the configuration and {actual} in the graph")


def _check_ragged(tensor: TensorConfig, found: GraphTensor) -> None:
    if len(found.shape) != 1 or isinstance(found.shape[0], int):
        raise ConfigurationError(
            f"ragged input '{tensor.name}' needs a graph input of shape [-1], and the graph's is {_show(found.shape)}"
        )


def _check_shape(role: str, tensor: TensorConfig, found: GraphTensor) -> None:
    wanted = (-1, *tensor.dims)
    actual = tuple(dim if isinstance(dim, int) else -1 for dim in found.shape)
    free = role == "output"
    fits = len(wanted) == len(actual) and all(
        graph in (-1, config) or (free and config == -1 and i > 0)
        for i, (graph, config) in enumerate(zip(actual, wanted, strict=True))
    )
    if not fits:
        raise ConfigurationError(
            f"{role} '{tensor.name}' has shape {_show(wanted)} in the configuration (with the batch dimension) and "
            f"{_show(found.shape)} in the graph"
        )


def _show(shape: Sequence[Any]) -> str:
    return f"[{', '.join(str(dim) if isinstance(dim, int) else '-1' for dim in shape)}]"
