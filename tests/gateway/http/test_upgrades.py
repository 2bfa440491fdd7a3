"""Offers to go on in another protocol are ignored: the request is answered as it is (RFC 9110, 7.8)."""

import json
import subprocess

import pytest

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.raw_http import Answer
from tests.gateway.support.raw_socket import connected, post, problem

SETTINGS = "http2-settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"
H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", SETTINGS)
WEBSOCKET = (
    "connection: keep-alive, Upgrade", "upgrade: websocket", "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
OFFERS = [
    H2C,
    WEBSOCKET,
    ("connection: upgrade", "upgrade: h2c, websocket;q=0.5, foo/2"),
    ("upgrade: h2c", "upgrade: websocket", "connection: upgrade"),
    ("Connection: upgrade", "UPGRADE: TLS/1.0"),
    ("connection: upgrade",),
    ("upgrade: h2c",),
]


def joyful(answer: Answer) -> None:
    assert answer.status == 200, answer
    assert "upgrade" not in answer.headers
    assert json.loads(answer.body)["results"][0]["emotion"] == "joy"


@pytest.mark.parametrize("offer", OFFERS)
def test_one_packet(gateway: GatewayProcess, offer: tuple[str, ...]) -> None:
    with connected(gateway) as raw:
        head, body = post(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *offer)
        raw.send(head + body)
        joyful(raw.answer())
        assert raw.is_quiet()
        raw.send(head + body)
        joyful(raw.answer())


@pytest.mark.parametrize("offer", OFFERS)
def test_a_body_in_later_packets(gateway: GatewayProcess, offer: tuple[str, ...]) -> None:
    with connected(gateway) as raw:
        head, body = post(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *offer)
        raw.send(head, body[:5], body[5:])
        joyful(raw.answer())
        assert raw.is_quiet()


def test_a_head_that_is_too_large(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        head, body = post(b"{}", *H2C, f"x: {'a' * 70_000}")
        raw.send(head + body)
        problem(raw.answer(), 431)


def test_a_head_in_many_packets(gateway: GatewayProcess) -> None:
    head, body = post(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *H2C)
    whole = head + body
    with connected(gateway) as raw:
        for start in range(0, len(whole), 40):
            raw.send(whole[start : start + 40], b"")
        joyful(raw.answer())
        assert raw.is_quiet()


def test_a_chunked_body(gateway: GatewayProcess) -> None:
    lines = "".join(f"{line}\r\n" for line in ("POST /v1/emotions HTTP/1.1", "host: a", *H2C))
    head = f"{lines}transfer-encoding: chunked\r\n\r\n".encode()
    with connected(gateway) as raw:
        raw.send(head, b'a\r\n{"text": "\r\n', b'6\r\n\xd1\x80\xd0\xb0\xd0\xb4\r\n2\r\n"}\r\n', b"0\r\n\r\n")
        joyful(raw.answer())
        assert raw.is_quiet()


def test_expect_100_continue(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        head, body = post(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *H2C, "expect: 100-continue")
        raw.send(head)
        assert raw.connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.send(body)
        joyful(raw.answer())
        assert raw.is_quiet()


def test_requests_behind_it(gateway: GatewayProcess) -> None:
    offering, plain = b"".join(post(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *H2C)), b"".join(post())
    health = b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    with connected(gateway) as raw:
        raw.send(offering + plain + health + offering + plain)
        joyful(raw.answer())
        joyful(raw.answer())
        assert json.loads(raw.answer().body) == {"status": "ok"}
        joyful(raw.answer())
        joyful(raw.answer())
        assert raw.is_quiet()


def test_without_a_body(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        lines = "\r\n".join(("GET /health/live HTTP/1.1", "host: a", *WEBSOCKET, "", ""))
        raw.send(lines.encode())
        assert raw.answer().status == 200
        raw.send(lines.replace("GET", "HEAD").encode())
        assert raw.answer(head=True).status == 200
        assert raw.is_quiet()


def test_http_1_0_and_close(gateway: GatewayProcess) -> None:
    for lines, version in ((H2C, "1.0"), (("connection: upgrade, close", "upgrade: h2c"), "1.1")):
        with connected(gateway) as raw:
            raw.send(b"".join(post(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *lines, version=version)))
            joyful(raw.answer())
            assert raw.rest() == b""


def test_a_bad_request_that_offers(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        raw.send(b"".join(post(b"{", *H2C)))
        problem(raw.answer(), 400)
        raw.send(b"".join(post()))
        joyful(raw.answer())


def test_smuggling_behind_an_offer_is_refused(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        head, body = post(b"0\r\n\r\n", *H2C, "transfer-encoding: chunked")
        raw.send(head + body)
        problem(raw.answer(), 400)
        assert raw.rest() == b""


def test_a_tunnel_is_refused(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        raw.send(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n\x16\x03\x01")
        problem(raw.answer(), 405)
        assert raw.rest() == b""


def test_offers_in_a_crowd_of_packets(gateway: GatewayProcess) -> None:
    # The boundary between head and body falls everywhere in turn.
    head, body = post(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *H2C)
    whole = (head + body) * 3
    with connected(gateway) as raw:
        for cut in range(len(head) - 3, len(head) + 3):
            raw.send(whole[:cut], whole[cut:])
            for _ in range(3):
                joyful(raw.answer())


def test_curl(gateway: GatewayProcess) -> None:
    for more in ([], ["-H", "transfer-encoding: chunked"], ["-H", "expect: 100-continue"]):
        asked = ["curl", "-sS", "--http2", "-w", "%{http_code}", *more, "-d", '{"text": "рад"}']
        ended = subprocess.run([*asked, f"{gateway.url}/v1/emotions"], capture_output=True, text=True, timeout=60)
        assert ended.stdout.endswith("}200"), (ended.stdout, ended.stderr)
