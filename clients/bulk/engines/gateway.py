"""Scoring through a gateway, `POST /v1/emotions`: for whoever has no way to Triton itself."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import numpy as np

from clients.scoring import RefusedError, Scores, UnreachableError, VersionError
from contract.labels import EMOTIONS

_CALL_SECONDS: Final = 120.0
_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 10.0
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")
_PASSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What waiting may change."""
_OF_THE_TEXTS: Final = frozenset({400, 413, 422})


class _TextsRefusedError(Exception):
    """The gateway finds fault with what it was sent."""


class GatewayScorer:
    """One version of a model at a gateway; open it with `GatewayScorer.open`."""

    def __init__(self, client: httpx.Client, patience: float, on_wait: Callable[[str], None]) -> None:
        self._client = client
        self._patience = patience
        self._on_wait = on_wait
        self._closing = threading.Event()
        self.model = self.version = ""
        self.profiles: Mapping[str, Mapping[str, float]] = {}
        self.most_characters = self._rows = self._body_bytes = 0

    @classmethod
    def open(
        cls,
        url: str,
        key: str | None,
        *,
        model: str,
        version: str | None,
        calls: int,
        patience: float,
        on_wait: Callable[[str], None],
    ) -> "GatewayScorer":
        """Choose a version of those that the gateway serves.

        Args:
            url: such as https://emotions.example.org.
            key: an API key, if the gateway wants one.
            model: with or without `emotion_`.
            version: None for the one that answers by default now; it stays the same.
            calls: requests at once.
            patience: seconds that a request is tried for.
            on_wait: told why a request waits, from any thread.

        Raises:
            VersionError: there is no such model or version.
            UnreachableError: no answer.
            RefusedError: no key, or a wrong one; no gateway is there.
        """
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise RefusedError(f"{url} is no address of a gateway: {error}") from None
        if address.scheme not in ("http", "https") or not address.host:
            raise RefusedError(f"{url} is no address of a gateway: write http://host:port")
        # A proxy set for the way out must not get in between on this machine.
        client = httpx.Client(
            base_url=address, headers=headers, timeout=_CALL_SECONDS, trust_env=address.host not in _LOCAL
        )
        scorer = cls(client, patience, on_wait)
        scorer._pool = ThreadPoolExecutor(calls, thread_name_prefix="gateway")
        try:
            scorer._choose(scorer._call("GET", "/v1/models"), model, version)
        except BaseException:
            scorer.close()
            raise
        return scorer

    @property
    def identity(self) -> dict[str, str]:
        """A gateway tells no more of a version than its number."""
        return {}

    def submit(self, texts: Sequence[str]) -> Callable[[], Scores]:
        """Send texts, of which none has a fault; gives a function that waits for the answers.

        Requests are as full as one call to Triton, so that the gateway puts nothing else into it, as long as nobody
        else asks: the same texts then give the same numbers, to the last digit.

        Raises:
            UnreachableError: from the function: no answer for as long as the patience.
            RefusedError: from the function: the gateway no longer lets this client in.
            VersionError: from the function: the version is no longer served.
        """
        parts = list(self._cut(texts))
        futures = [self._pool.submit(self._ask, [texts[place] for place in part]) for part in parts]

        def wait() -> Scores:
            scores = Scores(
                np.full((len(texts), len(EMOTIONS)), np.nan),
                np.zeros(len(texts), np.int32),
                np.zeros(len(texts), np.bool_),
                np.zeros(len(texts)),
                [None] * len(texts),
            )
            for part, future in zip(parts, futures, strict=True):
                for place, result in zip(part, future.result(), strict=True):
                    if isinstance(result, str):
                        scores.errors[place] = result
                        continue
                    scores.probabilities[place] = [result["probabilities"][emotion] for emotion in EMOTIONS]
                    scores.tokens[place] = result["tokens"]
                    scores.truncated[place] = result["truncated"]
                    scores.known[place] = result["known"]
            return scores

        return wait

    def close(self) -> None:
        """Give up what waits; end the connections."""
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    _pool: ThreadPoolExecutor

    def _choose(self, listing: Any, model: str, version: str | None) -> None:
        try:
            models = {row["model"]: row["versions"] for row in listing["models"]}
            name = next((full for full in (model, f"emotion_{model}") if full in models), None)
            if name is None:
                raise VersionError(f"the gateway serves no model {model!r}; it serves {', '.join(models) or 'none'}")
            found = [row for row in models[name] if (row["default"] if version is None else row["version"] == version)]
            if not found:
                known = ", ".join(row["version"] for row in models[name])
                raise VersionError(f"the gateway serves no version {version} of {name}; it serves {known}")
            limits = listing["limits"]
            self.model, self.version = name, found[0]["version"]
            self.profiles = {key: value["thresholds"] for key, value in found[0]["profiles"].items()}
            self.most_characters = limits["max_characters"]
            self._rows = min(limits["max_texts"], found[0]["max_batch_size"])
            self._body_bytes = limits["max_body_bytes"]
        except (KeyError, TypeError):
            raise RefusedError("what answers there is no gateway of this project") from None

    def _cut(self, texts: Sequence[str]) -> list[list[int]]:
        """Places of texts, shortest first, in requests of as many rows and bytes as one may have."""
        sizes = [len(json.dumps(text)) + 2 for text in texts]
        parts: list[list[int]] = []
        total = 0
        for place in sorted(range(len(texts)), key=lambda place: len(texts[place])):
            if not parts or len(parts[-1]) == self._rows or total + sizes[place] > self._body_bytes * 0.9:
                parts.append([])
                total = 0
            parts[-1].append(place)
            total += sizes[place]
        return parts

    def _ask(self, texts: list[str]) -> list[Any]:
        """An answer for each text, or the sentence why there is none."""
        # Filled up with the shortest: see `submit`.
        filled = [*texts, *[texts[0]] * (self._rows - len(texts))] if len(texts[0]) < 1000 else texts
        try:
            return self._results(filled)[: len(texts)]
        except _TextsRefusedError:
            answers: list[Any] = []
        for text in texts:
            try:
                answers += self._results([text])
            except _TextsRefusedError as error:
                answers.append(str(error))
        return answers

    def _results(self, texts: list[str]) -> list[Any]:
        body = {"texts": texts, "model": self.model, "version": self.version}
        answer = self._call("POST", "/v1/emotions", body)
        results: list[Any] = answer["results"]
        if len(results) != len(texts) or answer["version"] != self.version:
            raise RefusedError("the gateway answered other texts, or with another version, than was asked for")
        return results

    def _call(self, method: str, path: str, body: object = None) -> Any:
        """The answer, asked for again and again while that may help."""
        until = time.monotonic() + self._patience
        seconds = _FIRST_WAIT_SECONDS
        while True:
            retry_after = 0.0
            try:
                answer = self._client.request(method, path, json=body)
                if answer.status_code == 200:
                    return answer.json()
                why = f"{answer.status_code} {_detail(answer)}"
                if answer.status_code not in _PASSES:
                    raise _refusal(answer.status_code, why)
                retry_after = _seconds(answer.headers.get("retry-after"))
            except (httpx.TransportError, ValueError) as error:
                why = f"{type(error).__name__}: {error}"
            wait = max(seconds, retry_after)
            if self._closing.is_set() or time.monotonic() + wait > until:
                raise UnreachableError(f"the gateway gave no answer within {self._patience:g} s: {why}")
            self._on_wait(f"gateway: {why}")
            self._closing.wait(wait)
            seconds = min(2 * seconds, _LONGEST_WAIT_SECONDS)


def _refusal(status: int, why: str) -> Exception:
    if status in _OF_THE_TEXTS:
        return _TextsRefusedError(f"the gateway refuses it: {why}")
    if status in (401, 403):
        return RefusedError(f"the gateway wants a key: {why} Put one in a file and name it with --key-file")
    if status == 404:
        return VersionError(f"the gateway says: {why}")
    return RefusedError(f"the gateway answers {why}")


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        errors = "; ".join(error["detail"] for error in problem.get("errors", [])[:3])
        return str(errors or problem["detail"])[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.reason_phrase


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
