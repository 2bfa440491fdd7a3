"""The Tritons at an address, asked in process: one that hangs, and a name whose connections can't be opened at once."""

import asyncio
import threading
from typing import Any

import pytest
from tritonclient.grpc.aio import InferenceServerClient

from gateway.errors.triton_errors import TritonError
from gateway.triton.client import Triton
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import FakeTriton, running_fake_triton
from tests.support.waiting import SECONDS

SERVED = ModelVersion("emotion_rubert", "1")


def test_a_question_that_one_does_not_answer_goes_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood still after it had said what it serves: a version would be found only when its calls have ended."""
    freed = threading.Event()

    tells = FakeTriton.ModelConfig

    def hang(fake: FakeTriton, request: Any, context: Any) -> Any:
        if fake is first:
            freed.wait(SECONDS)
        return tells(fake, request, context)

    monkeypatch.setattr(FakeTriton, "ModelConfig", hang)

    async def ask(addresses: str) -> None:
        triton = Triton(addresses, InferenceServerClient)
        try:
            await triton.index(SECONDS)
            with pytest.raises(TritonError, match="DEADLINE_EXCEEDED"):
                await triton.model_limits(SERVED, 0.3)
            assert (await triton.model_limits(SERVED, 5)).inputs == ("input_ids",)
        finally:
            freed.set()
            await triton.close(SECONDS)

    with running_fake_triton() as first, running_fake_triton() as second:
        asyncio.run(ask(f"{first.address},{second.address}"))


def test_a_name_is_followed_although_a_connection_can_not_be_opened() -> None:
    """No file descriptor is left for a certificate, say, just when an address is found."""
    failures = [OSError(24, "Too many open files")]

    def open_client(address: str) -> InferenceServerClient:
        if failures:
            raise failures.pop()
        return InferenceServerClient(address)

    async def ask(name: str) -> None:
        triton = Triton(name, open_client)
        following = asyncio.create_task(triton.follow())
        try:
            async with asyncio.timeout(10):
                while not triton._replicas:
                    await asyncio.sleep(0.05)
            assert await triton.is_ready(SERVED, SECONDS)
        finally:
            following.cancel()
            await asyncio.wait({following})
            await triton.close(SECONDS)

    with running_fake_triton() as fake:
        port = fake.address.rpartition(":")[2]
        asyncio.run(ask(f"localhost:{port}"))
    assert not failures
