"""What a running server says of itself over HTTP."""

import http.client
import json


def is_ready(host: str, port: int) -> bool:
    """Whether the server and every model in it answer requests."""
    return ask(host, port, "GET", "/v2/health/ready") is not None


def served_models(host: str, port: int) -> list[str]:
    """The models and versions that are ready, such as `emotion/1`."""
    answer = ask(host, port, "POST", "/v2/repository/index")
    try:
        index = json.loads(answer or b"[]")
    except ValueError:
        return []
    ready = [model for model in index if model.get("state") == "READY"]
    return sorted(f"{model['name']}/{model['version']}" for model in ready)


def ask(host: str, port: int, method: str, path: str) -> bytes | None:
    """The body of a 200 answer; None for any other answer, or none within 2 seconds."""
    # A server listens on every address with these; a client can't connect to them everywhere.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
        return body if response.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
