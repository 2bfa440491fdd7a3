"""The real gateway on a real Triton with small models, and a fake Telegram."""

from collections.abc import Iterator

import pytest

from tests.clients.telegram.bot_process import GATEWAY_KEY
from tests.clients.telegram.fake_bot_api import FakeBotApi, fake_bot_api
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.small_model import publish
from tests.support.triton_process import running_triton


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """It asks for a key, and serves `emotion_rubert` and `emotion_xlm`."""
    repository = tmp_path_factory.mktemp("telegram") / "model_repository"
    repository.mkdir()
    publish(repository, 1)
    publish(repository, 1, "emotion_xlm")
    with (
        running_triton(repository) as triton,
        running_gateway(repository, triton.grpc_url, EMOTION_API_KEYS=GATEWAY_KEY) as running,
    ):
        running.wait_until_ready()
        yield running


@pytest.fixture
def api() -> Iterator[FakeBotApi]:
    """Telegram; whatever a test does, the bot may break none of its rules."""
    with fake_bot_api() as running:
        yield running
        assert running.broken_rules == []
