"""Equal texts, through a whole gateway with its default settings: answered alike, and counted as texts all the same."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.settings import Settings
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure, total
from tests.gateway.support.small_model import expected
from tests.support.triton_process import TritonProcess

DEFAULT = str(Settings.model_fields["answer_cache"].default)
RUBERT = {"model": "emotion_rubert", "version": "2"}


@pytest.fixture(scope="module")
def keeping(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(shared_repository, shared_triton.grpc_url, EMOTION_ANSWER_CACHE=DEFAULT) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(keeping: GatewayProcess) -> Iterator[httpx.Client]:
    with keeping.client() as client:
        yield client


def test_repeats_are_counted_as_texts_and_as_what_they_are(client: httpx.Client) -> None:
    names = {
        "emotion_texts_cached_total": 3,
        "emotion_texts_shared_total": 1,
        "emotion_batch_rows_sum": 2,
        "emotion_text_tokens_count": 6,
        "emotion_predicted_total": 6,
    }
    before = {name: total(client, name, **RUBERT) for name in names}
    first = client.post("/v1/emotions", json={"texts": ["рад", "страшно", "рад"]}).json()
    again = client.post("/v1/emotions", json={"texts": ["Рад", "рад", "страшно"]}).json()
    assert {name: total(client, name, **RUBERT) - before[name] for name in names} == names
    glad, afraid, _ = first["results"]
    assert first["results"] == [glad, afraid, glad]
    assert again["results"] == [glad, glad, afraid]
    assert glad["probabilities"] == pytest.approx(expected("рад", 2), abs=1e-4)
    assert 0 < figure(client, "emotion_answer_cache_bytes") < int(DEFAULT)
    assert figure(client, "emotion_answer_cache_evicted_total") == 0


def test_each_version_and_model_answers_for_itself(client: httpx.Client) -> None:
    for _ in range(2):
        for asked, version in (({"version": "1"}, 1), ({"version": "2"}, 2), ({"model": "xlm"}, 1)):
            answer = client.post("/v1/emotions", json={"text": "ого, дом", **asked}).json()
            assert answer["results"][0]["probabilities"] == pytest.approx(expected("ого, дом", version), abs=1e-4)


def test_parts_and_other_thresholds_take_from_what_is_kept(client: httpx.Client) -> None:
    client.post("/v1/emotions", json={"text": "злюсь."})
    before = figure(client, "emotion_texts_cached_total", **RUBERT)
    parts = client.post("/v1/emotions", json={"text": "Злюсь. Злюсь.", "parts": "sentences"}).json()
    strict = client.post("/v1/emotions", json={"text": "злюсь.", "threshold": 0.999}).json()
    assert len(parts["results"][0]["parts"]) == 2
    assert strict["results"][0]["emotions"] == []
    assert figure(client, "emotion_texts_cached_total", **RUBERT) == before + 3
