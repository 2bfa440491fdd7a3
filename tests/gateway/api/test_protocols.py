"""`POST /predict` and `POST /`: what clients of two other services send, and expect back."""

import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.small_model import MAX_LENGTH, expected

JOY = "Как же я рад тебя видеть!"
FEAR = "страшно"


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def check(row: list[dict[str, Any]], scores: dict[str, float]) -> None:
    assert {entry["label"]: entry["score"] for entry in row} == pytest.approx(scores, abs=2e-4)
    assert [entry["score"] for entry in row] == sorted((entry["score"] for entry in row), reverse=True)


def post(client: httpx.Client, path: str, **fields: Any) -> Any:
    response = client.post(path, json=fields)
    assert response.status_code == 200, response.text
    return response.json()


def logits(text: str) -> dict[str, float]:
    return {label: math.log(p / (1 - p)) for label, p in expected(text, 2).items()}


def softmax(text: str) -> dict[str, float]:
    weights = {label: math.exp(logit) for label, logit in logits(text).items()}
    return {label: weight / sum(weights.values()) for label, weight in weights.items()}


def test_predict_one_text(client: httpx.Client) -> None:
    check(post(client, "/predict", inputs=JOY), expected(JOY, 2))


@pytest.mark.parametrize("inputs", [[JOY, FEAR], [[JOY], [FEAR]]])
def test_predict_many_texts(client: httpx.Client, inputs: list[Any]) -> None:
    rows = post(client, "/predict", inputs=inputs)
    for row, text in zip(rows, (JOY, FEAR), strict=True):
        check(row, expected(text, 2))


def test_predict_a_list_of_one_is_a_list(client: httpx.Client) -> None:
    check(post(client, "/predict", inputs=[JOY])[0], expected(JOY, 2))


def test_predict_raw_scores(client: httpx.Client) -> None:
    check(post(client, "/predict", inputs=FEAR, raw_scores=True), logits(FEAR))


def test_predict_truncates_unless_told_otherwise(client: httpx.Client) -> None:
    text = "рад " * 100
    check(post(client, "/predict", inputs=text), expected(text, 2))
    response = client.post("/predict", json={"inputs": [[FEAR], [text]], "truncate": False})
    assert response.status_code == 422
    detail = f"102 tokens, and the model takes {MAX_LENGTH} at most"
    assert response.json()["errors"] == [{"pointer": "#/inputs/1/0", "detail": detail}]


@pytest.mark.parametrize(
    ("path", "fields", "pointer", "detail"),
    [
        ("/predict", {}, "#/inputs", "is needed"),
        ("/predict", {"inputs": 5}, "#/inputs", "must be a string or a list of strings"),
        ("/predict", {"inputs": None}, "#/inputs", "must be a string or a list of strings"),
        ("/predict", {"inputs": []}, "#/inputs", "must not be empty"),
        ("/predict", {"inputs": ["a", 5]}, "#/inputs/1", "must be a string"),
        ("/predict", {"inputs": [["a"], ["b", "c"]]}, "#/inputs/1", "must be one text: these models read no pairs"),
        ("/predict", {"inputs": [["a"], []]}, "#/inputs/1", "must not be empty"),
        ("/predict", {"inputs": [["a"], [1]]}, "#/inputs/1/0", "must be a string"),
        ("/predict", {"inputs": [["a"], "b"]}, "#/inputs/1", "must be a list"),
        ("/predict", {"inputs": "a", "raw_scores": "yes"}, "#/raw_scores", "must be true or false"),
        ("/predict", {"inputs": "a", "text": "b"}, "#/text", "is no field of this request"),
        ("/predict", {"inputs": ["а"] * 257}, "#/inputs", "257 texts, and a request may have 256"),
        ("/predict", {"inputs": "а" * 10_001}, "#/inputs", "10001 characters, and a text may have 10000"),
        ("/predict", {"inputs": "a", "options": {}}, "#/options", "is no field of this request"),
        ("/", {"inputs": "a", "options": {"threads": 3}}, "#/options/threads", "is no field of this request"),
        ("/", {"inputs": "a", "options": []}, "#/options", "must be an object"),
        ("/", {"inputs": "a", "options": {"use_cache": "yes"}}, "#/options/use_cache", "must be true or false"),
        ("/", {"inputs": [["a"]]}, "#/inputs", "must be a string or a list of strings"),
        ("/", {"inputs": "a", "parameters": {"top_k": 0}}, "#/parameters/top_k", "must be 1 or more"),
        ("/", {"inputs": "a", "parameters": {"top_k": 1.5}}, "#/parameters/top_k", "must be a whole number"),
        ("/", {"inputs": "a", "parameters": {"k": 1}}, "#/parameters/k", "is no field of this request"),
        (
            "/",
            {"inputs": "a", "parameters": {"function_to_apply": "tanh"}},
            "#/parameters/function_to_apply",
            "must be 'sigmoid', 'softmax' or 'none'",
        ),
    ],
)
def test_wrong_fields(client: httpx.Client, path: str, fields: dict[str, Any], pointer: str, detail: str) -> None:
    response = client.post(path, json=fields)
    assert response.status_code == 422, response.text
    assert response.json()["errors"] == [{"pointer": pointer, "detail": detail}]


@pytest.mark.parametrize(
    "fields",
    [
        {"truncate": None},
        {"raw_scores": None},
        {"truncation_direction": None},
        {"truncation_direction": "Right"},
        {"truncate": True, "truncation_direction": "right", "raw_scores": False},
    ],
)
def test_predict_with_fields_that_change_nothing(client: httpx.Client, fields: dict[str, Any]) -> None:
    for text in (JOY, "рад " * 100):
        check(post(client, "/predict", inputs=text, **fields), expected(text, 2))


def test_predict_cuts_no_beginnings(client: httpx.Client) -> None:
    response = client.post("/predict", json={"inputs": JOY, "truncation_direction": "Left"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "#/truncation_direction"


@pytest.mark.parametrize(
    "fields",
    [
        {"options": {}},
        {"options": None},
        {"parameters": None},
        {"parameters": {}},
        {"parameters": {"top_k": None, "function_to_apply": None}},
        {"options": {"use_cache": False, "wait_for_model": True}},
        {"options": {"use_gpu": True, "retry_on_error": True, "dont_load_model": False, "signal": {}}},
        {"options": {"includeCredentials": "include", "taskHint": "text-classification"}, "parameters": {}},
    ],
)
def test_the_inference_api_with_fields_that_change_nothing(client: httpx.Client, fields: dict[str, Any]) -> None:
    check(post(client, "/", inputs=JOY, **fields)[0], expected(JOY, 2))


def test_not_json(client: httpx.Client) -> None:
    for path in ("/predict", "/"):
        assert client.post(path, content=b"{").status_code == 400


def test_the_inference_api_answers_lists_of_lists(client: httpx.Client) -> None:
    check(post(client, "/", inputs=JOY)[0], expected(JOY, 2))
    first, second = post(client, "/", inputs=[JOY, FEAR], parameters=None)
    check(first, expected(JOY, 2))
    check(second, expected(FEAR, 2))


@pytest.mark.parametrize(
    ("function", "scores"), [("sigmoid", expected(JOY, 2)), ("softmax", softmax(JOY)), ("none", logits(JOY))]
)
def test_the_hugging_face_client(gateway: GatewayProcess, function: Any, scores: dict[str, float]) -> None:
    client = InferenceClient(base_url=gateway.url)
    answer = client.text_classification(JOY, function_to_apply=function)
    check([{"label": entry.label, "score": entry.score} for entry in answer], scores)


def test_the_hugging_face_client_as_it_comes(gateway: GatewayProcess) -> None:
    client = InferenceClient(base_url=gateway.url)
    everything = client.text_classification(JOY)
    assert {entry.label for entry in everything} == {"no_emotion", "joy", "sadness", "surprise", "fear", "anger"}
    assert everything[0].label == "joy"
    two = client.text_classification(JOY, top_k=2)
    assert [entry.label for entry in two] == [entry.label for entry in everything[:2]]
