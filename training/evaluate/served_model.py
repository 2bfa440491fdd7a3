"""Asks a served model for probabilities, over HTTP, as any client of the gateway does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.common.command import TrainingError

_TEXTS: Final = 32  # Of one request: small enough for any model's deadline on one core.
_ATTEMPTS: Final = 5
_SECONDS: Final = 30.0


@dataclass(frozen=True)
class ServedModel:
    """One version of one model behind a gateway, found at `GET /v1/models`; `card` is what that says of it."""

    client: httpx.Client
    model: str
    version: str
    card: dict[str, Any]
    max_texts: int

    @classmethod
    @contextmanager
    def at(cls, url: str, model: str | None, version: str | None, key: str | None = None) -> Iterator[Self]:
        """Find the model and version (the gateway's own choices where None).

        Raises:
            TrainingError: nothing answers there, or it serves no such model or version.
        """
        headers = {"authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(base_url=url, timeout=_SECONDS, headers=headers, trust_env=False) as client:
            listed = _request(client, "GET", "/v1/models")
            models = {entry["model"]: entry for entry in listed["models"]}
            names = [name for name, entry in models.items() if entry["default"]] if model is None else [model]
            found = next((n for name in names for n in (name, f"emotion_{name}") if n in models), None)
            if found is None:
                raise TrainingError(f"{url} serves no model {model or 'by default'}; it serves: {', '.join(models)}")
            versions = {entry["version"]: entry for entry in models[found]["versions"]}
            default = next(number for number, entry in versions.items() if entry["default"])
            number = default if version is None else version
            if number not in versions:
                raise TrainingError(f"{url} serves {found} in version {', '.join(versions)}, not {number}")
            yield cls(client, found, number, versions[number], min(_TEXTS, listed["limits"]["max_texts"]))

    def predict(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Probabilities, float32 `[texts, 6]`, with the gateway's six decimals."""
        rows: list[list[float]] = []
        for start in range(0, len(texts), self.max_texts):
            body = {"texts": texts[start : start + self.max_texts], "model": self.model, "version": self.version}
            answer = _request(self.client, "POST", "/v1/emotions", body)
            rows += [[result["probabilities"][emotion] for emotion in EMOTIONS] for result in answer["results"]]
        return np.array(rows, dtype=np.float32)


def _request(client: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    for attempt in range(_ATTEMPTS):
        try:
            answer = client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise TrainingError(
                f"no gateway answers at {client.base_url} ({error}): start one with make serve"
            ) from error
        busy = answer.status_code in (429, 503) and attempt < _ATTEMPTS - 1
        if not busy:
            break
        # A gateway that is full, or whose Triton is starting, says when to come again.
        time.sleep(float(answer.headers.get("retry-after", 1)))
    try:
        content = answer.json()
    except ValueError as error:
        raise TrainingError(f"{answer.url} is no gateway: it answered {answer.status_code} and no JSON") from error
    if answer.status_code != 200:
        raise TrainingError(f"{answer.url} answered {answer.status_code}: {content.get('detail', content)}")
    return content
