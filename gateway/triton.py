"""The calls to Triton: one gRPC channel, KServe v2, a deadline on every call.

Uses Triton's generated protobuf classes as they are: the client classes above them copy
every tensor once more and know nothing of cancelling.
"""

import array
import math
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceStub,
)

from contract.labels import EMOTIONS
from contract.version_directory import INPUT_IDS, PROBABILITIES
from gateway.failures import TritonError

_CHANNEL_OPTIONS: Final = (
    # A host that vanished without closing its connections is noticed within 15 s. gRPC
    # pings only while a call waits, so Triton's limit on idle pings is never met.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # gRPC's own back-off reaches two minutes, and a restarted Triton would wait for it.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Triton is a neighbour; a proxy set for the way out must not get in between.
    ("grpc.enable_http_proxy", 0),
)
_FLOAT_BYTES: Final = 4

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One line of Triton's repository index: a version that answers."""

    model: str
    version: str


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What of a model's configuration the gateway needs."""

    max_batch_size: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Triton:
    """A connection to one Triton. Make and close it within one event loop."""

    def __init__(self, address: str) -> None:
        """Prepare the channel; nothing is sent before the first call."""
        self.address = address
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._stub = GRPCInferenceServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self._channel.close()

    async def ready_versions(self, timeout: float) -> list[ModelVersion]:
        """All model versions that answer.

        Raises:
            TritonError: Triton is not there or did not answer within `timeout` seconds.
        """
        request = messages.RepositoryIndexRequest(ready=True)
        answer = await _call(self._stub.RepositoryIndex(request, timeout=timeout))
        # A model without a version is one that has never been loaded.
        return [ModelVersion(row.name, row.version) for row in answer.models if row.version]

    async def is_ready(self, model: str, version: str, timeout: float) -> bool:
        """Whether a version takes requests.

        Raises:
            TritonError: Triton is not there or did not answer within `timeout` seconds.
        """
        request = messages.ModelReadyRequest(name=model, version=version)
        return bool((await _call(self._stub.ModelReady(request, timeout=timeout))).ready)

    async def model_limits(self, model: str, version: str, timeout: float) -> ModelLimits:
        """The part of a version's configuration that the gateway needs.

        Raises:
            TritonError: Triton is not there, too slow, or does not know the version.
        """
        request = messages.ModelConfigRequest(name=model, version=version)
        config = (await _call(self._stub.ModelConfig(request, timeout=timeout))).config
        return ModelLimits(
            max_batch_size=config.max_batch_size,
            inputs=tuple(tensor.name for tensor in config.input),
            outputs=tuple(tensor.name for tensor in config.output),
        )

    async def infer(
        self, model: str, version: str, rows: Sequence[Sequence[int]], pad_id: int, timeout: float
    ) -> list[list[float]]:
        """Probabilities of one group of rows, `[rows, 6]` in the order of `rows`.

        Args:
            model: name in Triton.
            version: version directory's name.
            rows: token ids; rows are right-padded here with `pad_id` to the longest.
            pad_id: the tokenizer's padding token.
            timeout: seconds; it becomes the call's deadline, and Triton drops a request
                whose deadline has passed from its queue.

        Raises:
            TritonError: any failure; an answer of the wrong size or not of numbers is INTERNAL.
        """
        length = max(map(len, rows))
        ids = array.array("q")
        for row in rows:
            ids.extend(row)
            ids.extend([pad_id] * (length - len(row)))
        request = messages.ModelInferRequest(
            model_name=model,
            model_version=version,
            inputs=[
                messages.ModelInferRequest.InferInputTensor(name=INPUT_IDS, datatype="INT64", shape=(len(rows), length))
            ],
            outputs=[messages.ModelInferRequest.InferRequestedOutputTensor(name=PROBABILITIES)],
            raw_input_contents=(ids.tobytes(),),
        )
        answer = await _call(self._stub.ModelInfer(request, timeout=timeout))
        raw = answer.raw_output_contents[0] if answer.raw_output_contents else b""
        width = len(EMOTIONS)
        if len(raw) != len(rows) * width * _FLOAT_BYTES:
            raise TritonError(
                grpc.StatusCode.INTERNAL,
                f"{model} version {version} answered {len(raw)} bytes of {PROBABILITIES} for "
                f"{len(rows)} rows, {len(rows) * width * _FLOAT_BYTES} expected",
            )
        values = array.array("f", raw).tolist()
        if not all(map(math.isfinite, values)):
            raise TritonError(
                grpc.StatusCode.INTERNAL,
                f"{model} version {version} answered {PROBABILITIES} that are not all finite",
            )
        return [values[start : start + width] for start in range(0, len(values), width)]


async def _call(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise TritonError(error.code(), error.details() or "") from None
