"""The gateway's figures, and Triton's, as a client of `/metrics` reads them."""

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.waiting import wait_until


def samples(client: httpx.Client, name: str, **labels: str) -> list[Sample]:
    """All samples of a name that have these labels."""
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    return [
        sample
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def figure(client: httpx.Client, name: str, **labels: str) -> float:
    """One sample's value, 0 if there is none yet."""
    return next((float(sample.value) for sample in samples(client, name, **labels)), 0.0)


def total(client: httpx.Client, name: str, **labels: str) -> float:
    """All samples' values together."""
    return sum(float(sample.value) for sample in samples(client, name, **labels))


def in_flight(client: httpx.Client) -> float:
    return figure(client, "emotion_requests_in_flight")


def wait_for_in_flight(client: httpx.Client, number: int) -> None:
    wait_until(lambda: in_flight(client) == number, lambda: in_flight(client))


def unusable_versions(client: httpx.Client) -> dict[tuple[str, str, str], float]:
    """`emotion_version_unusable` by model, version and reason."""
    return {
        (sample.labels["model"], sample.labels["version"], sample.labels["reason"]): sample.value
        for sample in samples(client, "emotion_version_unusable")
    }


def requests_served(metrics_port: int, host: str = "127.0.0.1") -> float:
    """How many requests a Triton with `--metrics` has answered."""
    text = httpx.get(f"http://{host}:{metrics_port}/metrics", trust_env=False, timeout=60).text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("nv_inference_request_success")
    )
