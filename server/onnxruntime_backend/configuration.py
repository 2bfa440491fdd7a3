"""A model's configuration, read once at load from the JSON that Triton's core gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

JsonObject = Mapping[str, Any]

BATCH_INPUT_KINDS: Final = (
    "BATCH_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
    "BATCH_ITEM_SHAPE",
    "BATCH_ITEM_SHAPE_FLATTEN",
)
BATCH_OUTPUT_KINDS: Final = ("BATCH_SCATTER_WITH_INPUT_SHAPE",)


class ConfigurationError(Exception):
    """The configuration asks for what this backend or the graph can't give."""


@dataclass(frozen=True)
class TensorConfig:
    """One entry of `input` or `output`."""

    name: str
    data_type: str
    """Such as `TYPE_INT64`."""
    dims: tuple[int, ...]
    """What the graph sees (`reshape` if there is one), without the batch dimension."""
    ragged: bool = False
    optional: bool = False


@dataclass(frozen=True)
class BatchInput:
    """One entry of `batch_input`: a tensor that describes the batch, made for the graph."""

    kind: str
    target: str
    data_type: str
    source: str


@dataclass(frozen=True)
class BatchOutput:
    """One entry of `batch_output`: how a flat output is handed out to the requests."""

    target: str
    source: str


@dataclass(frozen=True)
class ModelConfiguration:
    """The parts of a model's configuration that this backend acts on."""

    name: str
    max_batch_size: int
    inputs: tuple[TensorConfig, ...]
    outputs: tuple[TensorConfig, ...]
    batch_inputs: tuple[BatchInput, ...]
    batch_outputs: tuple[BatchOutput, ...]
    default_model_filename: str
    parameters: Mapping[str, str]
    optimization: JsonObject
    custom_operators: tuple[str, ...]

    @property
    def batching(self) -> bool:
        """Whether tensors have a batch dimension."""
        return self.max_batch_size > 0


def read_configuration(config: JsonObject) -> ModelConfiguration:
    """Read a model's configuration.

    Raises:
        ConfigurationError: it asks for something this backend doesn't have.
    """
    sequence = config.get("sequence_batching") or {}
    if sequence.get("state"):
        raise ConfigurationError("sequence_batching.state (implicit state) is not supported by this backend")
    controls = tuple(
        _control(control, entry) for control in sequence.get("control_input", ()) for entry in control["control"]
    )
    inputs = tuple(_tensor(entry) for entry in config.get("input", ()))
    max_batch_size = int(config.get("max_batch_size", 0))
    for tensor in inputs:
        if tensor.optional and max_batch_size > 0:
            raise ConfigurationError(f"optional input '{tensor.name}' is not supported for models that batch")
        if tensor.ragged and max_batch_size == 0:
            raise ConfigurationError(f"input '{tensor.name}' has allow_ragged_batch, and max_batch_size is 0")
    names = {tensor.name for tensor in inputs}
    return ModelConfiguration(
        name=config["name"],
        max_batch_size=max_batch_size,
        inputs=inputs + controls,
        outputs=tuple(_tensor(entry) for entry in config.get("output", ())),
        batch_inputs=tuple(_batch_input(entry, names) for entry in config.get("batch_input", ())),
        batch_outputs=tuple(
            output for entry in config.get("batch_output", ()) for output in _batch_outputs(entry, names)
        ),
        default_model_filename=config.get("default_model_filename") or "model.onnx",
        parameters={key: value["string_value"] for key, value in config.get("parameters", {}).items()},
        optimization=config.get("optimization") or {},
        custom_operators=tuple((config.get("model_operations") or {}).get("op_library_filename", ())),
    )


def _tensor(entry: JsonObject) -> TensorConfig:
    reshape = entry.get("reshape")
    dims = entry["dims"] if reshape is None else reshape.get("shape", ())
    return TensorConfig(
        name=entry["name"],
        data_type=entry["data_type"],
        dims=tuple(int(dim) for dim in dims),
        ragged=bool(entry.get("allow_ragged_batch")),
        optional=bool(entry.get("optional")),
    )


def _control(control: JsonObject, entry: JsonObject) -> TensorConfig:
    """A sequence control: Triton's core adds the tensor to each request."""
    for field, data_type in (
        ("fp32_false_true", "TYPE_FP32"),
        ("bool_false_true", "TYPE_BOOL"),
        ("int32_false_true", "TYPE_INT32"),
    ):
        if entry.get(field):
            return TensorConfig(control["name"], data_type, (1,))
    return TensorConfig(control["name"], entry.get("data_type", "TYPE_INT32"), (1,))


def _batch_input(entry: JsonObject, inputs: set[str]) -> BatchInput:
    targets, sources = entry["target_name"], entry["source_input"]
    kind, data_type = entry.get("kind", BATCH_INPUT_KINDS[0]), entry["data_type"]
    if kind not in BATCH_INPUT_KINDS:
        raise ConfigurationError(f"batch_input kind {kind} is not known to this backend")
    if len(targets) != 1 or len(sources) != 1:
        raise ConfigurationError(
            f"batch_input {kind} must have one target_name and one source_input, and has "
            f"{list(targets)} and {list(sources)}"
        )
    if data_type not in ("TYPE_INT32", "TYPE_FP32"):
        raise ConfigurationError(
            f"batch_input '{targets[0]}' has data_type {data_type}; only TYPE_INT32 and "
            f"TYPE_FP32 are possible (cast inside the graph)"
        )
    if sources[0] not in inputs:
        raise ConfigurationError(f"batch_input '{targets[0]}' has source_input '{sources[0]}', which is no input")
    return BatchInput(kind, targets[0], data_type, sources[0])


def _batch_outputs(entry: JsonObject, inputs: set[str]) -> list[BatchOutput]:
    kind = entry.get("kind", BATCH_OUTPUT_KINDS[0])
    sources = entry["source_input"]
    if kind not in BATCH_OUTPUT_KINDS or len(sources) != 1 or sources[0] not in inputs:
        raise ConfigurationError(
            f"batch_output {kind} of {list(entry['target_name'])} must be "
            f"{BATCH_OUTPUT_KINDS[0]} with one of the inputs as its source_input"
        )
    return [BatchOutput(target, sources[0]) for target in entry["target_name"]]
