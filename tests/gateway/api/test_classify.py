"""`POST /v1/classify`: what clients of vLLM send, and expect back."""

import math
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract.labels import EMOTIONS
from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.small_model import MAX_LENGTH, expected

JOY, FEAR = "Как же я рад тебя видеть!", "страшно"


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def classify(client: httpx.Client, path: str = "/v1/classify", **fields: Any) -> dict[str, Any]:
    response = client.post(path, json=fields)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def errors(client: httpx.Client, **fields: Any) -> list[tuple[str, str]]:
    response = client.post("/v1/classify", json=fields)
    assert response.status_code == 422, response.text
    return [(error["pointer"], error["detail"]) for error in response.json()["errors"]]


@pytest.mark.parametrize("path", ["/v1/classify", "/classify"])
def test_the_shape_that_vllm_documents(client: httpx.Client, path: str) -> None:
    answer = classify(client, path, model="emotion_rubert", input=[JOY, FEAR], user="client", priority=0)
    assert list(answer) == ["id", "object", "created", "model", "data", "usage"]
    assert answer["id"].startswith("classify-")
    assert answer["object"] == "list"
    assert abs(answer["created"] - time.time()) < 60
    assert answer["model"] == "emotion_rubert"
    for index, (entry, text, label) in enumerate(zip(answer["data"], (JOY, FEAR), ("joy", "fear"), strict=True)):
        assert list(entry) == ["index", "label", "probs", "num_classes"]
        assert (entry["index"], entry["label"], entry["num_classes"]) == (index, label, 6)
        own = expected(text, 2)
        assert entry["probs"] == pytest.approx([own[emotion] for emotion in EMOTIONS], abs=1e-5)
    tokens = 20 + 3
    assert answer["usage"] == {
        "prompt_tokens": tokens,
        "total_tokens": tokens,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
    }


def test_one_text_the_default_model_and_ids(client: httpx.Client) -> None:
    answer = classify(client, input=FEAR, model=None, user=None)
    assert [entry["index"] for entry in answer["data"]] == [0]
    assert answer["model"] == "emotion_rubert"
    assert classify(client, input=FEAR, model="xlm")["model"] == "emotion_xlm"
    assert classify(client, input=FEAR, request_id="mine")["id"] == "classify-mine"
    response = client.post("/v1/classify", json={"input": FEAR})
    assert response.json()["id"] == f"classify-{response.headers['x-request-id']}"


def test_without_activation_logits(client: httpx.Client) -> None:
    options = {"truncation_side": "right", "add_special_tokens": True, "truncate_prompt_tokens": None}
    (entry,) = classify(client, input=FEAR, use_activation=False, **options)["data"]
    own = expected(FEAR, 2)
    assert entry["probs"] == pytest.approx([math.log(own[e] / (1 - own[e])) for e in EMOTIONS], abs=1e-3)
    assert entry["label"] == "fear"


def test_a_long_text_is_cut_only_if_that_is_asked_for(client: httpx.Client) -> None:
    text = "рад " * 100
    cut = classify(client, input=[text, FEAR], truncate_prompt_tokens=-1)
    assert cut["usage"]["prompt_tokens"] == MAX_LENGTH + 3
    assert errors(client, input=[FEAR, text]) == [
        ("#/input/1", f"102 tokens, and the model takes {MAX_LENGTH} at most")
    ]


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({}, "#/input", "is needed"),
        ({"input": []}, "#/input", "must not be empty"),
        ({"input": [1, 2, 3]}, "#/input", "token ids are not taken"),
        ({"input": [[1, 2], [3]]}, "#/input", "token ids are not taken"),
        ({"input": ["а", None]}, "#/input/1", "must be a string"),
        ({"input": "а", "truncate_prompt_tokens": 5}, "#/truncate_prompt_tokens", "must be -1"),
        ({"input": "а", "truncation_side": "left"}, "#/truncation_side", "must be 'right'"),
        ({"input": "а", "priority": 1}, "#/priority", "must be 0 or less"),
        ({"input": "а", "priority": False}, "#/priority", "must be a whole number"),
        ({"input": "а", "add_special_tokens": False}, "#/add_special_tokens", "must be true"),
        ({"input": "а", "add_special_tokens": 1}, "#/add_special_tokens", "must be true or false"),
        ({"input": "а", "softmax": True}, "#/softmax", "is no field of this request"),
        ({"input": "а", "messages": []}, "#/messages", "is no field of this request"),
        ({"input": ["а"] * 257}, "#/input", "257 texts, and a request may have 256"),
    ],
)
def test_what_is_not_supported_is_refused(client: httpx.Client, fields: Any, pointer: str, words: str) -> None:
    ((found, detail),) = errors(client, **fields)
    assert found == pointer
    assert words in detail


def test_an_unknown_model(client: httpx.Client) -> None:
    assert client.post("/v1/classify", json={"model": "gpt", "input": "а"}).status_code == 404
