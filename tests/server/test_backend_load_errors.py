"""Models that can't be served: each says why in tritonserver's log, and in the last sentence."""

from collections.abc import Iterator

import pytest

from tests.server import graphs
from tests.server.graphs import X3, Y3, config, tensor, write_model
from tests.triton_process import start_triton

WIDE = tensor("y", "TYPE_FP32", "[ 4 ]")
WHOLE = tensor("x", "TYPE_INT64", "[ 3 ]")
ACCELERATED = 'optimization { execution_accelerators { cpu_execution_accelerator [ { name: "openvino" } ] } }'
PARALLEL = 'parameters { key: "execution_mode" value: { string_value: "7" } }'
EXPECTED = {
    "damaged": "is damaged (cut short?)",
    "missing": "model.onnx is not there (beside it: notes.txt)",
    "other_file": "other.onnx is not there (beside it: model.onnx)",
    "wrong_name": "the configuration has input 'z', and the graph has only: x",
    "wrong_type": "input 'x' is TYPE_INT64 in the configuration and TYPE_FP32 in the graph",
    "wrong_shape": "output 'y' has shape [-1, 4] in the configuration (with the batch dimension)"
    " and [-1, 3] in the graph",
    "accelerated": "cpu_execution_accelerator 'openvino' is not in this backend",
    "parallel": "parameter execution_mode must be 0 or 1, and is 7",
    "unbatchable": "max_batch_size is 2, and the graph can't batch",
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
    fixed = graphs.identity(1, (1, 3))
    write_model(repository, "unbatchable", fixed, 'backend: "onnxruntime"\nmax_batch_size: 2\n')
    write_model(repository, "on_gpu", graph, config([X3], [Y3]).replace("_CPU", "_GPU"))
    triton = start_triton(repository)
    try:
        status = triton.launcher.wait(60)
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
