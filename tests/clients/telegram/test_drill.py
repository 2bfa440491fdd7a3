"""Ten minutes of a Telegram that misbehaves, a bot that is stopped and killed, and people who write on."""

import contextlib
import os
import random
import sqlite3
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from clients.telegram.state import FILE
from clients.telegram.wording.languages import RUSSIAN
from tests.clients.telegram.bot_process import GATEWAY_KEY, running_bot
from tests.clients.telegram.fake_bot_api import FakeBotApi, Fault
from tests.gateway.support.gateway_process import GatewayProcess
from tests.support.triton_process import free_ports
from tests.support.waiting import wait_until

SECONDS = float(os.environ.get("EMOTION_DRILL_SECONDS", "600"))
CHATS = range(1000, 1030)
GROUPS = range(-1000, -1010, -1)
AROUND_A_KILL = 3.0
"""Seconds, on a busy machine, between a call and the end of the bot that made it."""
PHOTO = [{"file_id": "A", "file_unique_id": "B", "width": 90, "height": 90}]


def misbehave(chance: random.Random, method: str) -> Fault | None:
    """A fault for every third call; a conflict and a wait only where Telegram has them."""
    faults = [
        Fault(status=429, retry_after=chance.choice([1, 2, 5])),
        Fault(status=502),
        Fault(status=500),
        Fault(cut=True),
        Fault(cut_body=True),
        Fault(delay=chance.uniform(0.5, 4)),
    ]
    if method == "getUpdates":
        faults = [*faults[1:5], Fault(status=409), faults[0]]
    return chance.choice(faults) if chance.random() < (0.3 if method == "sendMessage" else 0.15) else None


def write_something(api: FakeBotApi, chance: random.Random, wanted: set[int], unwanted: set[int]) -> None:
    """One person does one thing; what is to be answered, and what is not, is noted."""
    chat, group = chance.choice(CHATS), chance.choice(GROUPS)
    match chance.randrange(8):
        case 0 | 1 | 2:
            update = api.put(message=(message := api.message(chance.choice(["рад", "страшно", "злюсь"]), chat)))
            wanted.add(message["message_id"])
            if chance.random() < 0.3:
                api.put_again(update)
                api.put(edited_message=message | {"text": "грустно", "edit_date": message["date"] + 1})
        case 3:
            wanted.add(api.write("\N{GRINNING FACE}" * 4096, chat))
        case 4:
            wanted.add(api.write(None, chat, photo=PHOTO, caption=chance.choice(["рад", None]) or "ого"))
            wanted.add(api.write(None, chance.choice(CHATS), photo=PHOTO))
        case 5:
            unwanted.add(api.write("рад", group))
            unwanted.add(api.write(None, group, photo=PHOTO))
        case 6:
            wanted.add(api.write("/emotions злюсь", group))
        case 7:
            wanted.add(api.write(chance.choice(["/help", "/model", "/privacy"]), chat))


@pytest.mark.drill
@pytest.mark.timeout(SECONDS + 600)
def test_nothing_is_lost_doubled_or_shown(api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path) -> None:
    chance = random.Random(18)  # noqa: S311
    wanted: set[int] = set()
    unwanted: set[int] = set()
    stops, kills = 0, list[float]()

    def missing() -> list[int]:
        return [message for message in sorted(wanted) if not api.answers_to(message) and not lost_by_a_kill(message)]

    def lost_by_a_kill(message: int) -> bool:
        """The bot was killed before it could hear that Telegram refused its call: the one loss that is documented."""
        return any(abs(api.tried.get(message, 0.0) - kill) < AROUND_A_KILL for kill in kills)

    api.random_fault = lambda method: misbehave(chance, method)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with running_bot(api, gateway.url, tmp_path, "--max-waiting=1000", EMOTION_GATEWAY_KEY=GATEWAY_KEY) as bot:
            change = min(end, time.monotonic() + chance.uniform(15, 45))
            while time.monotonic() < change:
                write_something(api, chance, wanted, unwanted)
                time.sleep(chance.uniform(0, 0.6))
            if chance.random() < 0.5:
                stops += 1
            else:
                bot.kill()
                kills.append(time.monotonic())
    api.random_fault = lambda _: None
    with running_bot(api, gateway.url, tmp_path, "--max-waiting=1000", EMOTION_GATEWAY_KEY=GATEWAY_KEY):
        # Telegram keeps no message: each was confirmed. (Edits are not asked for, so they may stay.)
        wait_until(lambda: all("edited_message" in update for update in list(api.updates)), missing)
    assert missing() == []
    counts = Counter(len(api.answers_to(message)) for message in wanted)
    print(f"\n{len(wanted)} messages, answers to each: {dict(counts)}, calls: {Counter(name for name, _ in api.calls)}")
    repeats = sum(sent.text == RUSSIAN.interrupted for sent in api.sent)
    print(f"asked to repeat: {repeats}, {stops} stops, {len(kills)} kills")
    assert counts.keys() <= {0, 1}, "a doubled answer"
    assert counts[0] <= len(kills)
    assert not [message for message in unwanted if api.answers_to(message)]


@pytest.mark.drill
def test_a_webhooks_update_that_must_wait_is_released(api: FakeBotApi, gateway: GatewayProcess, tmp_path: Path) -> None:
    """Ten seconds later Telegram has its connection back; after a kill the sender is asked to repeat the text."""
    (port,) = free_ports(1)
    flags = ("--webhook=https://bot.example.org/telegram", f"--listen=127.0.0.1:{port}")
    message = api.message("рад", 100)
    api.faults["sendMessage"].append(Fault(status=429, retry_after=600))
    with running_bot(api, gateway.url, tmp_path, *flags, EMOTION_GATEWAY_KEY=GATEWAY_KEY) as bot:
        secret = {"X-Telegram-Bot-Api-Secret-Token": api.webhook["secret_token"]}
        with httpx.Client(trust_env=False, timeout=60) as client:
            for _ in range(2):
                update = {"update_id": 5, "message": message}
                begun = time.monotonic()
                assert client.post(f"http://127.0.0.1:{port}/telegram", json=update, headers=secret).status_code == 200
                assert time.monotonic() - begun > 9
        bot.kill()
    # As if the ten minutes had passed.
    api._not_before.clear()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as state:
        state.execute("DELETE FROM pauses")
        state.commit()
    with running_bot(api, gateway.url, tmp_path, *flags, EMOTION_GATEWAY_KEY=GATEWAY_KEY):
        wait_until(lambda: api.answers_to(message["message_id"]))
    assert [sent.text for sent in api.answers_to(message["message_id"])] == [RUSSIAN.interrupted]
