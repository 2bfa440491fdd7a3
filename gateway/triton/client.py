"""The calls to Triton: KServe v2 over gRPC, to one Triton or to several.

NVIDIA's `tritonclient.grpc.aio` makes the calls, one client for each Triton. Beside messages filled in by hand
it costs 15 to 20 µs of CPU for a call of one row and 5 µs for one of 16 rows, which many requests share:
docs/design.md has the measurement.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from tritonclient.grpc.aio import InferenceServerClient

from contract.text_models import is_text_model
from gateway.errors.triton_errors import TritonError
from gateway.telemetry.tracing import TraceHeaders
from gateway.triton.replica import ModelVersion, Replica
from gateway.triton.replicas import Replicas
from gateway.triton.tensors import REQUESTED_OUTPUTS, input_ids, read_answer

_OTHERS_SECONDS: Final = 0.5
"""The others are waited for when one Triton has answered a question that all are asked."""
_READY: Final = "READY"


@dataclass(frozen=True, slots=True)
class Index:
    """What Triton's repository index says."""

    ready: tuple[ModelVersion, ...]
    """Versions that answer."""
    down: frozenset[str]
    """Models that are in the repository and have no version that answers."""


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What of a model's configuration the gateway needs."""

    max_batch_size: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    graph: str = ""
    """The file that Triton serves."""


class Triton:
    """Triton, or several of them. Make and close it within one event loop."""

    def __init__(
        self, address: str, open_client: Callable[[str], InferenceServerClient], *, call_seconds: float = 60.0
    ) -> None:
        """Nothing is sent before the first call.

        Args:
            address: IP addresses with ports, with commas between them, or a name with a port.
            open_client: opens the client for one IP address and port.
            call_seconds: the deadline of every call, which should hardly ever pass.
        """
        self.address = address
        self._replicas = Replicas(address, open_client, call_seconds)
        self._asking: set[asyncio.Task[Any]] = set()

    async def follow(self) -> None:
        """Keep to the addresses that the name has; returns at once if there is no name."""
        await self._replicas.follow()

    async def close(self, grace: float) -> None:
        """Close the connections, once calls have ended or `grace` seconds have passed."""
        await self._replicas.close(grace)

    async def index(self, timeout: float) -> Index:
        """What is served, by any Triton; text models, which are for clients that ask Triton themselves, left out.

        Raises:
            TritonError: none is there or answered within `timeout` seconds.
        """

        async def ask(replica: Replica) -> tuple[Replica, Any]:
            return replica, await replica.ask(replica.client.get_model_repository_index, patience=timeout)

        ready: set[ModelVersion] = set()
        seen: set[str] = set()
        try:
            answers = await self._ask_all(ask, timeout)
        except TritonError as error:
            # INTERNAL, say, while its repository can't be read: that is no bug, and passes.
            raise TritonError(grpc.StatusCode.UNAVAILABLE, f"it does not tell what it serves: {error}") from error
        for replica, answer in answers:
            rows = [row for row in answer.models if not is_text_model(row.name)]
            # A model without a version is one that has never been loaded.
            replica.versions = frozenset(
                ModelVersion(row.name, row.version) for row in rows if row.version and row.state == _READY
            )
            seen.update(row.name for row in rows)
        answered = {replica for replica, _ in answers}
        for replica in self._replicas:
            # One that loads a model says nothing of its repository meanwhile.
            if replica in answered or not (replica.failing or replica.slow):
                ready |= replica.versions
        order = sorted(ready, key=lambda row: (row.model, row.version))
        return Index(tuple(order), frozenset(seen - {row.model for row in ready}))

    async def is_ready(self, served: ModelVersion, timeout: float) -> bool:
        """Whether a version takes requests, at any Triton.

        Raises:
            TritonError: none is there or answered within `timeout` seconds.
        """

        async def ask(replica: Replica) -> bool:
            is_ready = replica.client.is_model_ready
            return bool(await replica.ask(is_ready, served.model, served.version, patience=timeout, at_once=True))

        return any(await self._ask_all(ask, timeout, enough=bool))

    async def model_limits(self, served: ModelVersion, timeout: float) -> ModelLimits:
        """The part of a version's configuration that the gateway needs.

        Raises:
            TritonError: Triton is not there, too slow, or does not know the version.
        """
        replica = next(iter(self._replicas.by_health(served)), None)
        if replica is None:
            raise self._nobody()
        get_config = replica.client.get_model_config
        config = (await replica.ask(get_config, served.model, served.version, patience=timeout, at_once=True)).config
        return ModelLimits(
            max_batch_size=config.max_batch_size,
            inputs=tuple(tensor.name for tensor in config.input),
            outputs=tuple(tensor.name for tensor in config.output),
            graph=config.default_model_filename,
        )

    def choose(
        self, served: ModelVersion, load: Mapping[Replica, int], most: int | None, without: Sequence[Replica] = ()
    ) -> Replica | None:
        """The Triton for the next call: see `Replicas`."""
        return self._replicas.choose(served, load, most, without)

    def choose_well(
        self, served: ModelVersion, load: Mapping[Replica, int], without: Sequence[Replica]
    ) -> Replica | None:
        """The Triton for a call that another one holds for long: see `Replicas`."""
        return self._replicas.choose_well(served, load, without)

    async def infer(
        self,
        replica: Replica,
        served: ModelVersion,
        rows: Sequence[Sequence[int]],
        pad_id: int,
        headers: TraceHeaders | None = None,
    ) -> list[list[float]]:
        """Probabilities of one batch of rows, `[rows, 6]` in the order of `rows`.

        Args:
            replica: the Triton to ask.
            served: model and version.
            rows: token ids, of at least one row (Triton never answers `[0, 0]`); they are
                right-padded here with `pad_id` to the longest.
            pad_id: the tokenizer's padding token.
            headers: of the call, for traces.

        Raises:
            TritonError: any failure; an answer of the wrong size is INTERNAL.
            ValueError: there are no rows.
        """
        answer = await replica.call(
            replica.client.infer,
            served.model,
            [input_ids(rows, pad_id)],
            served.version,
            REQUESTED_OUTPUTS,
            headers=headers,
        )
        return read_answer(answer, served, len(rows))

    async def _ask_all(
        self, ask: Callable[[Replica], Any], timeout: float, enough: Callable[[Any], bool] = lambda _: False
    ) -> list[Any]:
        """Answers of all Tritons that give one soon after the first does, or before one that is enough."""
        waiting = {asyncio.create_task(ask(replica)) for replica in self._replicas}
        for task in waiting:
            # Not cancelled when nobody waits any more: a question tells how its Triton does.
            self._asking.add(task)
            task.add_done_callback(self._asked)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout + _OTHERS_SECONDS
        answers: list[Any] = []
        error = self._nobody()
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=max(end - loop.time(), 0.0), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            for task in done:
                if (failure := task.exception()) is None:
                    answers.append(task.result())
                    end = min(end, loop.time() + _OTHERS_SECONDS)
                elif isinstance(failure, TritonError):
                    error = failure
                else:
                    raise failure
            if any(map(enough, answers)):
                break
        if not answers:
            raise error
        return answers

    def _asked(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()

    def _nobody(self) -> TritonError:
        return TritonError(grpc.StatusCode.UNAVAILABLE, self._replicas.trouble)
