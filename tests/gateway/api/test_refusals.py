"""Every wrong request gets the right status, as problem+json."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.gateway.support.gateway_process import GatewayProcess

LIMIT = 2 * 1024 * 1024
TITLES = {
    400: ("Bad Request",),
    404: ("Not Found",),
    405: ("Method Not Allowed",),
    413: ("Request Entity Too Large", "Content Too Large"),
    422: ("Unprocessable Entity", "Unprocessable Content"),
}
"""By status; Python 3.13 has newer ones."""


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def check(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "about:blank"
    assert problem["title"] in TITLES[status]
    assert problem["status"] == status
    assert problem["detail"].endswith(".")
    assert ("errors" in problem) == (status == 422)
    return dict(problem)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"text=a",
        b'{"text": "a"} x',
        b'{"text": "\xff"}',
        '{"text": "рад"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"text":' * 50_000,
        b'"\\ud800',
    ],
)
def test_not_json(client: httpx.Client, body: bytes) -> None:
    check(client.post("/v1/emotions", content=body), 400)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "#"),
        ({"text": "a", "texts": ["a"]}, "#"),
        ({"text": None}, "#"),
        ({"text": 5}, "#/text"),
        ({"text": ["a"]}, "#/text"),
        ({"text": True}, "#/text"),
        ({"texts": "a"}, "#/texts"),
        ({"texts": []}, "#/texts"),
        ({"texts": {}}, "#/texts"),
        ({"texts": ["a", 5]}, "#/texts/1"),
        ({"texts": ["a", None]}, "#/texts/1"),
        ({"text": "a", "model": 1}, "#/model"),
        ({"text": "a", "model": ""}, "#/model"),
        ({"text": "a", "version": 1}, "#/version"),
        ({"text": "a", "profile": "unheard of"}, "#/profile"),
        ({"text": "a", "profile": 1}, "#/profile"),
        ({"text": "a", "threshold": "0.5"}, "#/threshold"),
        ({"text": "a", "threshold": -0.1}, "#/threshold"),
        ({"text": "a", "threshold": 1.1}, "#/threshold"),
        ({"text": "a", "threshold": True}, "#/threshold"),
        ({"text": "a", "threshold": 0.5, "profile": "balanced"}, "#"),
        ({"text": "a", "truncate": 1}, "#/truncate"),
        ({"text": "a", "truncate": "yes"}, "#/truncate"),
        ({"text": "a", "unknown": 1}, "#/unknown"),
        ({"text": "a", "a/b~c d": 1}, "#/a~1b~0c%20d"),
        ({"text": "а" * 10_001}, "#/text"),
        ({"texts": ["а", "а" * 10_001]}, "#/texts/1"),
        ({"texts": ["а"] * 257}, "#/texts"),
    ],
)
def test_wrong_fields(client: httpx.Client, fields: dict[str, object], pointer: str) -> None:
    problem = check(client.post("/v1/emotions", json=fields), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert all(error["detail"] for error in problem["errors"])


@pytest.mark.parametrize("body", ["5", '"text"', "[]", "null", "true"])
def test_json_that_is_no_object(client: httpx.Client, body: str) -> None:
    problem = check(client.post("/v1/emotions", content=body), 422)
    assert problem["errors"][0]["pointer"] == "#"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (r'{"text": "\ud83d"}', "#/text"),
        (r'{"texts": ["a", "b\udc00c"]}', "#/texts/1"),
        (r'{"text": "a", "\ud83d": 1}', "#"),
        (r'{"text": "\ud83d \ude00"}', "#/text"),
    ],
)
def test_a_lone_surrogate(client: httpx.Client, body: str, pointer: str) -> None:
    problem = check(client.post("/v1/emotions", content=body), 422)
    assert problem["errors"][0]["pointer"] == pointer


def test_a_surrogate_pair_is_a_character(client: httpx.Client) -> None:
    assert client.post("/v1/emotions", content=r'{"text": "\ud83d\ude00"}').status_code == 200


def test_a_flood_of_wrong_fields_gives_a_short_answer(client: httpx.Client) -> None:
    many = {f"field{number}": number for number in range(50_000)}
    response = client.post("/v1/emotions", json=many)
    check(response, 422)
    assert len(response.content) < 1000


def test_too_long_to_be_read_whole(client: httpx.Client) -> None:
    texts = ["рад", "рад " * 50, "рад", "а " * 31]
    problem = check(client.post("/v1/emotions", json={"texts": texts, "truncate": False}), 422)
    assert problem["errors"] == [
        {"pointer": "#/texts/1", "detail": "52 tokens, and the model takes 32 at most"},
        {"pointer": "#/texts/3", "detail": "33 tokens, and the model takes 32 at most"},
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "unheard"}, "emotion_rubert, emotion_xlm"),
        ({"model": "cardless"}, "emotion_rubert, emotion_xlm"),
        ({"model": "../emotion_rubert"}, "emotion_rubert, emotion_xlm"),
        ({"version": "3"}, "2, 1"),
        ({"version": "01"}, "2, 1"),
        ({"version": "newest"}, "2, 1"),
    ],
)
def test_no_such_model_or_version(client: httpx.Client, fields: dict[str, str], said: str) -> None:
    problem = check(client.post("/v1/emotions", json={"text": "a", **fields}), 404)
    assert problem["detail"].endswith(f"Served: {said}.")


def test_unknown_routes_and_methods(client: httpx.Client) -> None:
    check(client.get("/nothing"), 404)
    check(client.post("/v1/emotions/", json={"text": "a"}), 404)
    check(client.post("/v1/emotions%0A", json={"text": "a"}), 404)
    check(client.get("/redoc"), 404)
    refused = client.get("/v1/emotions")
    check(refused, 405)
    assert refused.headers["allow"] == "POST"
    elsewhere = client.post("/v1/models")
    check(elsewhere, 405)
    assert elsewhere.headers["allow"] == "GET, HEAD"
    assert client.head("/v1/emotions").status_code == 405
    assert client.head("/nothing").status_code == 404


def test_a_body_of_the_limit_is_read_and_a_byte_more_is_not(client: httpx.Client) -> None:
    fitting = json.dumps({"text": "рад"}).encode().ljust(LIMIT)
    assert client.post("/v1/emotions", content=fitting).status_code == 200
    check(client.post("/v1/emotions", content=fitting + b" "), 413)
    assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200


def test_a_body_without_a_length_is_measured_while_it_is_read(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(3 * LIMIT // 65_536):
            yield b" " * 65_536

    check(client.post("/v1/emotions", content=chunks()), 413)


def test_a_body_too_large_is_refused_before_it_is_sent(gateway: GatewayProcess) -> None:
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_long_texts_do_not_hold_up_short_ones(gateway: GatewayProcess) -> None:
    async def run() -> int:
        async with gateway.async_client() as client:
            body = json.dumps({"texts": ["радость " * 1000] * 130}, ensure_ascii=False).encode()
            big = [asyncio.create_task(client.post("/v1/emotions", content=body)) for _ in range(2)]
            answered = 0
            while not any(task.done() for task in big):
                assert (await client.get("/health/live")).status_code == 200
                answered += 1
            assert [answer.status_code for answer in await asyncio.gather(*big)] == [200, 200]
            return answered

    # A tokenizer that held up everybody else would let one or two through.
    assert asyncio.run(run()) > 5


@pytest.mark.parametrize("depth", [150, 250, 800, *range(930, 1000, 5), 5000])
def test_deep_nesting(client: httpx.Client, depth: int) -> None:
    for body in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        assert client.post("/v1/emotions", content=body).status_code in (400, 422)


def test_requests_that_break_off_or_are_malformed_leave_no_trace(gateway: GatewayProcess) -> None:
    url = httpx.URL(gateway.url)
    for start in (
        b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{",
        b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\n",
        b"\0\0\0\0\r\n\r\n",
    ):
        with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
            connection.sendall(start)
    with gateway.client() as client:
        check(client.get("/nothing", headers={"host": "["}), 404)
        assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
    assert "Traceback" not in gateway.log()


def test_an_endless_head_is_cut_off(gateway: GatewayProcess) -> None:
    url = httpx.URL(gateway.url)
    for piece in (b"x-header: " + b"a" * 1000 + b"\r\n", b"a" * 1000):
        with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: a\r\nx: ")
            received = b""
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                for _ in range(2000):
                    connection.sendall(piece)
                received = connection.recv(1000)
            assert received == b"" or received.startswith(b"HTTP/1.1 431 ")
    with gateway.client() as client:
        assert client.get("/health/live", headers={"x-large": "a" * 50_000}).status_code == 200


def test_a_head_that_does_not_come_is_not_awaited_for_ever(gateway: GatewayProcess) -> None:
    url = httpx.URL(gateway.url)
    start = time.monotonic()
    with (
        socket.create_connection((url.host, url.port or 0), timeout=60) as silent,
        socket.create_connection((url.host, url.port or 0), timeout=60) as in_use,
    ):
        in_use.sendall(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n")
        assert in_use.recv(10_000).startswith(b"HTTP/1.1 200 ")
        for connection in (silent, in_use):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: a\r\n")
        for connection in (silent, in_use):
            assert connection.recv(1000) == b""
        assert time.monotonic() - start > 4
