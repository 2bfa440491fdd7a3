"""One Triton: its connection, the calls under way on it, and what they tell of how it does.

A call is never cancelled, and its deadline hardly ever passes: tritonserver 2.51 dies of calls
that end at the client's side first (a race in its gRPC frontend; deadlines are cancellations
there). Whoever waits for an answer waits as long as suits him, and the call goes on without him.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import grpc
from tritonclient.utils import InferenceServerException

from gateway.errors.triton_errors import TritonError
from gateway.triton.channel import Channels

Reply = TypeVar("Reply")

SLOW_SECONDS: Final = 1.0
"""A Triton that has a call under way for longer gets no more while another one is there."""
_NOT_THERE: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model in Triton."""

    model: str
    version: str


class Replica:
    """One of the Tritons at the gateway's address."""

    def __init__(self, address: str, channels: Channels, call_seconds: float) -> None:
        """Nothing is sent before the first call.

        Args:
            address: IP address and port.
            channels: to it; this closes them.
            call_seconds: the deadline of every call, for a Triton that never answers.
        """
        self.address = address
        self.versions: frozenset[ModelVersion] = frozenset()
        """What it served when it was last asked."""
        self.failing = False
        """Whether the last call that ended found nobody there."""
        self.slow: set[Hashable] = set()
        """Calls under way that should have ended long ago."""
        self.client = channels.questions
        """Answers questions about it."""
        self._channels = channels
        self._call_seconds = call_seconds
        self._under_way = 0
        self._questions: dict[Hashable, asyncio.Task[Any]] = {}

    async def infer(self, message: bytes, headers: Mapping[str, str]) -> bytes:
        """The answer to a serialized request for inference; whoever cancels this cancels the call.

        Raises:
            TritonError: it failed.
        """
        return await self._count(self._channels.inference.call(message, self._call_seconds, headers))

    async def ask(
        self, method: Callable[..., Awaitable[Any]], *arguments: Any, patience: float, at_once: bool = False
    ) -> Any:
        """The answer to a question about Triton itself; those who ask the same meanwhile share one call.

        Args:
            method: of the client.
            arguments: what it is called with.
            patience: seconds until the caller is told that there is no answer.
            at_once: whether Triton would have answered by then if it were well.

        Raises:
            TritonError: it failed, or there is no answer yet.
        """
        question = method, *arguments
        task = self._questions.get(question)
        if task is None:
            task = self._questions[question] = asyncio.create_task(self._count(self._call(method, *arguments)))
            task.add_done_callback(partial(self._answered, question))
        done, _ = await asyncio.wait({task}, timeout=patience)
        if done:
            return task.result()
        if at_once:
            self.slow.add(question)
        raise TritonError(grpc.StatusCode.DEADLINE_EXCEEDED, f"{self.address} gave no answer within {patience:g} s")

    async def close(self, grace: float) -> None:
        """Close the connection, once its calls have ended or `grace` seconds have passed."""
        end = asyncio.get_running_loop().time() + grace
        try:
            while self._under_way and asyncio.get_running_loop().time() < end:
                await asyncio.sleep(0.02)
        finally:
            await self._channels.close()
        if self._questions:
            await asyncio.wait(self._questions.values())

    async def _call(self, method: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        try:
            return await method(*arguments, client_timeout=self._call_seconds)
        except InferenceServerException as error:
            raise TritonError(_status(error), error.message() or "") from None

    async def _count(self, call: Awaitable[Reply]) -> Reply:
        """A call under way: what it tells of how this Triton does."""
        self._under_way += 1
        try:
            answer = await call
        except TritonError as error:
            self.failing = error.code in _NOT_THERE
            raise
        finally:
            self._under_way -= 1
        self.failing = False
        return answer

    def _answered(self, question: Hashable, task: asyncio.Task[Any]) -> None:
        self._questions.pop(question, None)
        self.slow.discard(question)
        if not task.cancelled():
            # Whoever still waits gets the exception; nobody has to.
            task.exception()


def _status(error: InferenceServerException) -> grpc.StatusCode:
    """The gRPC status of a failure, which the client tells by name, such as `StatusCode.UNAVAILABLE`."""
    return grpc.StatusCode[str(error.status()).removeprefix("StatusCode.")]
