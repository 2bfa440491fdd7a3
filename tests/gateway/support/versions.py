"""Which versions a gateway answers with, and which it leaves out."""

import httpx

from tests.gateway.support.gateway_process import GatewayProcess
from tests.support.waiting import wait_until


def wait_for_version(gateway: GatewayProcess, version: str) -> None:
    """Until requests that name none are answered by it."""
    with gateway.client() as client:
        wait_until(lambda: client.post("/v1/emotions", json={"text": "рад"}).json()["version"] == version, gateway.log)


def left_out(client: httpx.Client) -> dict[tuple[str, str], str]:
    """Reason by model and version."""
    return {(row["model"], row["version"]): row["reason"] for row in client.get("/v1/models").json()["unusable"]}


def wait_until_left_out(client: httpx.Client, model: str, version: str) -> str:
    """Wait until a version is left out, while others are served; gives the reason."""
    wait_until(lambda: (model, version) in left_out(client) and serves_something(client), lambda: left_out(client))
    return left_out(client)[model, version]


def wait_until_used(client: httpx.Client, model: str, version: str) -> None:
    wait_until(lambda: (model, version) not in left_out(client) and serves_something(client), lambda: left_out(client))


def serves_something(client: httpx.Client) -> bool:
    return bool(client.get("/v1/models").json()["models"])
