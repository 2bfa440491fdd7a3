"""Which model answers when some don't: 503 for what is down, 404 for what was never there."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.gateway_process import running_gateway
from tests.gateway.support.small_model import publish
from tests.support.waiting import wait_until


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    with running_fake_triton() as running:
        running.infer = lambda request, _: answer(request)
        yield running


def emotions(client: httpx.Client, **fields: str) -> httpx.Response:
    return client.post("/v1/emotions", json={"text": "рад", **fields})


def wait_for_models(client: httpx.Client) -> None:
    """Until some model is served."""

    def some() -> bool:
        answer = client.get("/v1/models")
        return answer.status_code == 200 and bool(answer.json()["models"])

    wait_until(some)


def test_the_default_model_is_down_and_another_up(fake: FakeTriton, repository: Path) -> None:
    publish(repository, 1, "emotion_xlm")
    fake.served = (("emotion_rubert", "1", "UNAVAILABLE"), ("emotion_xlm", "1", "READY"), ("emotion_never", "", ""))
    with running_gateway(repository, fake.address) as gateway, gateway.client() as client:
        wait_for_models(client)
        assert gateway.readiness() == 503
        for path, body in (("/v1/emotions", {"text": "рад"}), ("/predict", {"inputs": "рад"}), ("/", {"inputs": "a"})):
            response = client.post(path, json=body)
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert "'rubert' is not served at the moment" in response.json()["detail"]
        # Named, but no client's mistake either: Triton has it in its repository.
        for name in ("rubert", "emotion_rubert", "never"):
            assert emotions(client, model=name).status_code == 503
        assert emotions(client, model="unheard").status_code == 404
        assert emotions(client, model="xlm").status_code == 200
        fake.served = (("emotion_rubert", "1", "READY"), ("emotion_xlm", "1", "READY"))
        gateway.wait_until_ready()
        assert emotions(client).status_code == 200


def test_all_versions_of_the_default_model_are_left_out(fake: FakeTriton, repository: Path) -> None:
    publish(repository, 1, "emotion_xlm")
    (repository / "emotion_rubert/1/card.json").write_text("{}")
    fake.served = (("emotion_rubert", "1", "READY"), ("emotion_xlm", "1", "READY"))
    with running_gateway(repository, fake.address) as gateway, gateway.client() as client:
        wait_for_models(client)
        assert gateway.readiness() == 503
        assert emotions(client).status_code == 503
        assert emotions(client, model="xlm").status_code == 200
        assert "card.json is not a valid card" in client.get("/health/ready").json()["detail"]
