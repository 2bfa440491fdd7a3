"""Telegram and the gateway misbehave, the bot is stopped and killed: one answer each, and no secret gets out."""

import contextlib
import re
import signal
import sqlite3
from pathlib import Path

import httpx

from clients.telegram.state import FILE
from clients.telegram.wording.languages import RUSSIAN
from tests.clients.telegram.bot_process import GATEWAY_KEY, assert_tells_nothing, running_bot, start_bot
from tests.clients.telegram.fake_bot_api import FakeBotApi, Fault
from tests.gateway.support.gateway_process import GatewayProcess
from tests.support.triton_process import free_ports
from tests.support.waiting import SECONDS, wait_until

AWAY = "http://127.0.0.1:9"
KEY = {"EMOTION_GATEWAY_KEY": GATEWAY_KEY}


def test_every_message_gets_one_answer_whatever_telegram_does(
    api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path
) -> None:
    api.faults["getMe"].append(Fault(status=502))
    api.faults["setMyCommands"].append(Fault(status=429, retry_after=1))
    api.faults["getUpdates"].extend([Fault(status=409), Fault(cut_body=True)])
    sends = [
        Fault(status=429, retry_after=2),
        Fault(status=502),
        Fault(status=500),
        Fault(cut=True),
        Fault(cut_body=True),
        Fault(delay=1.5),
    ]
    api.faults["sendMessage"].extend(sends)
    messages = [api.write("рад", 100 + number) for number in range(len(sends))]
    with running_bot(api, gateway.url, tmp_path, **KEY) as bot:
        wait_until(lambda: all(api.answers_to(message) for message in messages), bot.output)
        assert "/bot4242424242:…/sendMessage" in bot.output(), "httpx logs URLs: without one the test shows nothing"
        assert "409 Conflict" in bot.output()
        assert "Stop the other instance" in bot.output()
        wait_until(lambda: api.confirmed > max(update["update_id"] for update in api.updates or [{"update_id": 0}]))
        assert [len(api.answers_to(message)) for message in messages] == [1] * len(messages)
        assert api.count("sendMessage") == 9


def test_a_stop_finishes_the_answer_under_way_and_leaves_the_next_ones_to_the_next_run(
    api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path
) -> None:
    api.faults["sendMessage"].append(Fault(delay=2.0))
    messages = [api.write("рад", 100) for _ in range(3)]
    with running_bot(api, gateway.url, tmp_path, **KEY) as bot:
        wait_until(lambda: api.sent, bot.output)
        assert bot.stop(signal.SIGINT) == 0
        assert [len(api.answers_to(message)) for message in messages] == [1, 0, 0]
    with running_bot(api, gateway.url, tmp_path, **KEY):
        wait_until(lambda: all(api.answers_to(message) for message in messages))
    assert [len(api.answers_to(message)) for message in messages] == [1, 1, 1]


def test_a_kill_loses_nothing_and_doubles_nothing(api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path) -> None:
    answered = api.write("рад", 100)
    api.faults["sendMessage"].extend([Fault(), Fault(status=429, retry_after=4), Fault(delay=30.0)])
    with running_bot(api, gateway.url, tmp_path, **KEY) as bot:
        wait_until(lambda: api.answers_to(answered), bot.output)
        refused, slow = api.write("рад", 101), api.write("рад", 102)
        wait_until(lambda: api.answers_to(slow) or api.answers_to(refused), bot.output)
        # Killed before it has noted the 429, the bot would have to take its message for answered.
        wait_until(lambda: "Telegram asks to wait 4 s" in bot.output(), bot.output)
        bot.kill()
    waiting = api.write("рад", 103)
    with running_bot(api, gateway.url, tmp_path, **KEY):
        wait_until(lambda: api.answers_to(waiting) and api.answers_to(refused) and api.answers_to(slow))
    assert [len(api.answers_to(message)) for message in (answered, refused, slow, waiting)] == [1, 1, 1, 1]


def test_what_was_confirmed_unanswered_is_asked_for_again_after_a_kill(
    api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """A hundred messages behind one that Telegram does not let through: others must not wait for it."""
    api.faults["sendMessage"].append(Fault(status=429, retry_after=600))
    with running_bot(api, gateway.url, tmp_path, **KEY) as bot:
        stuck = api.write("рад", 100)
        wait_until(lambda: api.count("sendMessage") == 1, bot.output)
        for _ in range(100):
            api.write("talk", -5)
        behind = api.write("рад", 102)
        wait_until(lambda: api.answers_to(behind), bot.output)
        bot.kill()
    # As if the ten minutes had passed.
    api._not_before.clear()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as state:
        state.execute("DELETE FROM pauses")
        state.commit()
    with running_bot(api, gateway.url, tmp_path, **KEY):
        wait_until(lambda: api.answers_to(stuck))
    (sent,) = api.answers_to(stuck)
    assert sent.text == RUSSIAN.interrupted


def test_a_gateway_that_is_away(api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path) -> None:
    with running_bot(api, AWAY, tmp_path, "--patience=1") as bot:
        text, page = api.write("рад", 100), api.write("/model", 101)
        wait_until(lambda: api.answers_to(text) and api.answers_to(page), bot.output)
        assert {api.answers_to(message)[0].text for message in (text, page)} == {RUSSIAN.gateway_away}
        assert bot.output().count("the gateway is away") == 2
    with running_bot(api, gateway.url, tmp_path, EMOTION_GATEWAY_KEY="x" * 20) as bot:
        text = api.write("рад", 102)
        wait_until(lambda: api.answers_to(text), bot.output)
        assert "the gateway refuses: 401" in bot.output()


def test_a_token_that_telegram_does_not_know(api: FakeBotApi, tmp_path: Path) -> None:
    wrong = "123456789:AAwrong-token_that_nobody_may_read"
    bot = start_bot(tmp_path, f"--api-url={api.url}", EMOTION_TELEGRAM_TOKEN=wrong)
    assert bot.process.wait(SECONDS) == 2
    assert "error: Telegram does not know this token" in bot.output()
    assert "AAwrong" not in bot.output()
    assert "Traceback" not in bot.output()
    bot.output_path.unlink()


def test_a_damaged_state_is_told_and_set_aside(api: FakeBotApi, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database " * 1000)
    with running_bot(api, AWAY, tmp_path) as bot:
        assert "is damaged" in bot.output()
    assert [path.read_bytes()[:11] for path in tmp_path.glob("*.damaged-*")] == [b"no database"]


def test_webhook(api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    flags = ("--webhook=https://bot.example.org/telegram", f"--listen=127.0.0.1:{port}")
    with (
        running_bot(api, gateway.url, tmp_path, *flags, **KEY) as bot,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SECONDS) as client,
    ):
        assert api.webhook["url"] == "https://bot.example.org/telegram"
        assert api.webhook["allowed_updates"] == ["message", "callback_query"]
        secret = {"X-Telegram-Bot-Api-Secret-Token": api.webhook["secret_token"]}
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,256}", api.webhook["secret_token"])
        message = api.message("рад", 100)
        update = {"update_id": 5, "message": message}
        assert client.post("/telegram", json=update).status_code == 403
        wrong = {"X-Telegram-Bot-Api-Secret-Token": "я".encode()}
        assert client.post("/telegram", json=update, headers=wrong).status_code == 403
        assert client.post("/telegram", json=update, headers=secret).status_code == 200
        assert "<b>радость</b>" in api.answers_to(message["message_id"])[0].text
        assert client.post("/telegram", json=update, headers=secret).status_code == 200
        assert client.post("/telegram", content=b"{}", headers=secret).status_code == 400
        assert client.post("/telegram", content=b" " * (2 << 20), headers=secret).status_code == 413
        assert client.get("/telegram", headers=secret).status_code == 405
        assert client.post("/elsewhere", json=update, headers=secret).status_code == 404
        assert len(api.answers_to(message["message_id"])) == 1
        assert api.webhook["secret_token"] not in bot.output()


def test_a_secret_typed_as_a_flag_is_not_printed(tmp_path: Path) -> None:
    bot = start_bot(tmp_path, "--token=123456789:AAF-secret_that_was_typed_as_a_flag")
    assert bot.process.wait(SECONDS) == 2
    assert "unrecognized arguments: --token=123456789:…" in bot.output()
    assert_tells_nothing(bot.output())
    assert "AAF-secret" not in bot.output()
    bot.output_path.unlink()
