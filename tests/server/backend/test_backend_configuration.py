"""What a configuration may ask for, and how it must agree with the graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest

from server.onnxruntime_backend.configuration import ConfigurationError, SessionConfiguration, read_configuration
from server.onnxruntime_backend.graph_check import check_graph
from server.onnxruntime_backend.session import cuda_options, open_session, session_options, unknown_parameters
from tests.server import graphs


@dataclass
class GraphTensor:
    name: str
    type: str
    shape: list[Any]


X = {"name": "x", "data_type": "TYPE_INT64", "dims": [-1]}
Y = {"name": "y", "data_type": "TYPE_FP32", "dims": [6]}
LENGTHS = {
    "kind": "BATCH_ITEM_SHAPE",
    "target_name": ["lengths"],
    "data_type": "TYPE_INT32",
    "source_input": ["x"],
}
RAGGED = {
    "name": "m",
    "max_batch_size": 8,
    "input": [X | {"allow_ragged_batch": True}],
    "output": [Y],
    "batch_input": [LENGTHS],
}
INPUTS = [
    GraphTensor("x", "tensor(int64)", ["n"]),
    GraphTensor("lengths", "tensor(int32)", ["b", 1]),
]
OUTPUTS = [GraphTensor("y", "tensor(float)", ["b", 6])]


def parameters(**values: str) -> SessionConfiguration:
    given = {key.replace("__", "."): {"string_value": value} for key, value in values.items()}
    return read_configuration(RAGGED | {"parameters": given}).session


def test_a_ragged_model_agrees_with_its_graph() -> None:
    check_graph(read_configuration(RAGGED), INPUTS, OUTPUTS)


REMEDY = ": serve the model with NVIDIA's image of Triton, or change its configuration"
SCATTER = {"kind": "BATCH_SCATTER_WITH_INPUT_SHAPE", "target_name": ["y"], "source_input": ["x"]}
CONTROL = {"name": "start", "control": [{"kind": "CONTROL_SEQUENCE_START", "int32_false_true": [0, 1]}]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"max_batch_size": 0}, "max_batch_size 0 (a model that does not batch)"),
        ({"sequence_batching": {"control_input": [CONTROL]}}, "sequence_batching"),
        ({"sequence_batching": {"state": [{"input_name": "s"}]}}, "sequence_batching"),
        ({"batch_output": [SCATTER]}, "batch_output"),
        ({"model_operations": {"op_library_filename": ["ops.so"]}}, "model_operations (custom operators)"),
        ({"model_transaction_policy": {"decoupled": True}}, "model_transaction_policy.decoupled"),
        ({"cc_model_filenames": {"9.0": "hopper.onnx"}}, "cc_model_filenames"),
        (
            {"input": [X | {"data_type": "TYPE_STRING"}]},
            "data_type TYPE_STRING of input 'x' (only TYPE_FP32 and TYPE_INT64)",
        ),
        (
            {"output": [Y | {"data_type": "TYPE_FP16"}]},
            "data_type TYPE_FP16 of output 'y' (only TYPE_FP32 and TYPE_INT64)",
        ),
        ({"input": [X | {"reshape": {"shape": [1, -1]}}]}, "reshape of input 'x'"),
        ({"output": [Y | {"reshape": {}}]}, "reshape of output 'y'"),
        ({"input": [X | {"optional": True}]}, "optional of input 'x'"),
        (
            {"batch_input": [LENGTHS | {"kind": "BATCH_ACCUMULATED_ELEMENT_COUNT"}]},
            "batch_input BATCH_ACCUMULATED_ELEMENT_COUNT (only BATCH_ITEM_SHAPE and BATCH_ITEM_SHAPE_FLATTEN)",
        ),
        (
            {"batch_input": [{k: v for k, v in LENGTHS.items() if k != "kind"}]},
            "batch_input BATCH_ELEMENT_COUNT (only BATCH_ITEM_SHAPE and BATCH_ITEM_SHAPE_FLATTEN)",
        ),
        (
            {"batch_input": [LENGTHS | {"data_type": "TYPE_INT64"}]},
            "data_type TYPE_INT64 of batch_input BATCH_ITEM_SHAPE (only TYPE_INT32: cast inside the graph)",
        ),
        (
            {"batch_input": [LENGTHS | {"data_type": "TYPE_FP32"}]},
            "data_type TYPE_FP32 of batch_input BATCH_ITEM_SHAPE (only TYPE_INT32: cast inside the graph)",
        ),
        (
            {"sequence_batching": {"control_input": []}, "batch_output": [SCATTER], "max_batch_size": 0},
            "max_batch_size 0 (a model that does not batch), sequence_batching, batch_output",
        ),
    ],
)
def test_what_this_backend_has_not_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_configuration(RAGGED | change)
    assert str(error.value) == f"this backend does not support {named}{REMEDY}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_input": [LENGTHS | {"target_name": ["a", "b"]}]}, "one target_name"),
        ({"batch_input": [LENGTHS | {"source_input": ["z"]}]}, "'z', which is no input"),
        ({"input": []}, "has no input, and this backend does not complete it from the graph: add"),
        ({"output": []}, "has no output, and this backend does not complete it from the graph: add"),
    ],
)
def test_a_configuration_that_can_not_be_right(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(RAGGED | change)


def test_no_inputs_and_no_outputs() -> None:
    with pytest.raises(ConfigurationError) as error:
        read_configuration({"name": "m", "max_batch_size": 8})
    assert str(error.value) == (
        "the configuration has no input and no output, and this backend does not complete it from the graph: "
        "add what is missing to config.pbtxt, or serve the model with NVIDIA's image of Triton"
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (INPUTS[:1], OUTPUTS, "batch_input 'lengths', and the graph has only: x"),
        (INPUTS[1:], OUTPUTS, "input 'x', and the graph has only: lengths"),
        (INPUTS, [], "output 'y', and the graph has only: none"),
        (
            [*INPUTS, GraphTensor("mask", "tensor(int64)", ["n"])],
            OUTPUTS,
            "inputs that the configuration does not: mask",
        ),
        (
            [GraphTensor("x", "tensor(int32)", ["n"]), INPUTS[1]],
            OUTPUTS,
            "TYPE_INT64 in the configuration and TYPE_INT32 in the graph",
        ),
        (
            [GraphTensor("x", "tensor(int64)", ["b", "n"]), INPUTS[1]],
            OUTPUTS,
            r"ragged input 'x' needs a graph input of shape \[-1\], and the graph's is \[-1, -1\]",
        ),
        (
            [INPUTS[0], GraphTensor("lengths", "tensor(int64)", ["b", 1])],
            OUTPUTS,
            "batch_input 'lengths' is TYPE_INT32 in the configuration and TYPE_INT64",
        ),
        (
            INPUTS,
            [GraphTensor("y", "tensor(float)", ["b", 5])],
            r"output 'y' has shape \[-1, 6\] .* and \[-1, 5\] in the graph",
        ),
        (
            INPUTS,
            [GraphTensor("y", "tensor(float16)", ["b", 6])],
            r"output 'y' is TYPE_FP32 in the configuration and tensor\(float16\) in the graph",
        ),
    ],
)
def test_a_graph_that_differs_is_refused(inputs: list[GraphTensor], outputs: list[GraphTensor], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_graph(read_configuration(RAGGED), inputs, outputs)


def test_a_fixed_batch_dimension_is_refused() -> None:
    config = read_configuration(RAGGED | {"input": [X], "batch_input": []})
    with pytest.raises(ConfigurationError, match=r"\[-1, -1\] .* and \[1, -1\] in the graph"):
        check_graph(config, [GraphTensor("x", "tensor(int64)", [1, "n"])], OUTPUTS)


def test_session_options() -> None:
    config = parameters(
        intra_op_thread_count="3",
        inter_op_thread_count="2",
        execution_mode="1",
        enable_mem_arena="0",
        enable_mem_pattern="false",
        session__intra_op__allow_spinning="1",
    )
    options = session_options(config, gpu=False)
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 2
    assert options.execution_mode.name == "ORT_PARALLEL"
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern
    spinning = "session.intra_op.allow_spinning"
    assert options.get_session_config_entry(spinning) == "1"
    assert session_options(parameters(), gpu=True).get_session_config_entry(spinning) == "0"
    assert session_options(config, gpu=True).get_session_config_entry(spinning) == "1"


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (-1, "ORT_ENABLE_BASIC"),
        (0, "ORT_ENABLE_ALL"),
        (1, "ORT_ENABLE_EXTENDED"),
        (2, "ORT_DISABLE_ALL"),
    ],
)
def test_graph_optimization_level(level: int, name: str) -> None:
    # Triton's core writes a 64-bit number as text in its JSON.
    config = read_configuration(RAGGED | {"optimization": {"graph": {"level": str(level)}}}).session
    assert session_options(config, gpu=False).graph_optimization_level.name == name


@pytest.mark.parametrize(
    ("key", "value"),
    [("execution_mode", "2"), ("intra_op_thread_count", "many"), ("enable_mem_arena", "perhaps")],
)
def test_wrong_parameters(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"parameter {key} must be"):
        session_options(parameters(**{key: value}), gpu=False)


def test_cuda_options() -> None:
    config = parameters(cudnn_conv_algo_search="1", arena_extend_strategy="1", gpu_mem_limit="9")
    assert cuda_options(config, 2) == {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": "9",
        "device_id": "2",
    }


def test_accelerators() -> None:
    def accelerated(name: str) -> SessionConfiguration:
        accelerator = {"name": name, "parameters": {"use_tf32": "0"}}
        accelerators = {"gpu_execution_accelerator": [accelerator]}
        return read_configuration(RAGGED | {"optimization": {"execution_accelerators": accelerators}}).session

    assert cuda_options(accelerated("cuda"), 0) == {"use_tf32": "0", "device_id": "0"}
    with pytest.raises(
        ConfigurationError, match=r"not support gpu_execution_accelerator 'tensorrt' \(only cuda\): serve the model"
    ):
        cuda_options(accelerated("tensorrt"), 0)


def test_misspelt_parameters_are_found() -> None:
    config = parameters(intra_op_threads_count="1", execution_mode="0", session__any="1")
    assert unknown_parameters(config) == ["intra_op_threads_count"]


@pytest.fixture
def version(tmp_path: Path) -> Path:
    onnx.save(graphs.add_constant(1.0), tmp_path / "model.onnx")
    return tmp_path


def test_a_gpu_with_onnxruntime_for_the_cpu(version: Path) -> None:
    assert open_session(parameters(), version, "CPU", 0).get_providers() == ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime here is the GPU's")
    with pytest.raises(ConfigurationError, match=r"got no GPU \(onnxruntime in its environment is the CPU's\)"):
        open_session(parameters(), version, "GPU", 0)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (None, "could not start its CUDA provider"),
        (RuntimeError("CUDA failure 35: driver version is insufficient"), "CUDA says: CUDA failure 35"),
        (RuntimeError("Protobuf parsing failed"), "is damaged"),
    ],
)
def test_a_gpu_that_does_not_start(
    version: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception | None, message: str
) -> None:
    """ONNX Runtime for GPUs, which can't be here, is faked: it warns and falls back to the CPU, or raises."""
    real = onnxruntime.InferenceSession

    def fake(path: str, options: Any, providers: list[Any]) -> Any:
        assert providers[0] == ("CUDAExecutionProvider", {"device_id": "0"})
        if failure:
            raise failure
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fake)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(ConfigurationError, match=message):
        open_session(parameters(), version, "GPU", 0)
