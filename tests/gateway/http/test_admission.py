"""Who is let in: by what a request costs, and no more for one key than its share."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.errors.problems import Problem
from gateway.http.admission import Admission, cost
from gateway.telemetry.metrics import Metrics
from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.gateway_process import SECRET, GatewayProcess, running_gateway
from tests.support.waiting import SECONDS

OTHER = "another-key-for-another-client"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def refusal(admission: Admission, texts: int, key: str | None = None) -> str:
    with pytest.raises(Problem) as refused, admission.slot(texts, key):
        pass
    assert refused.value.status == 429
    assert refused.value.headers["retry-after"] == "1"
    return refused.value.detail


@pytest.mark.parametrize(
    ("texts", "texts_worth"),
    [(["a"], 1), (["a"] * 256, 256), (["a" * 2000], 2), (["a" * 1999], 1), (["a" * 999] * 4, 5)],
)
def test_what_a_request_costs(texts: list[str], texts_worth: int) -> None:
    assert cost(texts) == texts_worth


def test_as_many_requests_as_may_be(metrics: Metrics) -> None:
    admission = Admission(2, 100, 1.0, metrics)
    with admission.slot(1, None), admission.slot(1, None):
        assert "max_in_flight" in refusal(admission, 1)
    with admission.slot(1, None):
        assert admission.in_flight == 1
    assert admission.in_flight == 0


def test_what_costs_much_leaves_room_for_what_costs_little(metrics: Metrics) -> None:
    admission = Admission(100, 100, 1.0, metrics)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(admission.slot(30, None))
        assert "max_texts_in_flight" in refusal(admission, 30)
        for _ in range(20):
            stack.enter_context(admission.slot(1, None))
    assert admission.in_flight == 0


def test_what_costs_more_than_all_is_let_in_alone(metrics: Metrics) -> None:
    admission = Admission(100, 10, 0.5, metrics)
    with admission.slot(50, "first"):
        refusal(admission, 1, "second")
    with admission.slot(1, None):
        refusal(admission, 50)


def test_a_key_has_its_share(metrics: Metrics) -> None:
    admission = Admission(8, 100, 0.5, metrics)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(admission.slot(1, "first"))
        assert "key_share" in refusal(admission, 1, "first")
        for _ in range(4):
            stack.enter_context(admission.slot(1, "second"))
    with admission.slot(30, "first"):
        assert "key_share" in refusal(admission, 30, "first")
        with admission.slot(30, "second"):
            pass


def test_what_a_request_costs_may_show_later(metrics: Metrics) -> None:
    admission = Admission(100, 100, 0.5, metrics)
    with admission.slot(1, "first") as hold:
        hold(95)  # Alone, everything is let in.
        assert "max_texts_in_flight" in refusal(admission, 5, "second")
        hold(3)  # It holds what it held.
        assert "max_texts_in_flight" in refusal(admission, 5, "second")
    with admission.slot(20, "first"), admission.slot(1, "second") as hold:
        hold(40)
        with pytest.raises(Problem, match="max_texts_in_flight"):
            hold(41)
    admission = Admission(100, 1000, 0.05, metrics)
    with admission.slot(10, "first"), admission.slot(1, "first") as hold, pytest.raises(Problem, match="key_share"):
        hold(41)
    admission = Admission(100, 100, 0.5, metrics)
    with admission.slot(50, "first"), admission.slot(25, "second"):
        assert admission.in_flight == 2


class Held:
    """A fake Triton that answers only when it is let."""

    def __init__(self, fake: FakeTriton) -> None:
        self.fake = fake
        self.open = threading.Event()
        fake.infer = self.infer

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002
        assert self.open.wait(SECONDS)
        return answer(request)


@pytest.fixture
def held(repository: Path) -> Iterator[tuple[GatewayProcess, Held]]:
    with running_fake_triton() as fake:
        flags = ("--max-in-flight=8", "--max-texts-in-flight=100", "--request-timeout=120")
        keys = f"{SECRET},{OTHER}"
        with running_gateway(repository, fake.address, *flags, EMOTION_API_KEYS=keys) as running:
            held = Held(fake)
            running.wait_until_ready()
            yield running, held
            held.open.set()


def test_limits_are_told(held: tuple[GatewayProcess, Held]) -> None:
    gateway, triton = held

    async def run() -> None:
        async with gateway.async_client() as client:

            async def ask(key: str, texts: int) -> httpx.Response:
                body = json.dumps({"texts": ["рад"] * texts})
                headers = {"authorization": f"Bearer {key}"}
                return await client.post("/v1/emotions", content=body, headers=headers)

            async def begun(key: str, texts: int, in_flight: int) -> asyncio.Task[httpx.Response]:
                task = asyncio.create_task(ask(key, texts))
                while True:
                    headers = {"authorization": f"Bearer {OTHER}"}
                    figures = (await client.get("/metrics", headers=headers)).text
                    if f"emotion_requests_in_flight {in_flight}.0" in figures:
                        return task
                    assert not task.done(), task.result().text

            tasks = [await begun(SECRET, 20, 1), await begun(SECRET, 20, 2)]
            refused = await ask(SECRET, 20)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert "key_share" in refused.json()["detail"]
            tasks.append(await begun(OTHER, 20, 3))
            refused = await ask(OTHER, 25)
            assert "max_texts_in_flight" in refused.json()["detail"]
            # A text in parts costs as much as its parts, which are counted once it has been let in as one text.
            body = {"text": "Рад. " * 25, "parts": "sentences"}
            headers = {"authorization": f"Bearer {OTHER}"}
            refused = await client.post("/v1/emotions", json=body, headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert "as much as 25 texts (max_texts_in_flight)" in refused.json()["detail"]
            tasks += [await begun(SECRET, 1, 4), await begun(SECRET, 1, 5), await begun(OTHER, 1, 6)]
            assert "key_share" in (await ask(SECRET, 1)).json()["detail"]
            tasks += [await begun(OTHER, 1, 7), await begun(OTHER, 1, 8)]
            assert "max_in_flight" in (await ask(OTHER, 1)).json()["detail"]
            triton.open.set()
            assert [answer.status_code for answer in await asyncio.gather(*tasks)] == [200] * 8

    asyncio.run(run())
