"""The OpenAPI document says what the gateway does."""

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from gateway.app import make_app
from gateway.settings import Settings
from tests.gateway.support.gateway_process import GatewayProcess

STATUSES = {
    ("/v1/emotions", "post"): {200, 400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504},
    ("/v1/classify", "post"): {200, 400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504},
    ("/predict", "post"): {200, 400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504},
    ("/", "post"): {200, 400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504},
    ("/v1/models", "get"): {200, 401, 422, 500, 503, 504},
    ("/metrics", "get"): {200, 401, 422, 500},
    ("/", "get"): {200, 401, 500},
    ("/health/live", "get"): {200, 500},
    ("/health/ready", "get"): {200, 500, 503},
}

KINDS = {("/metrics", "get"): "text/plain", ("/", "get"): "text/html"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = Settings(model_repository=Path(), max_texts=7, max_characters=99)
    # Without its life time: the document needs no Triton.
    answer = TestClient(make_app(settings)).get("/openapi.json").json()
    assert isinstance(answer, dict)
    return answer


def validator(document: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document})


def test_statuses(document: dict[str, Any]) -> None:
    found = {
        (path, method): {int(status) for status in operation["responses"]}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert found == STATUSES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                answer = KINDS.get((path, method), "application/json")
                kind = answer if status == "200" else "application/problem+json"
                assert list(response["content"]) == [kind]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names <= set(document["components"]["schemas"])


@pytest.mark.parametrize(
    ("request_body", "valid"),
    [
        ({"text": "a"}, True),
        ({"texts": ["a"], "text": None}, True),
        ({"texts": ["a"] * 7}, True),
        ({"texts": ["a"] * 8}, False),
        ({"text": "a" * 100}, False),
        ({"texts": []}, False),
        ({}, False),
        ({"text": "a", "texts": ["a"]}, False),
        ({"text": "a", "foo": 1}, False),
        ({"text": "a", "threshold": 2}, False),
        ({"text": "a", "parts": "sentences"}, True),
        ({"text": "a", "parts": "words"}, False),
    ],
)
def test_the_request_schema(document: dict[str, Any], request_body: object, valid: bool) -> None:
    assert validator(document, "EmotionsRequest").is_valid(request_body) == valid


def test_answers_fit_their_schemas(document: dict[str, Any], gateway: GatewayProcess) -> None:
    with gateway.client() as client:
        in_parts = client.post("/v1/emotions", json={"text": "Рад. Ого.", "parts": "sentences"})
        validator(document, "EmotionsResponse").validate(in_parts.json())
        for name, response in {
            "EmotionsResponse": client.post("/v1/emotions", json={"text": "рад", "threshold": 0}),
            "ClassifyResponse": client.post("/v1/classify", json={"input": "рад"}),
            "ModelsResponse": client.get("/v1/models"),
            "Health": client.get("/health/ready"),
            "ProblemDetails": client.post("/v1/emotions", json={}),
        }.items():
            validator(document, name).validate(response.json())


@pytest.mark.parametrize("path", ["/v1/emotions", "/v1/classify", "/predict", "/"])
def test_the_examples_work(document: dict[str, Any], gateway: GatewayProcess, path: str) -> None:
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert len(body["examples"]) >= 2
    with gateway.client() as client:
        for example in body["examples"].values():
            assert client.post(path, json=example["value"]).status_code == 200
            assert re.search("[а-я]", str(example["value"]))


@pytest.mark.parametrize(
    ("request_body", "valid"),
    [
        ({"inputs": "a"}, True),
        ({"inputs": ["a"]}, True),
        ({"inputs": [["a"], ["b"]]}, True),
        ({"inputs": [["a", "b"]]}, False),
        ({"inputs": ["a"] * 8}, False),
        ({"inputs": [["a"]] * 8}, False),
        ({"inputs": "a" * 100}, False),
        ({"inputs": [["a" * 100]]}, False),
        ({"inputs": []}, False),
        ({"inputs": 5}, False),
        ({"inputs": "a", "foo": 1}, False),
        ({"inputs": "a", "truncate": None, "raw_scores": None, "truncation_direction": "Right"}, True),
        ({"inputs": "a", "truncation_direction": "Left"}, False),
    ],
)
def test_the_predict_schema(document: dict[str, Any], request_body: object, valid: bool) -> None:
    assert validator(document, "PredictRequest").is_valid(request_body) == valid


def test_keys_are_documented_where_they_are_set() -> None:
    settings = Settings(model_repository=Path(), api_keys=SecretStr("0123456789abcdef"))
    front = make_app(settings)
    found = TestClient(front).get("/openapi.json", headers={"authorization": "Bearer 0123456789abcdef"}).json()
    assert found["security"] == [{"key": []}]
    assert found["paths"]["/health/ready"]["get"]["security"] == []
    assert "0123456789abcdef" not in str(found)


def test_the_servers_address_is_relative_to_the_document(document: dict[str, Any], gateway: GatewayProcess) -> None:
    """As Swagger UI takes it, below a path of a proxy that strips it."""
    with below_a_path(gateway, "/emotions/") as url:
        shown = f"{url}/emotions/docs"
        assert httpx.get(shown).status_code == 200
        for asset in re.findall(r'(?:href|src)="([^"]+)"', httpx.get(shown).text):
            assert httpx.get(urljoin(shown, asset)).status_code == 200
        address = urljoin(shown, "openapi.json")
        found = httpx.get(address).json()
        assert found["servers"] == document["servers"]
        base = urljoin(address, found["servers"][0]["url"]).rstrip("/")
        assert base == f"{url}/emotions"
        assert httpx.post(f"{base}/v1/emotions", json={"text": "рад"}).status_code == 200


@contextlib.contextmanager
def below_a_path(gateway: GatewayProcess, path: str) -> Iterator[str]:
    """A proxy that serves the gateway below a path, and nothing else."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._hand_on(b"")

        def do_POST(self) -> None:
            self._hand_on(self.rfile.read(int(self.headers["content-length"])))

        def _hand_on(self, body: bytes) -> None:
            if not self.path.startswith(path):
                self.send_error(404)
                return
            answer = httpx.request(self.command, f"{gateway.url}/{self.path.removeprefix(path)}", content=body)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
