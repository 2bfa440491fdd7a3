"""Bodies as clients send them, what stands beside them, and parameters in the address."""

import codecs
import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.gateway.support.gateway_process import SECRET, GatewayProcess, running_gateway
from tests.gateway.support.raw_socket import connected, post, problem
from tests.support.triton_process import TritonProcess

BODY = '{"text": "рад"}'
CHUNKED = b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
IN_CHUNKS = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY.encode()[:9], BODY.encode()[9:]))
FIELD = b"x-a: b\r\n"


@pytest.mark.parametrize("path", ["/v1/emotions", "/v1/classify", "/predict", "/"])
def test_a_byte_order_mark_is_skipped(gateway: GatewayProcess, path: str) -> None:
    field = {"/v1/emotions": "text", "/v1/classify": "input"}.get(path, "inputs")
    body = f'{{"{field}": "рад"}}'
    with gateway.client() as client:
        assert client.post(path, content=codecs.BOM_UTF8 + body.encode()).status_code == 200
        assert client.post(path, content=codecs.BOM_UTF8 * 2 + body.encode()).status_code == 400
        wrong = client.post(path, content=codecs.BOM_UTF8 + f'{{"{field}": "\\ud83d"}}'.encode())
        assert wrong.status_code == 422


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BODY.encode("utf-16"), "UTF-16"),
        (BODY.encode("utf-16-le"), "UTF-16"),
        (BODY.encode("utf-16-be"), "UTF-16"),
        (BODY.encode("utf-32"), "UTF-32"),
        (BODY.encode("windows-1251"), "byte 10 is not UTF-8"),
        (BODY.encode("koi8-r"), "byte 10 is not UTF-8"),
        (gzip.compress(BODY.encode(), mtime=0), "gzip"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (codecs.BOM_UTF8, "is empty"),
    ],
)
def test_what_is_no_utf_8_is_called_by_its_name(gateway: GatewayProcess, body: bytes, said: str) -> None:
    with gateway.client() as client:
        answer = client.post("/v1/emotions", content=body)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/emotions", "/v1/classify", "/predict", "/"])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x-gzip", "nonsense"])
def test_a_content_encoding_is_refused(gateway: GatewayProcess, path: str, encoding: str) -> None:
    with gateway.client() as client:
        headers = {"content-encoding": encoding}
        answer = client.post(path, content=gzip.compress(BODY.encode()), headers=headers)
        assert answer.status_code == 415
        assert answer.headers["accept-encoding"] == "identity"
        assert encoding in answer.json()["detail"]


def test_identity_is_none(gateway: GatewayProcess) -> None:
    with gateway.client() as client:
        for encoding in ("identity", "Identity", ""):
            headers = {"content-encoding": encoding}
            assert client.post("/v1/emotions", content=BODY.encode(), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain", "application/vnd.api+json"],
)
def test_the_content_type_does_not_matter(gateway: GatewayProcess, content_type: str) -> None:
    with gateway.client() as client:
        headers = {"content-type": content_type}
        assert client.post("/v1/emotions", content=BODY.encode(), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/emotions"), ("POST", "/predict"), ("POST", "/"), ("GET", "/v1/models"), ("GET", "/metrics")],
)
@pytest.mark.parametrize(
    ("query", "named"),
    [("model=xlm", "model"), ("a=1&b=2", "b"), ("flag", "flag"), ("%D1%8F=1", "я"), ("x=%ff&=", "x"), ("&", "")],
)
def test_a_parameter_in_the_address_is_refused(
    gateway: GatewayProcess, method: str, path: str, query: str, named: str
) -> None:
    with gateway.client() as client:
        body = BODY if path == "/v1/emotions" else '{"inputs": "рад"}'
        answer = client.request(method, f"{path}?{query}", content=body.encode() if method == "POST" else b"")
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert repr(named) in " ".join(error["detail"] for error in answer.json()["errors"])


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/page.js", "/health/live", "/health/ready"])
def test_browsers_and_probes_may_add_some(gateway: GatewayProcess, path: str) -> None:
    with gateway.client() as client:
        assert client.get(f"{path}?utm_source=letter&t=123").status_code == 200
        assert client.head(f"{path}?utm_source=letter").status_code == 200


@pytest.fixture(scope="module")
def closed(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(shared_repository, shared_triton.grpc_url, EMOTION_API_KEYS=SECRET) as running:
        running.wait_until_ready()
        yield running


def test_a_trailer_is_no_header(closed: GatewayProcess, gateway: GatewayProcess) -> None:
    trailers = f"authorization: Bearer {SECRET}\r\ncontent-encoding: gzip\r\nx-request-id: mine\r\n\r\n".encode()
    with connected(closed) as raw:
        raw.send(CHUNKED + IN_CHUNKS + b"0\r\n" + trailers)
        problem(raw.answer(), 401)
    for packets in ([CHUNKED + IN_CHUNKS + b"0\r\n" + trailers], [CHUNKED, IN_CHUNKS + b"0\r\n", trailers]):
        with connected(gateway) as raw:
            raw.send(*packets)
            answer = raw.answer()
            assert answer.status == 200
            assert answer.headers["x-request-id"] != "mine"
            # What comes behind it is the next request.
            raw.send(b"".join(post()))
            assert raw.answer().status == 200


@pytest.mark.parametrize(
    ("before", "without_end", "statuses"),
    [
        (IN_CHUNKS + b"0\r\n", FIELD * 8192, {400, 431}),
        (IN_CHUNKS + b"0\r\n", b"x-a: " + b"b" * 65_536, {400, 431}),
        (IN_CHUNKS + b"0\r\nx-a: ", b"b" * 65_536, {400, 431}),
        (IN_CHUNKS + b"0\r\n", b"n" * 65_536, {400, 431}),
        (IN_CHUNKS + b"0;", b"e" * 65_536, {400, 431}),
        (IN_CHUNKS + b"1;", b"e=e;" * 16_384, {400, 431}),
        (IN_CHUNKS, b"0" * 65_536, {400, 431}),
        (b"", b"1;" + b"e" * 60_000 + b"\r\n \r\n", {400, 431}),
        (b"", b"1\r\n \r\n" * 10_000, {400, 413}),
        (b"", b"00000000000000000001\r\n \r\n" * 3_000, {400, 413}),
    ],
)
def test_what_has_no_end_is_cut_off(
    gateway: GatewayProcess, before: bytes, without_end: bytes, statuses: set[int]
) -> None:
    process = psutil.Process(gateway.process.pid)
    with connected(gateway) as raw:
        raw.send(CHUNKED + before)
        memory = process.memory_info().rss
        taken = 0
        for _ in range(1000):
            try:
                raw.connection.sendall(without_end)
            except (BrokenPipeError, ConnectionResetError):
                break
            taken += len(without_end)
        assert taken < 40 * 1024 * 1024
        assert process.memory_info().rss - memory < 8 * 1024 * 1024
    # Read while sending it could not all be: so once more, with no more than is refused.
    with connected(gateway) as raw:
        raw.send(CHUNKED + before, *[without_end] * 8)
        answer = raw.answer()
        assert answer.status in statuses
        problem(answer, answer.status)
        assert answer.headers["connection"] == "close"
        assert raw.rest() == b""


def test_small_trailers_and_small_chunks_are_read(gateway: GatewayProcess) -> None:
    text = BODY.encode()
    bytewise = b"".join(b"1\r\n%c\r\n" % byte for byte in text)
    padded = b"".join(b"%08x;a=b\r\n%c\r\n" % (1, byte) for byte in text)
    for body in (bytewise, padded, bytewise + b"1\r\n \r\n" * 5_000):
        with connected(gateway) as raw:
            raw.send(CHUNKED + body + b"0\r\n" + FIELD * 100 + b"\r\n")
            assert raw.answer().status == 200


def test_trailers_behind_an_answer(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        raw.send(b"GET /health/live HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
        answer = raw.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        raw.send(FIELD * 100)
        assert raw.rest() == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\0\0\0\0\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / FTP/1.1\r\n\r\n", 400),
        (b"FOO / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nhost a\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nho st: a\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nx: \x00\r\n\r\n", 400),
        (b"GET /\x7f\xff HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
        (b"POST /v1/emotions HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400),
        (b"POST /v1/emotions HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST /v1/emotions HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}", 400),
        (b"POST /v1/emotions HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/emotions HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/emotions HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/emotions HTTP/1.1\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /health/live HTTP/1.1\r\n" + b"x: a\r\n" * 20_000 + b"\r\n", 431),
        (b"GET /health/live?" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (CHUNKED + b"x\r\n", 400),
        (CHUNKED + b"-1\r\n", 400),
        (CHUNKED + b"f" * 1000 + b"\r\n", 400),
        (CHUNKED + b"5\r\nabc\r\nx", 400),
        (CHUNKED + IN_CHUNKS + b"0\r\nno trailer\r\n\r\n", 400),
    ],
)
def test_malformed_requests(gateway: GatewayProcess, request_: bytes, status: int) -> None:
    for packets in ([request_], [request_[: len(request_) // 2], request_[len(request_) // 2 :]]):
        with connected(gateway) as raw:
            raw.send(*packets)
            answer = raw.answer()
            problem(answer, status)
            assert answer.headers["connection"] == "close"
            assert answer.headers["cache-control"] == "no-store"
            assert raw.rest() == b""


def test_what_speaks_another_protocol_is_told(gateway: GatewayProcess) -> None:
    for request, said in ((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1"), (b"\x16\x03\x01\x02\x00", "TLS")):
        with connected(gateway) as raw:
            raw.send(request)
            assert said in problem(raw.answer(), 400)["detail"]


def test_what_was_right_before_it_is_answered_first(gateway: GatewayProcess) -> None:
    good = b"".join(post())
    for bad in (b"nonsense\r\n\r\n", CHUNKED + b"x\r\n"):
        with connected(gateway) as raw:
            raw.send(good + good + bad)
            assert raw.answer().status == 200
            assert raw.answer().status == 200
            problem(raw.answer(), 400)
            assert raw.rest() == b""


def test_empty_lines_do_not_keep_a_connection(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        start = time.monotonic()
        raw.send(b"".join(post()))
        assert raw.answer().status == 200
        raw.send(b"\r\n")
        assert raw.rest() == b""
        assert time.monotonic() - start > 4


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/nothing", (), 404),
        ("/v1/models", (), 405),
        ("/v1/emotions", ("content-encoding: gzip",), 415),
        ("/v1/emotions?a=b", (), 422),
        ("/v1/emotions", ("content-length: 99999999",), 413),
        ("/health/live", (), 405),
    ],
)
def test_a_connection_is_closed_when_the_answer_comes_before_the_body(
    gateway: GatewayProcess, path: str, more: tuple[str, ...], status: int
) -> None:
    lines = (f"POST {path} HTTP/1.1", "host: a", *more, *(() if status == 413 else ("content-length: 1000",)))
    with connected(gateway) as raw:
        raw.send("".join(f"{line}\r\n" for line in (*lines, "")).encode(), b"{")
        answer = raw.answer()
        problem(answer, status)
        assert answer.headers["connection"] == "close"
        assert raw.rest() == b""
    # With its body it is a request like any other.
    with connected(gateway) as raw:
        raw.send("".join(f"{line}\r\n" for line in (*lines, "")).encode() + b"{" * 1000)
        answer = raw.answer()
        problem(answer, status)
        assert ("connection" in answer.headers) == (status == 413)


def test_a_whole_body_is_sent_before_the_answer_is_read(gateway: GatewayProcess) -> None:
    size = 6 * 1024 * 1024
    with connected(gateway) as raw:
        raw.send(f"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n".encode())
        for _ in range(size // 65_536):
            raw.connection.sendall(b" " * 65_536)
        problem(raw.answer(), 413)
        assert raw.rest() == b""
