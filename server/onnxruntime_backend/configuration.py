"""A model's configuration, read once at load from the JSON that Triton's core gives."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

JsonObject = Mapping[str, Any]

DATA_TYPES: Final = ("TYPE_FP32", "TYPE_INT64")
"""Of inputs and outputs."""
BATCH_INPUT_KINDS: Final = ("BATCH_ITEM_SHAPE", "BATCH_ITEM_SHAPE_FLATTEN")
"""Those that describe each row. The others describe each request, and are wrong when one has several rows."""
_DEFAULT_KIND: Final = "BATCH_ELEMENT_COUNT"
REMEDY: Final = "serve the model with NVIDIA's image of Triton, or change its configuration"


class ConfigurationError(Exception):
    """The configuration asks for what this backend or the graph can't give."""


@dataclass(frozen=True)
class TensorConfig:
    """One entry of `input` or `output`."""

    name: str
    data_type: str
    """Such as `TYPE_INT64`."""
    dims: tuple[int, ...]
    """Without the batch dimension."""
    ragged: bool = False


@dataclass(frozen=True)
class BatchInput:
    """One entry of `batch_input`: a tensor that describes the batch, made for the graph."""

    kind: str
    target: str
    source: str


@dataclass(frozen=True)
class SessionConfiguration:
    """What a configuration says of the ONNX Runtime session."""

    filename: str
    """`default_model_filename`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    optimization: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class ModelConfiguration:
    """The parts of a model's configuration that this backend acts on."""

    name: str
    inputs: tuple[TensorConfig, ...]
    outputs: tuple[TensorConfig, ...]
    batch_inputs: tuple[BatchInput, ...]
    session: SessionConfiguration


def read_configuration(config: JsonObject) -> ModelConfiguration:
    """Read a model's configuration.

    Raises:
        ConfigurationError: it asks for something this backend doesn't have, or contradicts itself.
    """
    missing = [part for part in ("input", "output") if not config.get(part)]
    if missing:
        raise ConfigurationError(
            f"the configuration has no {' and no '.join(missing)}, and this backend does not complete it from the "
            f"graph: add what is missing to config.pbtxt, or serve the model with NVIDIA's image of Triton"
        )
    if unsupported := list(_unsupported(config)):
        raise ConfigurationError(f"this backend does not support {', '.join(unsupported)}: {REMEDY}")
    inputs = tuple(_tensor(entry) for entry in config["input"])
    names = {tensor.name for tensor in inputs}
    return ModelConfiguration(
        name=config["name"],
        inputs=inputs,
        outputs=tuple(_tensor(entry) for entry in config["output"]),
        batch_inputs=tuple(_batch_input(entry, names) for entry in config.get("batch_input", ())),
        session=SessionConfiguration(
            filename=config.get("default_model_filename") or "model.onnx",
            parameters={key: value["string_value"] for key, value in config.get("parameters", {}).items()},
            optimization=config.get("optimization") or {},
        ),
    )


def _unsupported(config: JsonObject) -> Iterator[str]:
    """What NVIDIA's backend in C++ has and this one has not, as the configuration names it."""
    if int(config.get("max_batch_size", 0)) == 0:
        yield "max_batch_size 0 (a model that does not batch)"
    if config.get("sequence_batching"):
        yield "sequence_batching"
    if config.get("batch_output"):
        yield "batch_output"
    if (config.get("model_operations") or {}).get("op_library_filename"):
        yield "model_operations (custom operators)"
    if (config.get("model_transaction_policy") or {}).get("decoupled"):
        yield "model_transaction_policy.decoupled"
    if config.get("cc_model_filenames"):
        yield "cc_model_filenames"
    for role in ("input", "output"):
        for entry in config[role]:
            where = f"of {role} '{entry['name']}'"
            if entry["data_type"] not in DATA_TYPES:
                yield f"data_type {entry['data_type']} {where} (only {' and '.join(DATA_TYPES)})"
            if entry.get("reshape") is not None:
                yield f"reshape {where}"
            if entry.get("optional"):
                yield f"optional {where}"
    for entry in config.get("batch_input", ()):
        kind = entry.get("kind", _DEFAULT_KIND)
        if kind not in BATCH_INPUT_KINDS:
            yield f"batch_input {kind} (only {' and '.join(BATCH_INPUT_KINDS)})"
        if entry["data_type"] != "TYPE_INT32":
            yield f"data_type {entry['data_type']} of batch_input {kind} (only TYPE_INT32: cast inside the graph)"


def _tensor(entry: JsonObject) -> TensorConfig:
    return TensorConfig(
        name=entry["name"],
        data_type=entry["data_type"],
        dims=tuple(int(dim) for dim in entry["dims"]),
        ragged=bool(entry.get("allow_ragged_batch")),
    )


def _batch_input(entry: JsonObject, inputs: set[str]) -> BatchInput:
    targets, sources = entry["target_name"], entry["source_input"]
    if len(targets) != 1 or len(sources) != 1:
        raise ConfigurationError(
            f"batch_input {entry['kind']} must have one target_name and one source_input, and has "
            f"{list(targets)} and {list(sources)}"
        )
    if sources[0] not in inputs:
        raise ConfigurationError(f"batch_input '{targets[0]}' has source_input '{sources[0]}', which is no input")
    return BatchInput(entry["kind"], targets[0], sources[0])
