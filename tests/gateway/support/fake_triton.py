"""A fake Triton, for the failures that a real one can't be made to give.

Speaks the real protocol over real gRPC, with a `ModelInfer` that does what a test says.
"""

import contextlib
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Serves `emotion_rubert` version 1, unless told otherwise."""

    address = ""
    served: tuple[tuple[str, str, str], ...] = (("emotion_rubert", "1", "READY"),)
    """Model, version and state, as the repository index has them."""
    loaded: tuple[tuple[str, str, str], ...] | None = None
    """What answers, where the index says otherwise."""
    infer: Callable[[Any, grpc.ServicerContext], Any]

    def RepositoryIndex(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        rows = [
            messages.RepositoryIndexResponse.ModelIndex(name=name, version=version, state=state)
            for name, version, state in self.served
        ]
        return messages.RepositoryIndexResponse(models=rows)

    def ModelReady(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        loaded = self.served if self.loaded is None else self.loaded
        return messages.ModelReadyResponse(ready=(request.name, request.version, "READY") in loaded)

    def ModelConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        answer = messages.ModelConfigResponse()
        answer.config.max_batch_size = 8
        answer.config.input.add(name="input_ids")
        answer.config.output.add(name="probabilities")
        return answer

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return self.infer(request, context)


def answer(request: Any, value: float = 0.5, missing: int = 0) -> Any:
    """The same probability for everything, less some numbers at the end."""
    rows = request.inputs[0].shape[0]
    return answer_of([value] * (rows * 6 - missing), [rows, 6])


def answer_of(
    values: Sequence[float], shape: Sequence[int], name: str = "probabilities", datatype: str = "FP32"
) -> Any:
    """An answer that holds these numbers, and says what they are."""
    output = messages.ModelInferResponse.InferOutputTensor(name=name, datatype=datatype, shape=shape)
    raw = struct.pack(f"<{len(values)}f", *values)
    return messages.ModelInferResponse(outputs=[output], raw_output_contents=[raw])


@contextlib.contextmanager
def running_fake_triton(credentials: grpc.ServerCredentials | None = None) -> Iterator[FakeTriton]:
    """A fake on a free port, with TLS if it has credentials."""
    server = grpc.server(ThreadPoolExecutor(32))
    fake = FakeTriton()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(fake, server)
    anywhere = "127.0.0.1:0"
    port = server.add_secure_port(anywhere, credentials) if credentials else server.add_insecure_port(anywhere)
    fake.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield fake
    finally:
        stopped: threading.Event = server.stop(grace=0)
        stopped.wait()
