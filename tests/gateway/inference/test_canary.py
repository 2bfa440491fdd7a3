"""A newest version on trial: its share of the requests, a shadow's comparison, and that its failures harm nobody."""

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from contract.canary import canary_file, parse_trial
from contract.labels import EMOTIONS
from contract.tokenization import TextTokenizer
from contract.version_directory import read_card
from gateway.models.canary import Canary, CanaryReader
from gateway.models.versions import Version
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure
from tests.gateway.support.small_model import publish
from tests.gateway.support.versions import wait_for_version, wait_until_left_out
from tests.support.waiting import wait_until

MODEL = "emotion_rubert"
PROBABILITY = {"1": 0.5, "2": 0.375}
"""What each version says of everything: the first is above all balanced thresholds, the second below two of them."""
DIFFER = ("no_emotion", "joy")
CHALLENGER = {"model": MODEL, "version": "2"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions, of which the newer has no profile `moderation`."""
    path = tmp_path_factory.mktemp("trial") / "model_repository"
    path.mkdir()
    publish(path, 1)
    card = publish(path, 2) / "card.json"
    content = json.loads(card.read_text("utf-8"))
    del content["profiles"]["moderation"]
    card.write_text(json.dumps(content), "utf-8")
    return path


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    """Both versions answer, and it is counted how often each was asked."""
    with running_fake_triton() as running:
        running.served = ((MODEL, "1", "READY"), (MODEL, "2", "READY"))
        running.infer = lambda request, _: answer(request, PROBABILITY[request.model_version])
        yield running


@contextlib.contextmanager
def trying(
    repository: Path, fake: FakeTriton, trial: str, *flags: str
) -> Iterator[tuple[GatewayProcess, httpx.Client]]:
    options = (*flags, "--refresh-interval=0.2")
    with (
        running_gateway(repository, fake.address, *options, EMOTION_CANARY=trial) as gateway,
        gateway.client() as client,
    ):
        gateway.wait_until_ready()
        yield gateway, client


def ask(client: httpx.Client, text: str = "рад", **fields: object) -> dict[str, Any]:
    response = client.post("/v1/emotions", json={"text": text, **fields})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    assert found["results"][0]["probability"] == PROBABILITY[found["version"]]
    return found


def roles(client: httpx.Client) -> dict[str, tuple[bool, str | None, float]]:
    """Default, role and share by version."""
    (model,) = client.get("/v1/models").json()["models"]
    return {row["version"]: (row["default"], row["role"], row["share"]) for row in model["versions"]}


def counted(client: httpx.Client, name: str, **labels: str) -> float:
    return figure(client, f"emotion_{name}_total", **labels)


def test_a_share_of_the_requests_goes_to_the_newest(repository: Path, fake: FakeTriton) -> None:
    with trying(repository, fake, "20%", "--log-requests=true") as (gateway, client):
        texts = [f"текст {number}" for number in range(400)]
        first = [ask(client, text)["version"] for text in texts]
        shares = Counter(first)
        # Three standard deviations of 400 draws; the draws are the same at every run.
        assert abs(shares["2"] / len(texts) - 0.2) < 0.06
        assert [ask(client, text)["version"] for text in texts[:50]] == first[:50]
        drawn = texts[first.index("2")]
        # Who names a version gets it, and a profile that the challenger lacks stays with the default.
        assert ask(client, drawn, version="1")["version"] == "1"
        assert ask(client, texts[first.index("1")], version="2")["version"] == "2"
        assert ask(client, drawn, profile="moderation")["version"] == "1"
        assert client.post("/v1/emotions", json={"text": drawn, "profile": "none"}).status_code == 422
        # Texts in parts are drawn by their beginning like others.
        in_parts = [ask(client, text, parts="sentences") for text in texts[:50]]
        assert [answer["version"] for answer in in_parts] == first[:50]
        assert all(len(answer["results"][0]["parts"]) == 1 for answer in in_parts)
        # The other protocols name no version either.
        scores = client.post("/predict", json={"inputs": drawn}).json()
        assert scores[0]["score"] == PROBABILITY["2"]
        assert roles(client) == {"2": (False, "canary", 0.2), "1": (True, "default", 0.8)}
        again = Counter(first[:50])
        assert counted(client, "canary_requests", role="canary", **CHALLENGER) == shares["2"] + 2 * again["2"] + 1
        assert counted(client, "canary_requests", role="default") == shares["1"] + 2 * again["1"] + 1
        assert counted(client, "canary_failures") == 0
        logged = Counter(
            (line["version"], line.get("role")) for line in gateway.lines() if line["message"] == "answered"
            and line["path"] == "/v1/emotions" and line["status"] == 200
        )  # fmt: skip
        assert set(logged) == {("1", "default"), ("2", "canary"), ("1", None), ("2", None)}
        assert logged["1", None] == logged["2", None] == 1


def test_a_shadow_is_compared_and_never_answers(repository: Path, fake: FakeTriton) -> None:
    with trying(repository, fake, "shadow") as (_, client):
        for number in range(10):
            assert ask(client, f"текст {number}")["version"] == "1"
        assert len(client.post("/v1/emotions", json={"texts": ["рад", "дом"]}).json()["results"]) == 2
        wait_until(lambda: counted(client, "shadow_texts", **CHALLENGER) == 12, lambda: client.get("/metrics").text)
        assert counted(client, "canary_requests", role="shadow", **CHALLENGER) == 11
        assert counted(client, "canary_requests", role="default", model=MODEL, version="1") == 11
        agreed = {emotion: counted(client, "shadow_agreed", emotion=emotion, **CHALLENGER) for emotion in EMOTIONS}
        assert agreed == {emotion: 0 if emotion in DIFFER else 12 for emotion in EMOTIONS}
        assert counted(client, "shadow_top_agreed", **CHALLENGER) == 12
        for emotion in EMOTIONS:
            assert counted(client, "shadow_difference", emotion=emotion, **CHALLENGER) == pytest.approx(12 * 0.125)
        # Requests are the clients' own.
        assert counted(client, "requests", endpoint="/v1/emotions", model=MODEL, version="2") == 0
        # A text in parts is one text; both versions' wholes are compared.
        assert len(ask(client, "Рад. Ого. Дом.", parts="sentences")["results"][0]["parts"]) == 3
        wait_until(lambda: counted(client, "shadow_texts", **CHALLENGER) == 13, lambda: client.get("/metrics").text)
        assert counted(client, "shadow_difference", emotion="joy", **CHALLENGER) == pytest.approx(13 * 0.125)
        assert ask(client, profile="moderation")["version"] == "1"
        assert roles(client) == {"2": (False, "shadow", 0), "1": (True, "default", 1)}
        assert counted(client, "canary_requests", role="shadow", **CHALLENGER) == 12


@pytest.mark.parametrize("trial", ["100%", "shadow"])
def test_a_challenger_that_fails_harms_nobody(repository: Path, fake: FakeTriton, trial: str) -> None:
    asked: Counter[str] = Counter()

    def infer(request: Any, context: grpc.ServicerContext) -> Any:
        asked[request.model_version] += 1
        if request.model_version == "2":
            context.abort(grpc.StatusCode.INTERNAL, "words for the log")
        return answer(request, PROBABILITY["1"])

    fake.infer = infer
    role = "shadow" if trial == "shadow" else "canary"
    with trying(repository, fake, trial) as (gateway, client):
        assert ask(client)["version"] == "1"
        wait_until(lambda: counted(client, "canary_failures", role=role, **CHALLENGER) == 1)
        for number in range(20):
            assert ask(client, f"текст {number}")["version"] == "1"
        assert asked == {"1": 21, "2": 1}
        assert counted(client, "shadow_dropped", **CHALLENGER) == (20 if trial == "shadow" else 0)
        assert counted(client, "shadow_texts") == 0
        assert gateway.log().count(f"failed as {role} and is left alone for 10 s: INTERNAL: words for the log") == 1


def test_a_challenger_that_hangs_costs_half_of_the_time_once(repository: Path, fake: FakeTriton) -> None:
    go_on = threading.Event()

    def infer(request: Any, _: grpc.ServicerContext) -> Any:
        if request.model_version == "2":
            go_on.wait(60)
        return answer(request, PROBABILITY[request.model_version])

    fake.infer = infer
    with trying(repository, fake, "100%", "--request-timeout=4") as (gateway, client):
        try:
            began = time.monotonic()
            assert ask(client)["version"] == "1"
            assert time.monotonic() - began >= 1.9
            assert [ask(client, f"текст {number}")["version"] for number in range(20)] == ["1"] * 20
            assert counted(client, "canary_failures", role="canary", **CHALLENGER) == 1
            assert "it was too late" in gateway.log()
            assert figure(client, "emotion_requests_in_flight") == 0
        finally:
            go_on.set()


def test_a_shadow_that_hangs_is_bounded_and_keeps_nobody(repository: Path, fake: FakeTriton) -> None:
    def infer(request: Any, context: grpc.ServicerContext) -> Any:
        if request.model_version == "2":
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait(60)
        return answer(request, PROBABILITY[request.model_version])

    fake.infer = infer
    with trying(repository, fake, "shadow") as (_, client):
        many = {"texts": ["рад"] * 200}
        for _ in range(3):
            assert client.post("/v1/emotions", json=many).json()["version"] == "1"
        parts = {"text": "Рад. " * 200, "parts": "sentences"}
        assert client.post("/v1/emotions", json=parts).json()["version"] == "1"
        # One fits beside nothing, the others do not fit beside it.
        assert counted(client, "shadow_dropped", **CHALLENGER) == 3
        assert ask(client)["version"] == "1"
        assert figure(client, "emotion_requests_in_flight") == 0
        # The gateway stops all the same, while the call goes on.


def test_a_text_too_long_for_the_challenger_is_the_defaults(tmp_path: Path, fake: FakeTriton) -> None:
    path = tmp_path / "model_repository"
    path.mkdir()
    publish(path, 1)
    card = publish(path, 2) / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text("utf-8")), "max_length": 8}), "utf-8")
    with trying(path, fake, "100%") as (_, client):
        assert ask(client, truncate=False)["version"] == "2"
        assert ask(client, "рад " * 10, truncate=False)["version"] == "1"
        assert ask(client, "рад " * 10)["version"] == "2"
        assert client.post("/v1/emotions", json={"text": "рад " * 99, "truncate": False}).status_code == 422
        assert counted(client, "canary_failures") == 0


def test_no_trial_of_one_version_or_beside_a_damaged_one(tmp_path: Path, fake: FakeTriton) -> None:
    path = tmp_path / "model_repository"
    path.mkdir()
    publish(path, 1)
    newer = publish(path, 2)
    newest = publish(path, 3)
    (newest / "card.json").write_text("{", "utf-8")
    fake.served = ((MODEL, "1", "READY"), (MODEL, "2", "READY"), (MODEL, "3", "READY"))
    with trying(path, fake, "100%") as (_, client):
        wait_until_left_out(client, MODEL, "3")
        # As without a trial: the newest usable one, which nobody compares with the one before.
        assert ask(client)["version"] == "2"
        assert roles(client) == {"2": (True, None, 1), "1": (False, None, 0)}
        fake.served = ((MODEL, "2", "READY"),)
        (newest / "card.json").unlink()
        newest.rename(tmp_path / "gone")
        wait_until(lambda: roles(client) == {"2": (True, None, 1)}, lambda: roles(client))
        assert ask(client)["version"] == "2"
        assert counted(client, "canary_requests") == 0
        # A version that repeats an older one was wanted by whoever rolled back.
        card = newer / "card.json"
        card.write_text(json.dumps({**json.loads(card.read_text("utf-8")), "repeats": "1"}), "utf-8")
        fake.served = ((MODEL, "1", "READY"), (MODEL, "2", "READY"))
        wait_until(lambda: set(roles(client)) == {"1", "2"}, lambda: roles(client))
        assert roles(client) == {"2": (True, None, 1), "1": (False, None, 0)}


def write(file: Path, content: str) -> None:
    """In one step: the gateway may look at any moment, and half of it is a damaged file."""
    whole = file.with_name("unfinished")
    whole.write_text(content, "utf-8")
    whole.replace(file)


def test_what_is_written_with_a_version_holds_until_it_is_damaged(repository: Path, fake: FakeTriton) -> None:
    file = canary_file(repository, MODEL)
    with (
        running_gateway(repository, fake.address, "--refresh-interval=0.2") as gateway,
        gateway.client() as client,
    ):
        gateway.wait_until_ready()
        assert ask(client)["version"] == "2"
        write(file, '{"2": "0%"}')
        wait_for_version(gateway, "1")
        assert roles(client) == {"2": (False, "canary", 0), "1": (True, "default", 1)}
        write(file, '{"2": "100%", "1": "off"}')
        wait_for_version(gateway, "2")
        assert roles(client) == {"2": (False, "canary", 1), "1": (True, "default", 0)}
        write(file, '{"2": "0%"}')
        wait_for_version(gateway, "1")
        for damaged, said in (
            ('{"2": ', "is damaged: it must be JSON such as"),
            ('{"2": "5"}', "is damaged: '5' is no share of requests: write 5%, shadow or off"),
            ('{"two": "5%"}', "is damaged: it must be JSON such as"),
        ):
            write(file, damaged)
            wait_for_version(gateway, "2")
            wait_until(lambda said=said: said in gateway.log(), gateway.log)
            assert roles(client) == {"2": (True, None, 1), "1": (False, None, 0)}
            write(file, '{"2": "0%"}')
            wait_for_version(gateway, "1")
        file.unlink()
        wait_for_version(gateway, "2")
        assert "no canary any more" in gateway.log()


@pytest.mark.parametrize(
    ("setting", "written", "trial"),
    [
        (None, None, None), (None, "5%", "5%"), (None, "off", None), ("20%", None, "20%"), ("shadow", "5%", "shadow"),
        ("0%", "100%", "0%"), ("20%", "off", None), ("off", "5%", None), ("off", None, None), ("20%", "half", None),
    ],
)  # fmt: skip
def test_the_setting_goes_before_the_file_and_off_before_both(
    repository: Path, tmp_path: Path, setting: str | None, written: str | None, trial: str | None
) -> None:
    def version(number: str) -> Version:
        directory = repository / MODEL / number
        tokenizer = TextTokenizer(directory / "tokenizer.json", 32, 1)
        return Version(ModelVersion(MODEL, number), read_card(directory), tokenizer, 8, 1)

    if written is not None:
        canary_file(tmp_path, MODEL).write_text(json.dumps({"2": written, "1": "100%"}), "utf-8")
    newest, before = version("2"), version("1")
    reader = CanaryReader(tmp_path, None if setting is None else parse_trial(setting))
    found = asyncio.run(reader.read({MODEL: (newest, before)}, []))
    expected = {} if trial is None else {MODEL: Canary(before, newest, parse_trial(trial))}
    assert found == expected
