"""Ten minutes of a Telegram that misbehaves, a bot that is stopped and killed, and people who write on."""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from clients.telegram.wording.languages import RUSSIAN
from tests.clients.telegram.bot_process import GATEWAY_KEY, running_bot
from tests.clients.telegram.fake_bot_api import FakeBotApi, Fault
from tests.gateway.support.gateway_process import GatewayProcess
from tests.support.waiting import wait_until

SECONDS = float(os.environ.get("EMOTION_DRILL_SECONDS", "600"))
CHATS = range(1000, 1030)
GROUPS = range(-1000, -1010, -1)
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
    ends: Counter[str] = Counter()
    api.random_fault = lambda method: misbehave(chance, method)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with running_bot(api, gateway.url, tmp_path, "--max-waiting=1000", EMOTION_GATEWAY_KEY=GATEWAY_KEY) as bot:
            change = min(end, time.monotonic() + chance.uniform(15, 45))
            while time.monotonic() < change:
                write_something(api, chance, wanted, unwanted)
                time.sleep(chance.uniform(0, 0.6))
            if chance.random() < 0.5:
                ends["stopped"] += 1
            else:
                bot.kill()
                ends["killed"] += 1
    api.random_fault = lambda _: None
    with running_bot(api, gateway.url, tmp_path, EMOTION_GATEWAY_KEY=GATEWAY_KEY):
        wait_until(lambda: all(api.answers_to(message) for message in wanted), lambda: "answers are missing")
    counts = Counter(len(api.answers_to(message)) for message in wanted)
    print(f"\n{len(wanted)} messages, answers to each: {dict(counts)}, calls: {Counter(name for name, _ in api.calls)}")
    print(f"asked to repeat: {sum(sent.text == RUSSIAN.interrupted for sent in api.sent)}, bots: {dict(ends)}")
    assert counts == {1: len(wanted)}
    assert not [message for message in unwanted if api.answers_to(message)]
