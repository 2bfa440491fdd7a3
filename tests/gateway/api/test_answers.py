"""`POST /v1/emotions` and `GET /v1/models` through the real gateway and the real Triton."""

import json
import random
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.small_model import BALANCED, MAX_BATCH_SIZE, MAX_LENGTH, WORDS, expected

JOY = "Как же я рад тебя видеть!"
LABELS = {
    "no_emotion": "нейтрально",
    "joy": "радость",
    "sadness": "грусть",
    "surprise": "удивление",
    "fear": "страх",
    "anger": "злость",
}


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def ask(client: httpx.Client, **fields: object) -> dict:  # type: ignore[type-arg]
    response = client.post("/v1/emotions", json=fields)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def test_the_shape_to_the_letter(client: httpx.Client) -> None:
    answer = ask(client, text=JOY)
    assert list(answer) == ["model", "version", "profile", "results"]
    assert (answer["model"], answer["version"]) == ("emotion_rubert", "2")
    assert answer["profile"] == "balanced"
    (result,) = answer["results"]
    probabilities = expected(JOY, version=2)
    fields = ("emotion", "label", "probability", "emotions", "probabilities", "tokens", "truncated", "known")
    assert tuple(result) == fields
    assert list(result["probabilities"]) == list(LABELS)
    assert result["probabilities"] == pytest.approx(probabilities, abs=1e-5)
    assert (result["emotion"], result["label"]) == ("joy", "радость")
    assert result["probability"] == result["probabilities"]["joy"]
    joy = {"emotion": "joy", "label": "радость", "probability": result["probability"]}
    assert result["emotions"] == [joy]
    assert result["tokens"] == 20
    assert result["truncated"] is False
    assert result["known"] == 1


@pytest.mark.parametrize(
    ("text", "known"),
    [("рад", 1), ("高 рад", 0.5), ("ქართული ენა", 0), ("高 " * 100, 0), ("рад 高 高", 0.333333), ("", 0), (" \n", 0)],
)
def test_known_is_the_share_of_tokens_that_are_not_unknown(client: httpx.Client, text: str, known: float) -> None:
    assert ask(client, text=text)["results"][0]["known"] == known


@pytest.mark.parametrize(("word", "emotion"), WORDS.items())
def test_every_emotion(client: httpx.Client, word: str, emotion: str) -> None:
    (result,) = ask(client, text=word)["results"]
    assert (result["emotion"], result["label"]) == (emotion, LABELS[emotion])


def test_many_texts_keep_their_order_and_their_answers(client: httpx.Client) -> None:
    chance = random.Random(1)  # noqa: S311
    words = [*WORDS, "дом", "а", "кот", "ну"]
    texts = [" ".join(chance.choices(words, k=chance.randint(0, 12))) for _ in range(200)]
    results = ask(client, texts=texts)["results"]
    assert len(results) == len(texts)
    assert len({result["tokens"] for result in results}) > 15
    for text, result in zip(texts, results, strict=True):
        assert result["probabilities"] == pytest.approx(expected(text, 2), abs=1e-5), text


def test_emotions_are_those_above_their_thresholds_most_probable_first(
    client: httpx.Client,
) -> None:
    text = "рад рад страшно"
    (result,) = ask(client, text=text)["results"]
    assert [entry["emotion"] for entry in result["emotions"]] == ["joy", "fear"]
    probabilities = [entry["probability"] for entry in result["emotions"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(entry["probability"] >= BALANCED[entry["emotion"]] for entry in result["emotions"])


def test_profile_and_threshold(client: httpx.Client) -> None:
    nothing = ask(client, text="дом")
    assert nothing["results"][0]["emotions"] == []
    assert nothing["results"][0]["emotion"] in LABELS
    moderation = ask(client, text="дом", profile="moderation")
    assert moderation["profile"] == "moderation"
    assert [entry["emotion"] for entry in moderation["results"][0]["emotions"]] == ["anger"]
    everything = ask(client, text="дом", threshold=0)
    assert everything["profile"] is None
    assert {entry["emotion"] for entry in everything["results"][0]["emotions"]} == set(LABELS)
    assert ask(client, text=JOY, threshold=1)["results"][0]["emotions"] == []


@pytest.mark.parametrize(
    ("fields", "model", "version"),
    [
        ({}, "emotion_rubert", "2"),
        ({"model": "rubert"}, "emotion_rubert", "2"),
        ({"model": "emotion_rubert", "version": "1"}, "emotion_rubert", "1"),
        ({"model": "xlm"}, "emotion_xlm", "1"),
        ({"model": None, "version": None, "texts": None}, "emotion_rubert", "2"),
    ],
)
def test_model_and_version(client: httpx.Client, fields: dict[str, object], model: str, version: str) -> None:
    answer = ask(client, text=JOY, **fields)
    assert (answer["model"], answer["version"]) == (model, version)
    probabilities = answer["results"][0]["probabilities"]
    assert probabilities == pytest.approx(expected(JOY, int(version)), abs=1e-5)


def test_a_long_text_is_cut(client: httpx.Client) -> None:
    text = "рад " * 10 + "злюсь " * 100
    (result,) = ask(client, text=text)["results"]
    assert (result["tokens"], result["truncated"]) == (MAX_LENGTH, True)
    assert result["probabilities"] == pytest.approx(expected(text, 2), abs=1e-5)
    assert ask(client, text="рад " * 300, truncate=None)["results"][0]["truncated"] is True
    short = ask(client, text="рад", truncate=False)["results"][0]
    assert (short["tokens"], short["truncated"]) == (3, False)


def test_a_text_without_words_is_answered(client: httpx.Client) -> None:
    results = ask(client, texts=["", "рад", " \n\t"])["results"]
    assert [result["tokens"] for result in results] == [2, 3, 2]
    assert results[0] == results[2]
    assert results[1]["emotion"] == "joy"


@pytest.mark.parametrize("text", ["[PAD]", "[SEP]", "<s>", "\0", "😀", "\u202eрад\u202c", "ы\u0301"])
def test_odd_texts_are_texts(client: httpx.Client, text: str) -> None:
    (result,) = ask(client, text=text)["results"]
    assert result["probabilities"] == pytest.approx(expected(text, 2), abs=1e-5)


def test_the_content_type_does_not_matter(client: httpx.Client) -> None:
    body = b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}'
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-foo"}):
        response = client.post("/v1/emotions", content=body, headers=headers)
        assert response.json()["results"][0]["emotion"] == "joy"


def test_models(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()
    assert [(label["en"], label["ru"]) for label in listed["labels"]] == list(LABELS.items())
    assert listed["limits"] == {
        "max_texts": 256,
        "max_characters": 10_000,
        "max_body_bytes": 2 * 1024 * 1024,
        "max_in_flight": 256,
        "request_timeout_seconds": 60.0,
    }
    rubert, xlm = listed["models"]
    assert (rubert["model"], rubert["default"]) == ("emotion_rubert", True)
    assert (xlm["model"], xlm["default"]) == ("emotion_xlm", False)
    assert [(v["version"], v["default"]) for v in rubert["versions"]] == [("2", True), ("1", False)]
    newest = rubert["versions"][0]
    assert (newest["max_length"], newest["max_batch_size"]) == (MAX_LENGTH, MAX_BATCH_SIZE)
    assert newest["base_model"] == "small, version 2"
    assert newest["profiles"]["balanced"]["thresholds"] == BALANCED
    assert newest["profiles"]["balanced"]["costs"]["joy"]["precision"] == 0.7
    assert newest["metrics"] == {"dev": {"roc_auc_mean": 0.95}}
    (left_out,) = listed["unusable"]
    assert (left_out["model"], left_out["version"]) == ("emotion_cardless", "1")
    assert "card.json is not a valid card" in left_out["reason"]


def test_what_is_left_out_is_logged_once(gateway: GatewayProcess, client: httpx.Client) -> None:
    assert client.get("/health/ready").status_code == 200
    assert gateway.log().count("emotion_cardless version 1 is left out") == 1


def test_health(client: httpx.Client) -> None:
    for path in ("/health/live", "/health/ready"):
        assert client.get(path).json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1/models", "/metrics", "/health/ready"])
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.status_code == 200
    assert head.content == b""
    changing = ("x-request-id", "server-timing", "date", *(["content-length"] if path == "/metrics" else []))
    assert [h for h in head.headers.items() if h[0] not in changing] == [
        h for h in get.headers.items() if h[0] not in changing
    ]
    # The connection is not left with bytes of a body.
    assert client.get("/health/live").status_code == 200


def test_an_answer_comes_in_one_piece(gateway: GatewayProcess) -> None:
    url = httpx.URL(gateway.url)
    body = json.dumps({"text": JOY}).encode()
    head = f"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
        for _ in range(20):
            connection.sendall(head + body)
            assert json.loads(connection.recv(65_536).partition(b"\r\n\r\n")[2])["results"]
