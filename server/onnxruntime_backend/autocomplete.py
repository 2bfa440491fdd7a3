"""Filling in what a model's configuration leaves out, from the graph, as the C++ backend does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from server.onnxruntime_backend.configuration import ConfigurationError, read_configuration
from server.onnxruntime_backend.contract import TRITON_TYPES, GraphTensor

DEFAULT_MAX_BATCH_SIZE: Final = 4
"""The C++ backend's, for graphs whose every tensor has a free first dimension."""


def is_complete(config: dict[str, Any]) -> bool:
    """Whether the configuration names its inputs and outputs."""
    return bool((config.get("input") or config.get("batch_input")) and config.get("output"))


def complete(model_config: Any, stub_arguments: Path = Path("/proc/self/cmdline")) -> Any:
    """Fill in `input`, `output`, `max_batch_size` and the batcher of an incomplete configuration.

    Args:
        model_config: Triton's `ModelConfig`, changed in place.
        stub_arguments: the stub's command line; the only place that says which version's
            directory this is.

    Returns:
        The same object.

    Raises:
        ConfigurationError: the graph can't be read, or can't be batched as configured.
    """
    config = model_config.as_dict()
    if is_complete(config):
        return model_config
    # Here and not above: a complete configuration must not wait for it.
    from server.onnxruntime_backend.session import open_session

    model_file = stub_arguments.read_bytes().split(b"\0")[1].decode()
    session = open_session(read_configuration(config), Path(model_file).parent, "CPU", 0)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    size = batch_size(int(config.get("max_batch_size", 0)), [*inputs, *outputs])
    model_config.set_max_batch_size(size)
    scheduled = config.get("sequence_batching") or config.get("dynamic_batching")
    if size > 1 and not scheduled:
        model_config.set_dynamic_batching()
    if not (config.get("input") or config.get("batch_input")):
        for tensor in inputs:
            model_config.add_input(describe(tensor, batching=size > 0))
    if not config.get("output"):
        for tensor in outputs:
            model_config.add_output(describe(tensor, batching=size > 0))
    return model_config


def batch_size(configured: int, tensors: Sequence[GraphTensor]) -> int:
    """The `max_batch_size` for a graph with these inputs and outputs.

    Raises:
        ConfigurationError: one is configured, and a tensor has no free first dimension.
    """
    fixed = [t.name for t in tensors if not t.shape or isinstance(t.shape[0], int)]
    if not fixed:
        return configured or DEFAULT_MAX_BATCH_SIZE
    if configured:
        raise ConfigurationError(
            f"max_batch_size is {configured}, and the graph can't batch: no free first dimension in {', '.join(fixed)}"
        )
    return 0


def describe(tensor: GraphTensor, *, batching: bool) -> dict[str, Any]:
    """A configuration entry for one of the graph's tensors.

    Raises:
        ConfigurationError: Triton's Python backend can't carry its type.
    """
    if tensor.type not in TRITON_TYPES:
        raise ConfigurationError(f"'{tensor.name}' is {tensor.type} in the graph: not supported")
    shape = [dim if isinstance(dim, int) else -1 for dim in tensor.shape]
    entry: dict[str, Any] = {"name": tensor.name, "data_type": TRITON_TYPES[tensor.type]}
    dims = shape[1:] if batching else shape
    if not dims:
        if batching:
            entry["reshape"] = {"shape": []}
        dims = [1]
    return entry | {"dims": dims}
