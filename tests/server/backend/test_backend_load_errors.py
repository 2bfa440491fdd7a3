"""Models that can't be served: each says why in tritonserver's log, and in the last sentence."""

from collections.abc import Iterator

import pytest

from tests.server import graphs
from tests.server.graphs import X3, Y3, config, tensor, write_model
from tests.support.triton_process import start_triton
from tests.support.waiting import SECONDS

WIDE = tensor("y", "TYPE_FP32", "[ 4 ]")
WHOLE = tensor("x", "TYPE_INT64", "[ 3 ]")
ACCELERATED = 'optimization { execution_accelerators { cpu_execution_accelerator [ { name: "openvino" } ] } }'
PARALLEL = 'parameters { key: "execution_mode" value: { string_value: "7" } }'
COMPLETED = (
    "the configuration has no input and no output, and this backend does not complete it from the graph: add what is"
    " missing to config.pbtxt, or serve the model with NVIDIA's image of Triton"
)
SEQUENCES = """sequence_batching { control_input [ {
    name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] } ] }"""
SCATTER = 'batch_output [ { target_name: "y" source_input: "x" } ]'
OPERATORS = 'model_operations { op_library_filename: "ops.so" }'
COUNTS = 'batch_input [ { kind: BATCH_ELEMENT_COUNT target_name: "n" data_type: TYPE_INT32 source_input: "x" } ]'
EXPECTED = {
    "damaged": "is damaged (cut short?)",
    "missing": "model.onnx is not there (beside it: notes.txt)",
    "other_file": "other.onnx is not there (beside it: model.onnx)",
    "wrong_name": "the configuration has input 'z', and the graph has only: x",
    "wrong_type": "input 'x' is TYPE_INT64 in the configuration and TYPE_FP32 in the graph",
    "wrong_shape": "output 'y' has shape [-1, 4] in the configuration (with the batch dimension)"
    " and [-1, 3] in the graph",
    "accelerated": "this backend does not support cpu_execution_accelerator 'openvino': serve the model with",
    "parallel": "parameter execution_mode must be 0 or 1, and is 7",
    "without_configuration": COMPLETED,
    "only_backend": COMPLETED,
    "unbatched": "this backend does not support max_batch_size 0 (a model that does not batch): serve the model with"
    " NVIDIA's image of Triton, or change its configuration",
    "sequences": "this backend does not support sequence_batching: serve the model with NVIDIA's image",
    "scattered": "this backend does not support batch_output: serve the model with NVIDIA's image",
    "operators": "this backend does not support model_operations (custom operators): serve the model with NVIDIA's",
    "texts": "this backend does not support data_type TYPE_STRING of input 'x' (only TYPE_FP32 and TYPE_INT64), "
    "data_type TYPE_STRING of output 'y' (only TYPE_FP32 and TYPE_INT64): serve the model with NVIDIA's image",
    "reshaped": "this backend does not support reshape of input 'x', reshape of output 'y': serve the model with",
    "counts": "this backend does not support batch_input BATCH_ELEMENT_COUNT (only BATCH_ITEM_SHAPE and"
    " BATCH_ITEM_SHAPE_FLATTEN): serve the model with NVIDIA's image",
    "on_gpu": "has kind KIND_GPU but no GPUs are available",
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """Exit status and last line of a start with nothing but broken models."""
    repository = tmp_path_factory.mktemp("broken")
    graph = graphs.add_constant(1.0)
    damaged = write_model(repository, "damaged", graph, config([X3], [Y3]))
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    missing = write_model(repository, "missing", None, config([X3], [Y3]))
    (missing.parent / "notes.txt").write_text("not a model")
    other = config([X3], [Y3], 8, 'default_model_filename: "other.onnx"')
    write_model(repository, "other_file", graph, other)
    write_model(repository, "wrong_name", graph, config([tensor("z", "TYPE_FP32", "[ 3 ]")], [Y3]))
    write_model(repository, "wrong_type", graph, config([WHOLE], [Y3]))
    write_model(repository, "wrong_shape", graph, config([X3], [WIDE]))
    write_model(repository, "accelerated", graph, config([X3], [Y3], 8, ACCELERATED))
    write_model(repository, "parallel", graph, config([X3], [Y3], 8, PARALLEL))
    write_model(repository, "without_configuration", graph)
    write_model(repository, "only_backend", graph, 'backend: "onnxruntime"\n')
    write_model(repository, "unbatched", graph, config([X3], [Y3], 0))
    write_model(repository, "sequences", graph, config([X3], [Y3], 8, SEQUENCES))
    write_model(repository, "scattered", graph, config([X3], [Y3], 8, SCATTER))
    write_model(repository, "operators", graph, config([X3], [Y3], 8, OPERATORS))
    texts = [tensor("x", "TYPE_STRING", "[ 3 ]")], [tensor("y", "TYPE_STRING", "[ 3 ]")]
    write_model(repository, "texts", graph, config(*texts))
    reshaped = [tensor(name, "TYPE_FP32", "[ 1 ]", "reshape: { shape: [ ] }") for name in ("x", "y")]
    write_model(repository, "reshaped", graph, config(reshaped[:1], reshaped[1:]))
    write_model(repository, "counts", graph, config([X3], [Y3], 8, COUNTS))
    write_model(repository, "on_gpu", graph, config([X3], [Y3]).replace("_CPU", "_GPU"))
    triton = start_triton(repository)
    try:
        status = triton.launcher.wait(SECONDS)
        yield status, triton.log().splitlines()[-1]
    finally:
        triton.launcher.kill()
        triton.log_path.unlink()


def test_the_launcher_ends_with_an_error(ended: tuple[int, str]) -> None:
    status, sentence = ended
    assert status == 1
    assert sentence.startswith("error: no model could be loaded. Model ")


@pytest.mark.parametrize("model", EXPECTED)
def test_each_model_says_why(ended: tuple[int, str], model: str) -> None:
    _, sentence = ended
    _, found, reason = sentence.partition(f"Model {model} version 1 could not be loaded: ")
    assert found, sentence
    assert EXPECTED[model] in reason.partition(" Model ")[0]
