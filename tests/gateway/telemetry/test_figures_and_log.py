"""What an operator sees: figures, log lines, request ids, timings."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure
from tests.support.triton_process import TritonProcess

RUBERT = {"model": "emotion_rubert", "version": "2"}


@pytest.fixture(scope="module")
def watched(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(shared_repository, shared_triton.grpc_url, "--log-requests=true") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(watched: GatewayProcess) -> Iterator[httpx.Client]:
    with watched.client() as client:
        yield client


def test_requests_are_counted_by_endpoint_model_version_and_status(client: httpx.Client) -> None:
    asked = {"endpoint": "/v1/emotions", "status": "200", **RUBERT}
    refused = {"endpoint": "/v1/emotions", "status": "422", "model": "", "version": ""}
    unknown = {"endpoint": "", "status": "404"}
    before = [figure(client, "emotion_requests_total", **labels) for labels in (asked, refused, unknown)]
    client.post("/v1/emotions", json={"texts": ["рад", "дом"]})
    client.post("/v1/emotions", json={})
    client.get("/no/such/path")
    after = [figure(client, "emotion_requests_total", **labels) for labels in (asked, refused, unknown)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]


def test_stages_batches_tokens_and_emotions(client: httpx.Client) -> None:
    names = {
        "emotion_tokenization_seconds_count": 1,
        "emotion_triton_seconds_count": 1,
        "emotion_batch_rows_sum": 3,
        "emotion_text_tokens_count": 3,
        "emotion_text_tokens_sum": 3 + 3 + 32,
        "emotion_texts_truncated_total": 1,
    }
    before = {name: figure(client, name, **RUBERT) for name in names}
    fear = figure(client, "emotion_predicted_total", emotion="fear", **RUBERT)
    client.post("/v1/emotions", json={"texts": ["рад", "страшно", "страшно " * 50]})
    assert {name: figure(client, name, **RUBERT) - before[name] for name in names} == names
    assert figure(client, "emotion_predicted_total", emotion="fear", **RUBERT) == fear + 2
    assert figure(client, "emotion_request_seconds_count", endpoint="/v1/emotions") >= 1
    assert figure(client, "emotion_requests_in_flight") == 0
    assert figure(client, "emotion_ready") == 1


def test_unknown_tokens_are_counted_and_logged(watched: GatewayProcess, client: httpx.Client) -> None:
    before = figure(client, "emotion_tokens_unknown_total", **RUBERT)
    response = client.post("/v1/emotions", json={"texts": ["高 рад ქ", "рад"]})
    assert figure(client, "emotion_tokens_unknown_total", **RUBERT) == before + 2
    request_id = response.headers["x-request-id"]
    (line,) = (line for line in watched.lines() if line.get("request_id") == request_id)
    assert (line["tokens"], line["unknown_tokens"]) == (8, 2)


def test_a_request_id_is_taken_returned_and_logged(watched: GatewayProcess, client: httpx.Client) -> None:
    mine = f"order-{uuid.uuid4()}"
    response = client.post("/v1/emotions", json={"text": "рад"}, headers={"x-request-id": mine})
    assert response.headers["x-request-id"] == mine
    (line,) = (line for line in watched.lines() if line.get("request_id") == mine)
    milliseconds = line.pop("milliseconds")
    assert 0 < milliseconds < 5000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info", "logger": "gateway", "message": "answered", "request_id": mine, "method": "POST",
        "path": "/v1/emotions", "status": 200, "texts": 1, "tokens": 3, "unknown_tokens": 0, **RUBERT,
    }  # fmt: skip


@pytest.mark.parametrize("given", ["", "with space", "line\tbreak", "a" * 129, "<script>", "кто".encode()])
def test_an_id_that_could_harm_a_log_is_replaced(client: httpx.Client, given: str) -> None:
    ids = {client.get("/health/live", headers={"x-request-id": given}).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_unknown_paths_are_not_logged_as_they_were_sent(watched: GatewayProcess, client: httpx.Client) -> None:
    response = client.get("/a-clients-own-words")
    (line,) = (line for line in watched.lines() if line.get("request_id") == response.headers["x-request-id"])
    assert (line["path"], line["status"]) == ("(unknown)", 404)
    assert "a-clients-own-words" not in watched.log()


def test_only_failures_are_logged_unless_asked_for(gateway: GatewayProcess) -> None:
    with gateway.client() as client:
        response = client.post("/v1/emotions", json={"text": "рад"})
    assert response.headers["x-request-id"] not in gateway.log()


def test_server_timing(client: httpx.Client) -> None:
    header = client.post("/v1/emotions", json={"text": "рад"}).headers["server-timing"]
    stages = dict(re.findall(r"(\w+);dur=([0-9.]+)", header))
    assert list(stages) == ["tokenization", "triton", "total"]
    tokenization, triton, total = map(float, stages.values())
    assert tokenization + triton <= total + 0.02
    assert client.get("/health/live").headers["server-timing"].startswith("total;dur=")


def test_the_log_as_text(shared_repository: Path, shared_triton: TritonProcess) -> None:
    flags = ("--log-format=text", "--log-requests=true")
    with running_gateway(shared_repository, shared_triton.grpc_url, *flags) as running:
        running.wait_until_ready()
        assert re.search(r"^[\d-]+ [\d:,]+ INFO gateway: listening on http://127", running.log(), re.MULTILINE)
        assert "INFO gateway: answered (request_id " in running.log()
