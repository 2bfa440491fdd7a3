"""What clients of other services, and plain HTTP clients, send: byte for byte, as each was seen to send it.

`make test-clients` asks with the clients themselves.
"""

import json

import pytest

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.raw_socket import connected

TEXT = "Как же я рад"
ESCAPED = json.dumps(TEXT)
JAVA = (
    "Connection: Upgrade, HTTP2-Settings",
    "Host: 127.0.0.1:8080",
    "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
    "Upgrade: h2c",
    "User-Agent: Java-http-client/17.0.15",
)
CURL = (
    "Host: 127.0.0.1:8080",
    "User-Agent: curl/7.88.1",
    "Accept: */*",
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "Content-Type: application/x-www-form-urlencoded",
)
NODE = (
    "host: 127.0.0.1:8080",
    "connection: keep-alive",
    "Content-Type: application/json",
    "accept: */*",
    "accept-language: *",
    "sec-fetch-mode: cors",
    "user-agent: node",
    "accept-encoding: gzip, deflate",
)
HUB = (
    "Host: 127.0.0.1:8080",
    "user-agent: unknown/None; hf_hub/0.25.2; python/3.11.7",
    "Accept-Encoding: gzip, deflate",
    "Accept: */*",
    "Connection: keep-alive",
    "Content-Type: application/json",
    "X-Amzn-Trace-Id: b7f93792-747b-417e-b048-571479737ff2",
)
REQUESTS = {
    "java.net.http 17": ("/v1/emotions", JAVA, f'{{"text":"{TEXT}"}}'),
    "curl --http2": (
        "/v1/emotions",
        (*CURL, "Content-Type: application/x-www-form-urlencoded"),
        f'{{"text":"{TEXT}"}}',
    ),
    "@huggingface/inference 2.6.7": ("/", NODE, f'{{"inputs":"{TEXT}","options":{{}}}}'),
    "@huggingface/inference 2.6.7 with options": (
        "/",
        (*NODE, "X-Wait-For-Model: true", "X-Use-Cache: false", "X-Load-Model: 0"),
        f'{{"inputs":"{TEXT}","options":{{"use_gpu":true,"retry_on_error":true,"signal":{{}}}}}}',
    ),
    "@huggingface/inference 2.6.7 with parameters": (
        "/",
        NODE,
        f'{{"inputs":"{TEXT}","parameters":{{"top_k":6}},"options":{{}}}}',
    ),
    "@huggingface/inference 4.13.30": ("/", NODE, f'{{"inputs":"{TEXT}"}}'),
    "huggingface_hub 0.20.3, 0.25.2": ("/", HUB, f'{{"inputs": {ESCAPED}}}'),
    "huggingface_hub 0.30.2": ("/", HUB, f'{{"inputs": {ESCAPED}, "parameters": {{}}}}'),
    "huggingface_hub 0.30.2 with parameters": (
        "/",
        HUB,
        f'{{"inputs": {ESCAPED}, "parameters": {{"function_to_apply": "sigmoid", "top_k": 6}}}}',
    ),
    "huggingface_hub 1.0.0": ("/", HUB, f'{{"inputs":"{TEXT}","parameters":{{}}}}'),
}


@pytest.mark.parametrize("client", REQUESTS)
@pytest.mark.parametrize("together", [True, False])
def test_as_it_was_sent(gateway: GatewayProcess, client: str, together: bool) -> None:
    path, lines, text = REQUESTS[client]
    body = text.encode()
    head = "".join(f"{line}\r\n" for line in (f"POST {path} HTTP/1.1", *lines, f"Content-Length: {len(body)}", ""))
    with connected(gateway) as raw:
        for _ in range(2):
            raw.send(*([head.encode() + body] if together else [head.encode(), body]))
            answer = raw.answer()
            assert answer.status == 200, answer
            found = json.loads(answer.body)
            if path == "/":
                assert (found[0][0]["label"], len(found[0])) == ("joy", 6)
            else:
                assert found["results"][0]["emotion"] == "joy"
        assert raw.is_quiet()


@pytest.mark.parametrize("lines", [JAVA, CURL])
def test_a_body_in_chunks(gateway: GatewayProcess, lines: tuple[str, ...]) -> None:
    body = f'{{"text":"{TEXT}"}}'.encode()
    head = "".join(f"{line}\r\n" for line in ("POST /v1/emotions HTTP/1.1", *lines, "Transfer-encoding: chunked", ""))
    with connected(gateway) as raw:
        raw.send(head.encode(), b"%x\r\n%s\r\n" % (len(body), body), b"0\r\n\r\n")
        assert json.loads(raw.answer().body)["results"][0]["emotion"] == "joy"
        assert raw.is_quiet()
