"""The calls to Triton: KServe v2 over one gRPC channel, a deadline on every call.

Uses Triton's generated protobuf classes as they are: the client classes above them copy
every tensor once more and know nothing of cancelling.
"""

import array
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from contract.labels import EMOTIONS
from contract.version_directory import INPUT_IDS, PROBABILITIES
from gateway.failures import TritonError
from gateway.tracing import Metadata

_FLOAT_BYTES: Final = 4
_TRIES_OF_SEVERAL: Final = 5
"""Calls go to all in turn, but with others in between, so the next may be the same one again."""

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
    """A connection to Triton, or to several. Make and close it within one event loop."""

    def __init__(self, channel: grpc.aio.Channel, address: str, *, several: bool) -> None:
        """Nothing is sent before the first call.

        Args:
            channel: from `gateway.channel`; this closes it.
            address: for sentences about Triton.
            several: whether there may be more than one Triton at it.
        """
        self._tries = _TRIES_OF_SEVERAL if several else 1
        self.address = address
        self._channel = channel
        self._stub = GRPCInferenceServiceStub(channel)

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
        self,
        model: str,
        version: str,
        rows: Sequence[Sequence[int]],
        pad_id: int,
        timeout: float,
        metadata: Metadata = (),
    ) -> list[list[float]]:
        """Probabilities of one batch of rows, `[rows, 6]` in the order of `rows`.

        Args:
            model: name in Triton.
            version: version directory's name.
            rows: token ids, of at least one row (Triton never answers `[0, 0]`); they are
                right-padded here with `pad_id` to the longest.
            pad_id: the tokenizer's padding token.
            timeout: seconds; it becomes the call's deadline, and Triton drops a request
                whose deadline has passed from its queue.
            metadata: of the call, for traces.

        Raises:
            TritonError: any failure; an answer of the wrong size is INTERNAL.
            ValueError: there are no rows.
        """
        if not rows:
            raise ValueError("rows must not be empty: Triton never answers that")
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
        answer = await self._infer(request, timeout, metadata)
        raw = answer.raw_output_contents[0] if answer.raw_output_contents else b""
        width = len(EMOTIONS)
        if len(raw) != len(rows) * width * _FLOAT_BYTES:
            raise TritonError(
                grpc.StatusCode.INTERNAL,
                f"{model} version {version} answered {len(raw)} bytes of {PROBABILITIES} for "
                f"{len(rows)} rows, {len(rows) * width * _FLOAT_BYTES} expected",
            )
        values = array.array("f", raw).tolist()
        return [values[start : start + width] for start in range(0, len(values), width)]

    async def _infer(self, request: Any, timeout: float, metadata: Metadata) -> Any:
        deadline = time.monotonic() + timeout
        tries = self._tries
        while True:
            tries -= 1
            try:
                return await _call(self._stub.ModelInfer(request, timeout=timeout, metadata=metadata))
            except TritonError as error:
                # One that starts, stops or has not loaded the version yet turns calls away,
                # while the next in turn answers; asking again is safe, since an answer
                # changes nothing. gRPC's own retries end with Triton's first metadata.
                timeout = deadline - time.monotonic()
                if not error.may_be_unloaded or not tries or timeout <= 0:
                    raise


async def _call(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise TritonError(error.code(), error.details() or "") from None
