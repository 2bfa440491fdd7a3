"""Texts in parts, through the real gateway and the real Triton."""

from collections.abc import Iterator
from statistics import fmean

import httpx
import pytest

from contract.labels import EMOTIONS
from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.metrics import figure
from tests.gateway.support.small_model import BALANCED, MAX_LENGTH, expected

REVIEW = "  Рад, рад!! 🤬\u0301 Страшно.\n\nОго — т. е. злюсь? \0Дом. "
SENTENCES = ["Рад, рад!!", "🤬\u0301 Страшно.", "Ого — т. е. злюсь?", "\0Дом."]


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def ask(client: httpx.Client, **fields: object) -> list[dict]:  # type: ignore[type-arg]
    response = client.post("/v1/emotions", json=fields)
    assert response.status_code == 200, response.text
    results: list[dict] = response.json()["results"]  # type: ignore[type-arg]
    return results


def refusal(client: httpx.Client, **fields: object) -> dict:  # type: ignore[type-arg]
    response = client.post("/v1/emotions", json=fields)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert isinstance(error, dict)
    return error


def parts_of(text: str, result: dict) -> list[str]:  # type: ignore[type-arg]
    return [text[part["start"] : part["end"]] for part in result["parts"]]


def test_the_shape_to_the_letter(client: httpx.Client) -> None:
    (result,) = ask(client, text=REVIEW, parts="sentences")
    fields = ("emotion", "label", "probability", "emotions", "probabilities", "tokens", "truncated", "known", "parts")
    assert tuple(result) == fields
    fields = ("start", "end", "emotion", "label", "probability", "emotions", "probabilities", "tokens", "known")
    assert all(tuple(part) == fields for part in result["parts"])


def test_each_sentence_is_answered_as_it_is_alone_and_the_whole_is_their_mean(client: httpx.Client) -> None:
    (result,) = ask(client, text=REVIEW, parts="sentences")
    assert parts_of(REVIEW, result) == SENTENCES
    alone = ask(client, texts=SENTENCES)
    for part, one in zip(result["parts"], alone, strict=True):
        del one["truncated"], part["start"], part["end"]
        assert part.pop("probabilities") == pytest.approx(one.pop("probabilities"), abs=1e-6)
        assert (part["emotion"], part["tokens"], part["known"]) == (one["emotion"], one["tokens"], one["known"])
    for emotion in EMOTIONS:
        mean = fmean(expected(sentence, 2)[emotion] for sentence in SENTENCES)
        assert result["probabilities"][emotion] == pytest.approx(mean, abs=1e-5)
    assert [entry["emotion"] for entry in result["emotions"]] == [
        emotion
        for emotion, probability in sorted(result["probabilities"].items(), key=lambda pair: -pair[1])
        if probability >= BALANCED[emotion]
    ]
    assert result["tokens"] == sum(one["tokens"] for one in alone)
    words = [one["tokens"] - 2 for one in alone]
    known = sum(one["known"] * count for one, count in zip(alone, words, strict=True)) / sum(words)
    assert result["known"] == pytest.approx(known, abs=1e-5)
    assert result["known"] < 1
    assert result["truncated"] is False


def test_nothing_of_a_long_sentence_is_cut_off(client: httpx.Client) -> None:
    text = "Ого! Рад " + "рад " * 50 + "злюсь " * 50 + ". Дом."
    for truncate in (True, False):
        (result,) = ask(client, text=text, parts="sentences", truncate=truncate)
        places = [(part["start"], part["end"]) for part in result["parts"]]
        assert places == sorted(places)
        assert parts_of(text, result)[0] == "Ого!"
        assert parts_of(text, result)[-1] == "Дом."
        assert "".join(parts_of(text, result)).replace(" ", "") == text.replace(" ", "")
        assert all(part["tokens"] <= MAX_LENGTH for part in result["parts"])
        for part in result["parts"]:
            own = expected(text[part["start"] : part["end"]], 2)
            assert part["probabilities"] == pytest.approx(own, abs=1e-5)
        # In equal windows, not in full ones and a rest of a token or two.
        assert min(part["tokens"] for part in result["parts"][1:-1]) > MAX_LENGTH / 2


def test_windows_are_as_few_as_can_be(client: httpx.Client) -> None:
    text = " Рад. " + "рад! " * 40
    (short,) = ask(client, text="Рад. Страшно.", parts="windows")
    assert parts_of("Рад. Страшно.", short) == ["Рад. Страшно."]
    (long,) = ask(client, text=text, parts="windows", version="1")
    assert [part["tokens"] for part in long["parts"]] == [30, 29, 29]
    assert long["parts"][0]["start"] == 1
    assert long["parts"][-1]["end"] == len(text) - 1


@pytest.mark.parametrize("kind", ["sentences", "windows"])
def test_many_texts_of_which_some_have_no_words(client: httpx.Client, kind: str) -> None:
    texts = ["", "Рад. Ого!", " \n ", "\0", "злюсь " * 100]
    results = ask(client, texts=texts, parts=kind)
    assert [parts_of(text, result) for text, result in zip(texts[:4], results[:4], strict=True)] == [
        [""],
        ["Рад.", "Ого!"] if kind == "sentences" else ["Рад. Ого!"],
        [" \n "],
        ["\0"],
    ]
    assert results[0]["probabilities"] == results[2]["probabilities"]
    assert results[4]["emotion"] == "anger"


def test_a_request_without_parts_is_answered_as_before(client: httpx.Client) -> None:
    for fields in ({}, {"parts": None}):
        (result,) = ask(client, text="злюсь " * 100, **fields)
        assert (result["truncated"], "parts" in result) == (True, False)


def test_all_parts_of_a_request_count_as_its_texts(client: httpx.Client) -> None:
    assert len(ask(client, texts=["Рад. " * 128] * 2, parts="sentences")[1]["parts"]) == 128
    detail = "sentences or more in all, and a request may have 256 (max_texts): send fewer texts at a time, or shorter"
    error = refusal(client, texts=["Рад. " * 128, "Рад. " * 129], parts="sentences")
    assert error["pointer"] == "#/texts"
    assert f"257 {detail}" in error["detail"]
    error = refusal(client, text="Рад! " * 2000, parts="sentences")
    assert error["pointer"] == "#/text"
    error = refusal(client, texts=["рад " * 2400] * 4, parts="windows")
    assert "windows or more in all" in error["detail"]


def test_other_kinds_of_parts_are_refused(client: httpx.Client) -> None:
    error = refusal(client, text="Рад.", parts="words")
    assert error == {"pointer": "#/parts", "detail": "must be 'sentences' or 'windows'"}


def test_figures_count_texts_and_tokens_of_parts(client: httpx.Client) -> None:
    labels = {"model": "emotion_rubert", "version": "2"}
    metrics = ("emotion_text_tokens_count", "emotion_text_tokens_sum")
    rows, tokens = (figure(client, name, **labels) for name in metrics)
    joyful = figure(client, "emotion_predicted_total", **labels, emotion="joy")
    (result,) = ask(client, text="Рад. Рад. Рад, ого.", parts="sentences")
    assert figure(client, metrics[0], **labels) - rows == 3
    assert figure(client, metrics[1], **labels) - tokens == result["tokens"]
    assert figure(client, "emotion_predicted_total", **labels, emotion="joy") - joyful == 1
