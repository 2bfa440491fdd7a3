"""The ONNX Runtime backend inside the real tritonserver, over gRPC and HTTP."""

import json
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tritonclient.grpc as grpcclient
from onnx import TensorProto
from tritonclient.utils import InferenceServerException

from tests.server import graphs
from tests.server.graphs import X3, Y3, config, tensor, write_model
from tests.support.triton_process import TritonProcess, running_triton
from tests.support.waiting import settled

ITEM_SHAPE = '{ kind: BATCH_ITEM_SHAPE target_name: "item_shape" data_type: TYPE_INT32 source_input: "ids" }'
# Long enough that requests sent together meet in one batch, even on a busy machine.
BATCHING = "dynamic_batching { max_queue_delay_microseconds: 200000 }"
IDS = tensor("ids", "TYPE_INT64", "[ -1 ]", "allow_ragged_batch: true")
SUMS = tensor("sums", "TYPE_FP32", "[ 1 ]")

DATA_TYPES: dict[str, tuple[int, list[Any]]] = {
    "INT64": (TensorProto.INT64, [-(2**63), 0, 2**63 - 1]),
    "FP32": (TensorProto.FLOAT, [-1.5, 0.0, 3.4e38]),
}


def write_repository(repository: Path) -> None:
    ragged = config([IDS], [SUMS], 64, f"batch_input [ {ITEM_SHAPE} ]\n{BATCHING}")
    write_model(repository, "ragged", graphs.ragged_sums(), ragged)
    flat = ITEM_SHAPE.replace("BATCH_ITEM_SHAPE", "BATCH_ITEM_SHAPE_FLATTEN")
    write_model(
        repository,
        "flat",
        graphs.ragged_sums(flat=True),
        config([IDS], [SUMS], 64, f"batch_input [ {flat} ]\n{BATCHING}"),
    )
    for name, (onnx_type, _) in DATA_TYPES.items():
        tensors = [tensor("x", f"TYPE_{name}", "[ 3 ]")], [tensor("y", f"TYPE_{name}", "[ 3 ]")]
        write_model(repository, f"type_{name.lower()}", graphs.identity(onnx_type), config(*tensors))
    look_up = [tensor("x", "TYPE_INT64", "[ 1 ]")], [tensor("y", "TYPE_FP32", "[ 1 ]")]
    write_model(repository, "look_up", graphs.look_up(), config(*look_up, 64, BATCHING))
    pairs = [tensor("x", "TYPE_FP32", "[ -1 ]")], [tensor("y", "TYPE_FP32", "[ 1 ]")]
    write_model(repository, "pairs", graphs.pair_sums(), config(*pairs))
    shorter = [tensor("x", "TYPE_FP32", "[ -1 ]")], [tensor("y", "TYPE_FP32", "[ -1 ]")]
    write_model(repository, "shorter", graphs.without_first_column(), config(*shorter))
    large = config([X3], [Y3], 400_000)
    write_model(repository, "large", graphs.add_constant(1.0), large)
    outputs = [tensor(name, "TYPE_FP32", "[ 3 ]") for name in ("double", "negative")]
    write_model(repository, "two_outputs", graphs.two_outputs(), config([X3], outputs))
    versions = config([X3], [Y3], 8, "version_policy { latest { num_versions: 2 } }")
    for version in (1, 2, 3):
        graph = graphs.add_constant(float(version))
        write_model(repository, "versions", graph, versions, version, "weights.onnx")
    with (repository / "versions/config.pbtxt").open("a") as file:
        file.write('default_model_filename: "weights.onnx"\n')
    warm = (
        'model_warmup [ { name: "one" batch_size: 1 inputs { key: "x" value '
        "{ data_type: TYPE_FP32 dims: [ 3 ] zero_data: true } } } ]"
    )
    write_model(repository, "warm", graphs.add_constant(1.0), config([X3], [Y3], 8, warm))
    cpu = repository / "cpu_configuration"
    write_model(repository, cpu.name, graphs.add_constant(7.0), config([X3], [Y3]).replace("CPU", "GPU"))
    (cpu / "configs").mkdir()
    (cpu / "configs/cpu.pbtxt").write_text(config([X3], [Y3]))
    two_instances = config([X3], [Y3]).replace("kind: KIND_CPU", "count: 2 kind: KIND_CPU")
    misspelt = 'parameters { key: "intra_op_threads" value: { string_value: "1" } }\n'
    write_model(repository, "instances", graphs.add_constant(0.0), two_instances + misspelt)


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    repository = tmp_path_factory.mktemp("repository")
    write_repository(repository)
    # A dozen models take their time to unload on a busy machine.
    with running_triton(repository, "--stop-timeout=30", "--http", "--metrics") as process:
        yield process


@pytest.fixture(scope="module")
def client(triton: TritonProcess) -> Iterator[grpcclient.InferenceServerClient]:
    with grpcclient.InferenceServerClient(triton.grpc_url) as connected:
        yield connected


Client = grpcclient.InferenceServerClient


def ask(
    client: Client,
    model: str,
    value: np.ndarray,
    data_type: str = "FP32",
    name: str = "x",
    version: str = "",
    outputs: tuple[str, ...] = (),
) -> Any:
    given = grpcclient.InferInput(name, list(value.shape), data_type)
    given.set_data_from_numpy(value)
    wanted = [grpcclient.InferRequestedOutput(output) for output in outputs] or None
    return client.infer(model, [given], version, outputs=wanted, client_timeout=30)


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Make calls at the same moment; gives results, or the exceptions they raised."""
    barrier = threading.Barrier(len(calls))

    def call(one: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return one()
        except InferenceServerException as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def counts(client: Client, model: str) -> tuple[int, int]:
    """Requests answered and executions made."""

    def read() -> tuple[int, int]:
        found = client.get_inference_statistics(model).model_stats[0]
        return found.inference_stats.success.count, found.execution_count

    return settled(read)


@pytest.mark.parametrize("model", ["ragged", "flat"])
def test_ragged_requests_of_several_rows_share_an_execution(client: Client, model: str) -> None:
    random = np.random.default_rng(0)
    batches = [random.integers(0, 100, (1 + i % 3, 1 + 7 * i % 32), dtype=np.int64) for i in range(24)]
    answered, executed = counts(client, model)
    results = together([lambda b=b: ask(client, model, b, "INT64", "ids") for b in batches])
    for batch, result in zip(batches, results, strict=True):
        assert result.as_numpy("sums").tolist() == batch.sum(axis=1, keepdims=True).tolist()
    now_answered, now_executed = counts(client, model)
    assert now_answered - answered == len(batches)
    assert now_executed - executed <= len(batches) // 4


@pytest.mark.parametrize("name", DATA_TYPES)
def test_data_types(client: Client, name: str) -> None:
    _, values = DATA_TYPES[name]
    dtype = {"INT64": np.int64, "FP32": np.float32}[name]
    given = np.array([values, values[::-1]], dtype=dtype)
    answer = ask(client, f"type_{name.lower()}", given, name).as_numpy("y")
    assert answer.dtype == dtype
    assert answer.tolist() == given.tolist()


def test_an_output_without_elements(client: Client) -> None:
    for given, expected in (([[1, 0, 2]], [[0, 2]]), ([[5], [7]], [[], []]), ([[0, 1]], [[1]])):
        answer = ask(client, "shorter", np.array(given, np.float32)).as_numpy("y")
        assert (answer.dtype, answer.tolist()) == (np.float32, expected)


def memory_of_stubs(triton: TritonProcess) -> int:
    """Bytes that the instances' processes have for themselves; what tritonserver keeps is no matter of the backend."""
    return sum(int(psutil.Process(pid).memory_full_info().uss) for pid in triton.stub_pids)


def test_answers_are_released_without_a_complaint(triton: TritonProcess, client: Client) -> None:
    """An answer's memory is freed once, and nothing is printed for it."""
    megabytes = 4
    given = np.arange(megabytes * 2**18 // 3 * 3, dtype=np.float32).reshape(-1, 3)
    for _ in range(5):
        ask(client, "large", given)
    before = memory_of_stubs(triton)
    for _ in range(60):
        assert np.array_equal(ask(client, "large", given).as_numpy("y"), given + 1)
    assert memory_of_stubs(triton) - before < 60 * megabytes * 2**20 // 3
    assert not re.findall(r".*(?:Exception ignored|PyCapsule).*", triton.log())


def test_a_failing_request_fails_alone(client: Client) -> None:
    values = [i % 4 for i in range(32)]
    values[5], values[20] = 4, 1000
    answered, executed = counts(client, "look_up")
    calls = [lambda v=v: ask(client, "look_up", np.array([[v]]), "INT64") for v in values]
    for value, result in zip(values, together(calls), strict=True):
        if value < 4:
            assert result.as_numpy("y").tolist() == [[10.0 * value]]
        else:
            assert isinstance(result, InferenceServerException)
            assert "out of data bounds" in str(result)
            assert result.status() == "StatusCode.INVALID_ARGUMENT"
    now_answered, now_executed = counts(client, "look_up")
    assert now_answered - answered == 32  # Triton counts an error among answers as one
    assert now_executed - executed < 16  # they did share batches with good ones


def test_a_failure_that_is_not_the_requests_is_counted(client: Client) -> None:
    assert ask(client, "pairs", np.ones((1, 2), np.float32)).as_numpy("y").tolist() == [[2.0]]
    with pytest.raises(InferenceServerException, match="cannot be reshaped") as error:
        ask(client, "pairs", np.ones((1, 3), np.float32))
    assert error.value.status() == "StatusCode.INTERNAL"
    counts(client, "pairs")
    statistics = client.get_inference_statistics("pairs").model_stats[0].inference_stats
    assert (statistics.success.count, statistics.fail.count) == (1, 1)


def test_only_requested_outputs_come_back(client: Client) -> None:
    given = np.ones((1, 3), np.float32)
    both = ask(client, "two_outputs", given)
    assert {output.name for output in both.get_response().outputs} == {"double", "negative"}
    one = ask(client, "two_outputs", given, outputs=("negative",))
    assert [output.name for output in one.get_response().outputs] == ["negative"]
    assert one.as_numpy("negative").tolist() == [[-1.0, -1.0, -1.0]]


def test_versions_and_their_file_names(client: Client) -> None:
    given = np.zeros((1, 3), np.float32)
    for version, expected in (("", 3.0), ("3", 3.0), ("2", 2.0)):
        answer = ask(client, "versions", given, version=version).as_numpy("y")
        assert answer.tolist() == [[expected] * 3]
    with pytest.raises(InferenceServerException, match="'versions' version 1 is not found"):
        ask(client, "versions", given, version="1")


def test_warm_up_ran(client: Client) -> None:
    assert client.is_model_ready("warm")
    given = np.zeros((1, 3), np.float32)
    assert ask(client, "warm", given).as_numpy("y").tolist() == [[1.0] * 3]


def test_the_configuration_for_the_cpu(client: Client) -> None:
    given = np.zeros((1, 3), np.float32)
    assert ask(client, "cpu_configuration", given).as_numpy("y").tolist() == [[7.0] * 3]


def test_instances_and_misspelt_parameters(triton: TritonProcess) -> None:
    assert "instances_0_0" in triton.log()
    assert "instances_0_1: runs on CPUExecutionProvider" in triton.log()
    assert "parameter intra_op_threads has no effect here" in triton.log()


def test_instances_give_way_to_short_work(triton: TritonProcess) -> None:
    assert {os.sched_getscheduler(pid) for pid in triton.stub_pids} == {os.SCHED_BATCH}


@pytest.mark.parametrize(
    ("shape", "data_type", "name", "message"),
    [
        ((65, 2), "INT64", "ids", "batch-size must be <= 64"),
        ((1, 2), "INT32", "ids", "data-type is 'INT32', but model 'ragged' expects 'INT64'"),
        ((1, 2), "INT64", "id", "unexpected inference input 'id'"),
        ((2,), "INT64", "ids", "unexpected shape for input 'ids'"),
        ((1, 1, 2), "INT64", "ids", "unexpected shape for input 'ids'"),
        ((0, 5), "INT64", "ids", "input byte size mismatch"),
    ],
)
def test_wrong_requests_are_refused(
    client: Client, shape: tuple[int, ...], data_type: str, name: str, message: str
) -> None:
    with pytest.raises(InferenceServerException) as error:
        ask(client, "ragged", np.zeros(shape, data_type.lower()), data_type, name)
    assert message in str(error.value)
    assert error.value.status() == "StatusCode.INVALID_ARGUMENT"


NO_ROW = "a row must have at least one element"


@pytest.mark.parametrize("shape", [(1, 0), (3, 0), (64, 0)])
def test_rows_without_elements_are_refused_and_touch_nobody(client: Client, shape: tuple[int, int]) -> None:
    """NVIDIA's backend would leave the rest of their batch unfilled, so they must not join one."""
    random = np.random.default_rng(0)
    good = [random.integers(1, 100, (1 + i % 3, 1 + 5 * i % 17), dtype=np.int64) for i in range(16)]
    bad = np.zeros(shape, np.int64)
    mixed = [array for each in good for array in (each, bad)]
    failed = counts(client, "ragged")[0]
    for sent, result in zip(
        mixed, together([lambda b=b: ask(client, "ragged", b, "INT64", "ids") for b in mixed]), strict=True
    ):
        if sent is bad:
            assert isinstance(result, InferenceServerException)
            assert result.status() == "StatusCode.INVALID_ARGUMENT"
            assert f"input 'ids' has shape [{shape[0]}, 0]: {NO_ROW}" in str(result)
        else:
            assert result.as_numpy("sums").tolist() == sent.sum(axis=1, keepdims=True).tolist()
    assert counts(client, "ragged")[0] - failed >= len(good)
    # Nothing but such rows, and a request after them.
    for result in together([lambda: ask(client, "ragged", bad, "INT64", "ids")] * 8):
        assert NO_ROW in str(result)
    assert (
        ask(client, "ragged", good[0], "INT64", "ids").as_numpy("sums").tolist()
        == good[0].sum(1, keepdims=True).tolist()
    )


def test_administration_is_closed(triton: TritonProcess, client: Client) -> None:
    with pytest.raises(InferenceServerException, match="This protocol is restricted"):
        client.update_log_settings({"log_verbose_level": 1})
    with pytest.raises(InferenceServerException, match="This protocol is restricted"):
        client.update_trace_settings(settings={"trace_level": "TIMESTAMPS"})
    with pytest.raises(InferenceServerException, match="This protocol is restricted"):
        client.register_system_shared_memory("region", "/tritonserver-region", 64)
    for path in ("v2/logging", "v2/trace/setting", "v2/systemsharedmemory/status"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://{triton.http_url}/{path}", timeout=60)
    with pytest.raises(InferenceServerException, match="explicit model load / unload is not"):
        client.unload_model("versions")
    assert {model.name for model in client.get_model_repository_index().models} >= {"versions"}


def test_http_and_metrics(triton: TritonProcess) -> None:
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}).encode()
    url = f"http://{triton.http_url}/v2/models/two_outputs/infer"
    with urllib.request.urlopen(url, body, timeout=60) as answer:
        outputs = {o["name"]: o["data"] for o in json.load(answer)["outputs"]}
    assert outputs == {"double": [2, 4, 6], "negative": [-1, -2, -3]}
    metrics = f"http://127.0.0.1:{triton.metrics_port}/metrics"
    with urllib.request.urlopen(metrics, timeout=60) as answer:
        assert b"nv_inference_request_success" in answer.read()
