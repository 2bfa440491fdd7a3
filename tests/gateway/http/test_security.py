"""Keys, CORS and headers: who is let in, and what a browser may do."""

import hashlib
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.testclient import TestClient

from gateway.api.raw_route import RawRoute
from gateway.http.api_keys import ApiKeys
from gateway.http.middleware import RequestMiddleware
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from tests.gateway.support.gateway_process import SECRET, GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure, samples
from tests.gateway.support.workers import workers
from tests.support.triton_process import TritonProcess
from tests.support.waiting import wait_until

OTHER = "another-key-for-another-client"
SHOP = ("the-key-of-a-shop-until-today", "the-key-of-a-shop-from-today-on")
ORIGIN = "https://example.org"
PATHS = (
    ("POST", "/v1/emotions"), ("POST", "/v1/classify"), ("POST", "/predict"), ("POST", "/"), ("GET", "/"),
    ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/page.js"),
    ("GET", "/nothing"), ("DELETE", "/v1/emotions"),
)  # fmt: skip


@pytest.fixture(scope="module")
def closed(
    shared_repository: Path, shared_triton: TritonProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(
        f"# of the first client\n{SECRET}\n\n{OTHER} # of the second\nshop:{SHOP[0]}\nshop: {SHOP[1]} # soon\n"
    )
    flags = (f"--api-keys-file={keys}", f"--cors-origins={ORIGIN}", "--log-requests=true")
    with running_gateway(shared_repository, shared_triton.grpc_url, *flags) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(closed: GatewayProcess) -> Iterator[httpx.Client]:
    with closed.client() as client:
        yield client


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}", SECRET, f"Digest {SECRET}",
     "Basic !", "Basic " + "bm8=", "Bearer \u00ff"],
)  # fmt: skip
def test_no_key_no_answer(client: httpx.Client, method: str, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    response = client.request(method, path, headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("key", [SECRET, OTHER, *SHOP])
def test_each_key_opens(client: httpx.Client, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    assert client.post("/v1/emotions", json={"text": "рад"}, headers=headers).status_code == 200
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/metrics", headers=headers).status_code == 200
    # A browser asks for a name and a password.
    assert client.post("/v1/emotions", json={"text": "рад"}, auth=("anybody", key)).status_code == 200


def usage(client: httpx.Client) -> list[float]:
    """Requests and texts that were answered for the shop."""
    requests = figure(client, "emotion_key_requests_total", key="shop", status="200")
    return [requests, figure(client, "emotion_key_texts_total", key="shop")]


def test_usage_is_counted_by_key_without_showing_any(closed: GatewayProcess, client: httpx.Client) -> None:
    with closed.client(headers={"authorization": f"Bearer {OTHER}"}) as operator:
        for key, texts in ((SHOP[0], 2), (SHOP[1], 3), (SECRET, 1), ("x" * 30, 1), ("x", 1)):
            before = usage(operator)
            answer = client.post(
                "/v1/emotions", json={"texts": ["рад"] * texts}, headers={"authorization": f"Bearer {key}"}
            )
            of_shop = key in SHOP
            assert usage(operator) == ([before[0] + 1, before[1] + texts] if of_shop else before)
            assert answer.status_code == (200 if of_shop or key == SECRET else 401)
        unknown = samples(operator, "emotion_key_requests_total", key="(unknown)")
        assert {sample.labels["status"] for sample in unknown} == {"401"}
        shown = operator.get("/metrics").text
        names = {sample.labels["key"] for sample in samples(operator, "emotion_key_requests_total")}
    assert sorted(re.sub("[0-9a-f]{6}", "…", name) for name in names) == ["(unknown)", "key-…", "key-…", "shop"]
    for key in (SECRET, OTHER, *SHOP):
        digest = hashlib.sha256(key.encode()).hexdigest()
        assert key not in shown
        assert digest[:6] not in "".join(names)


def test_health_needs_no_key(client: httpx.Client) -> None:
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 200


def test_a_key_from_the_environment(shared_repository: Path, shared_triton: TritonProcess) -> None:
    keys = f"{OTHER}, {SECRET}"
    with running_gateway(shared_repository, shared_triton.grpc_url, EMOTION_API_KEYS=keys) as running:
        running.wait_until_ready()
        with running.client(headers={"authorization": f"Bearer {SECRET}"}) as client:
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
        with running.client() as client:
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 401


def test_keys_rotate_without_a_restart(shared_repository: Path, shared_triton: TritonProcess, tmp_path: Path) -> None:
    """As Kubernetes changes a Secret that is mounted: files behind a link to a directory, which is swapped."""

    def swap(number: int, keys: str) -> None:
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "keys").write_text(keys)
        (tmp_path / "..data_tmp").symlink_to(f"..{number}")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        if number > 1:
            shutil.rmtree(tmp_path / f"..{number - 1}")

    swap(1, SECRET)
    (tmp_path / "keys").symlink_to("..data/keys")
    flags = (f"--api-keys-file={tmp_path / 'keys'}", "--workers=2")
    with running_gateway(shared_repository, shared_triton.grpc_url, *flags) as running, running.client() as client:
        running.wait_until_ready()

        def statuses(key: str) -> set[int]:
            # Of both workers, sooner or later: every connection goes to either.
            headers = {"authorization": f"Bearer {key}", "connection": "close"}
            return {client.get("/v1/models", headers=headers).status_code for _ in range(20)}

        assert (statuses(SECRET), statuses(OTHER)) == ({200}, {401})
        swap(2, f"{SECRET}\n{OTHER}")
        wait_until(lambda: statuses(OTHER) == {200}, running.log)
        assert statuses(SECRET) == {200}
        swap(3, OTHER)
        wait_until(lambda: statuses(SECRET) == {401}, running.log)
        # One that is damaged neither locks out nor lets in.
        swap(4, "# nothing")
        wait_until(lambda: running.log().count("holds no key") == 2, running.log)
        assert (statuses(SECRET), statuses(OTHER)) == ({401}, {200})
        # Nor does it stop a gateway of which a worker is replaced meanwhile.
        workers(running)[0].send_signal(signal.SIGKILL)
        wait_until(lambda: "a worker waits until the keys can be read" in running.log(), running.log)
        assert (statuses(SECRET), statuses(OTHER)) == ({401}, {200})
        swap(5, SECRET)
        wait_until(lambda: statuses(SECRET) == {200}, running.log)


def test_a_listed_origin_may_ask(client: httpx.Client) -> None:
    asks = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    preflight = client.options("/v1/emotions", headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    headers = {"origin": ORIGIN, "authorization": f"Bearer {SECRET}"}
    response = client.post("/v1/emotions", json={"text": "рад"}, headers=headers)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in response.headers["access-control-expose-headers"].lower()


def test_no_other_origin_may(client: httpx.Client, gateway: GatewayProcess) -> None:
    asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    refused = client.options("/v1/emotions", headers=asks)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    with gateway.client() as without_cors:
        response = without_cors.post("/v1/emotions", json={"text": "рад"}, headers={"origin": ORIGIN})
        assert response.status_code == 200
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert without_cors.options("/v1/emotions", headers=asks).status_code == 405


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/models", "/nothing", "/health/live"])
def test_security_headers(gateway: GatewayProcess, path: str) -> None:
    with gateway.client() as client:
        headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in headers


def test_a_bug_is_logged_without_the_clients_words(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Response:
        raise ValueError(f"unexpected: {await request.body()!r}")

    app = FastAPI(routes=[RawRoute("/broken", broken, methods=["POST"], response_model=None)])
    app.add_middleware(
        RequestMiddleware,
        paths={"/broken"},
        open_paths=frozenset(),
        api_keys=ApiKeys({}),
        metrics=Metrics(),
        tracing=Tracing(None),
        log_requests=False,
    )
    answer = TestClient(app).post("/broken", content=SECRET)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    first = caplog.records[0]
    assert first.getMessage() == "a bug: ValueError"
    assert "in broken" in first.request["stack"]  # type: ignore[attr-defined]
    assert SECRET not in answer.text + str([vars(record) for record in caplog.records])
