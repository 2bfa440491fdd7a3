"""What is said: answers, languages, the log without secrets, and settings that can't work."""

import io
import re
from dataclasses import fields
from typing import Any

import pytest

import clients.telegram.log
from clients.telegram.log import BlottedStream, hide
from clients.telegram.settings import SettingsError, read_settings
from clients.telegram.wording.answers import answer
from clients.telegram.wording.languages import ENGLISH, RUSSIAN, Words, words
from contract.labels import EMOTIONS, LABELS
from gateway.api.schemas import EmotionsResponse
from tests.support.triton_process import ROOT


def response(probabilities: dict[str, float], found: list[str], **more: Any) -> EmotionsResponse:
    every = dict.fromkeys(EMOTIONS, 0.01) | probabilities
    top = max(every, key=lambda emotion: every[emotion])
    result = {
        "emotion": top,
        "label": LABELS[top],
        "probability": every[top],
        "probabilities": every,
        "emotions": [{"emotion": name, "label": LABELS[name], "probability": every[name]} for name in found],
        "tokens": 9,
        "truncated": False,
        "known": 1.0,
        **more,
    }
    return EmotionsResponse.model_validate(
        {"model": "emotion_<x>", "version": "3", "profile": "balanced", "results": [result]}
    )


@pytest.mark.parametrize(
    ("say", "probabilities", "found", "beginning"),
    [
        (RUSSIAN, {"joy": 0.98}, ["joy"], "В тексте: <b>радость</b> (98\u00a0%).\n"),
        (ENGLISH, {"joy": 0.98, "fear": 0.5}, ["joy", "fear"], "In this text: <b>joy</b> (98%), <b>fear</b> (50%).\n"),
        (RUSSIAN, {"no_emotion": 0.9}, ["no_emotion"], "Текст звучит нейтрально (90\u00a0%).\n"),
        (ENGLISH, {"anger": 0.2}, [], "No emotion is certain. The closest: <b>anger</b> (20%).\n"),
    ],
)
def test_findings(say: Words, probabilities: dict[str, float], found: list[str], beginning: str) -> None:
    said = answer(response(probabilities, found), say, chose=False, choice_gone=False)
    assert said.startswith(beginning)
    bars = re.findall(r"^(?:<pre>)?(\S.*?) +(█*░*) +(\d+)", said, re.MULTILINE)
    assert sorted(name for name, _, _ in bars) == sorted(say.emotions.values())
    assert all(len(bar) == 8 for _, bar, _ in bars)
    assert [int(percent) for _, _, percent in bars] == sorted((int(p) for _, _, p in bars), reverse=True)
    assert max(len(line) for line in re.sub("<.*?>", "", said).splitlines()[1:]) <= 26


def test_notes() -> None:
    said = answer(response({"joy": 0.9}, ["joy"], truncated=True, known=0.2), RUSSIAN, chose=True, choice_gone=False)
    assert RUSSIAN.beginning_only in said
    assert RUSSIAN.partly_readable in said
    assert "Модель: &lt;x&gt;. Режим оценки: сбалансированный." in said
    assert RUSSIAN.choice_gone in answer(response({}, []), RUSSIAN, chose=True, choice_gone=True)
    unknown = answer(response({}, [], known=0.0), RUSSIAN, chose=False, choice_gone=False)
    assert unknown == RUSSIAN.unreadable


@pytest.mark.parametrize(
    ("tag", "say"), [("ru", RUSSIAN), ("RU-ru", RUSSIAN), (None, RUSSIAN), ("en-GB", ENGLISH), ("uk", ENGLISH)]
)
def test_languages(tag: str | None, say: Words) -> None:
    assert words(tag) is say


def test_both_languages_say_everything_and_telegram_takes_the_commands() -> None:
    for name in (field.name for field in fields(Words)):
        russian, english = getattr(RUSSIAN, name), getattr(ENGLISH, name)
        if isinstance(russian, dict):
            assert russian.keys() == english.keys()
        else:
            assert re.findall(r"\{\w*\}", russian) == re.findall(r"\{\w*\}", english)
    for say in (RUSSIAN, ENGLISH):
        assert all(re.fullmatch("[a-z0-9_]{1,32}", name) for name in say.commands)
        assert all(1 <= len(text) <= 256 for text in say.commands.values())


def test_secrets_are_blotted_out_wherever_a_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients.telegram.log, "_SECRETS", set())
    hide("123456:short-one", "key/with+signs")
    shown = io.StringIO()
    stream = BlottedStream(shown)
    line = "https://api/bot123456:short-one/getMe bot123456%3Ashort-one key/with+signs key%2Fwith%2Bsigns\n"
    for letter in line:
        stream.write(letter)
        stream.flush()
    stream.write("another token 7654321:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc without an end")
    stream.close_line()
    assert shown.getvalue() == (
        "https://api/bot123456:…/getMe bot123456%3A… … …\nanother token 7654321:… without an end"
    )


@pytest.mark.parametrize(
    ("flags", "token", "said"),
    [
        ([], "", "there is no token"),
        ([], "no token", "that is no bot token"),
        (["--token-file=/nowhere"], "", "/nowhere can't be read"),
        (["--token-file=README.md"], "1:a", "contradict each other"),
        (["--token-file=README.md"], "", "must hold one secret"),
        (["--webhook=http://example.org"], "1:a", "--webhook"),
        (["--webhook=https://example.org:port"], "1:a", "--webhook"),
        (["--listen=8081"], "1:a", "--listen"),
        (["--max-waiting=0"], "1:a", "from 1 on"),
        (["--gateway-url=localhost"], "1:a", "--gateway-url"),
        (["--log-level=loud"], "1:a", "--log-level"),
    ],
)
def test_settings_that_can_not_work(flags: list[str], token: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("EMOTION_TELEGRAM_TOKEN", token)
    with pytest.raises(SettingsError) as refused:
        read_settings(flags)
    assert said in str(refused.value)
    assert "no token" not in str(refused.value) or not token
