"""The failure map once more, against the real tritonserver: every line that it can be brought to produce."""

import struct
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure
from tests.gateway.support.small_model import VOCABULARY, publish
from tests.support.triton_process import TritonProcess, running_triton
from tests.support.waiting import SECONDS

TIMEOUT = 1.0
BUG = "Triton could not compute this request; the gateway's log says more."
LATE = "There was no answer from Triton within 1 s."
BUSY = "Triton is not there, or can't take more at the moment: try again."
GONE = "Triton has just unloaded this model version: try again."
UNABLE = "What answers at Triton's address can't serve this model in the way the gateway asks."

FROM_TRITON = {
    grpc.StatusCode.CANCELLED: ("error(request, 'CANCELLED')", 503, BUSY),
    grpc.StatusCode.UNKNOWN: ("error(request, 'UNKNOWN')", 500, BUG),
    grpc.StatusCode.INVALID_ARGUMENT: ("error(request, 'INVALID_ARG')", 500, BUG),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("late(request)", 504, LATE),
    grpc.StatusCode.NOT_FOUND: ("error(request, 'NOT_FOUND')", 503, GONE),
    grpc.StatusCode.ALREADY_EXISTS: ("error(request, 'ALREADY_EXISTS')", 500, BUG),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("endless(request)", 503, BUSY),
    grpc.StatusCode.UNIMPLEMENTED: ("error(request, 'UNSUPPORTED')", 503, UNABLE),
    grpc.StatusCode.INTERNAL: ("error(request, 'INTERNAL')", 500, BUG),
    grpc.StatusCode.UNAVAILABLE: ("error(request, 'UNAVAILABLE')", 503, BUSY),
}
"""What the model below does so that tritonserver, or gRPC on its way to us, gives each status; and the answer."""

NEVER_FROM_TRITON = {
    grpc.StatusCode.PERMISSION_DENIED: "of a proxy that checks who asks; a restricted protocol gives UNAVAILABLE",
    grpc.StatusCode.UNAUTHENTICATED: "of a proxy that checks who asks; a restricted protocol gives UNAVAILABLE",
    grpc.StatusCode.FAILED_PRECONDITION: "no error code of Triton's, nor of gRPC's own",
    grpc.StatusCode.ABORTED: "no error code of Triton's, nor of gRPC's own",
    grpc.StatusCode.OUT_OF_RANGE: "no error code of Triton's, nor of gRPC's own",
    grpc.StatusCode.DATA_LOSS: "no error code of Triton's, nor of gRPC's own",
}
"""Why tritonserver can't be brought to give a status; test_failures has these from a fake."""

LETTER = dict(zip(FROM_TRITON, "абвгдежзик", strict=True))
"""The text that makes the model give a status."""

CONFIGURATION = """\
backend: "python"
max_batch_size: 8
input [ { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] } ]
output [ { name: "probabilities" data_type: TYPE_FP32 dims: [ 6 ] } ]
instance_group [ { count: 2 kind: KIND_CPU } ]
"""

MODEL = """\
import time
import numpy as np
import triton_python_backend_utils as pb_utils

def ids(request):
    return np.from_dlpack(pb_utils.get_input_tensor_by_name(request, "input_ids"))

def answer(request, width):
    values = np.full((len(ids(request)), width), 0.5, dtype=np.float32)
    return pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack("probabilities", values)])

def error(request, code):
    code = getattr(pb_utils.TritonError, code)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError("words for the log", code))

def late(request):
    time.sleep(%s)
    return answer(request, 6)

def endless(request):
    return answer(request, 2_000_000)

FAILURES = {%s}

class TritonPythonModel:
    def execute(self, requests):
        return [FAILURES.get(ids(request)[0, 1], lambda request: answer(request, 6))(request) for request in requests]
"""


@pytest.fixture(scope="module")
def failing_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("failing") / "model_repository"
    repository.mkdir()
    version = publish(repository, 1)
    (version.parent / "configs/cpu.pbtxt").write_text(CONFIGURATION)
    does = [f"{VOCABULARY.index(LETTER[code])}: lambda request: {call}" for code, (call, _, _) in FROM_TRITON.items()]
    (version / "model.py").write_text(MODEL % (TIMEOUT + 0.5, ", ".join(does)))
    return repository


@pytest.fixture(scope="module")
def triton(failing_repository: Path) -> Iterator[TritonProcess]:
    # After errors that follow an answer too large for its client, Triton 2.51 waits in vain for the model to end.
    with running_triton(failing_repository, "--stop-timeout=1", stops_cleanly=False) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(triton: TritonProcess, failing_repository: Path) -> Iterator[GatewayProcess]:
    with running_gateway(failing_repository, triton.grpc_url) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def hasty(triton: TritonProcess, failing_repository: Path) -> Iterator[GatewayProcess]:
    """One that does not wait for what is late."""
    with running_gateway(failing_repository, triton.grpc_url, f"--request-timeout={TIMEOUT}") as running:
        running.wait_until_ready()
        yield running


def status_from_triton(triton: TritonProcess, letter: str, timeout: float) -> grpc.StatusCode:
    """What any client of Triton gets for a text of one letter."""
    ids = [VOCABULARY.index(token) for token in ("[CLS]", letter, "[SEP]")]
    request = messages.ModelInferRequest(model_name="emotion_rubert", raw_input_contents=[struct.pack("<3q", *ids)])
    request.inputs.add(name="input_ids", datatype="INT64", shape=[1, 3])
    with grpc.insecure_channel(triton.grpc_url) as channel:
        try:
            GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=timeout)
        except grpc.RpcError as failure:
            code: grpc.StatusCode = failure.code()
            return code
    return grpc.StatusCode.OK


def test_every_status_is_tested_here_or_has_a_reason_not_to_be() -> None:
    assert not set(FROM_TRITON) & set(NEVER_FROM_TRITON)
    assert set(FROM_TRITON) | set(NEVER_FROM_TRITON) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize("code", FROM_TRITON, ids=lambda code: code.name)
def test_every_status_that_triton_produces(
    triton: TritonProcess, gateway: GatewayProcess, hasty: GatewayProcess, code: grpc.StatusCode
) -> None:
    late = code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert status_from_triton(triton, LETTER[code], TIMEOUT if late else SECONDS) == code
    _, status, sentence = FROM_TRITON[code]
    with (hasty if late else gateway).client() as client, gateway.client() as patient:
        failures = figure(client, "emotion_triton_failures_total", code=code.name)
        response = client.post("/v1/emotions", json={"text": LETTER[code]})
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"] == sentence
        assert response.headers.get("retry-after") == ("1" if status == 503 else None)
        assert patient.post("/v1/emotions", json={"text": "рад"}).status_code == 200
        assert client.get("/health/ready").status_code == 200
        # The gateway's own deadline is no failure of the call, which goes on.
        assert figure(client, "emotion_triton_failures_total", code=code.name) == failures + (not late)
    assert "words for the log" not in response.text
