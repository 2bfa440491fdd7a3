"""The bot as people meet it: a real process, the real gateway on a real Triton, a fake Telegram."""

import re
from collections.abc import Iterator

import pytest

from clients.telegram.wording.languages import ENGLISH, RUSSIAN
from tests.clients.telegram.bot_process import GATEWAY_KEY, BotProcess, running_bot
from tests.clients.telegram.fake_bot_api import BOT_ID, USERNAME, FakeBotApi, Sent, fake_bot_api
from tests.gateway.support.gateway_process import GatewayProcess
from tests.support.waiting import wait_until

GROUP = -1001


@pytest.fixture(scope="module")
def telegram() -> Iterator[FakeBotApi]:
    with fake_bot_api() as running:
        yield running
        assert running.broken_rules == []


@pytest.fixture(scope="module", autouse=True)
def bot(
    telegram: FakeBotApi, gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BotProcess]:
    state = tmp_path_factory.mktemp("state")
    with running_bot(telegram, gateway.url, state, "--max-waiting=3", EMOTION_GATEWAY_KEY=GATEWAY_KEY) as running:
        yield running
    assert "рад" not in (state / "state.sqlite3").read_bytes().decode("utf-8", "replace")


def answer(telegram: FakeBotApi, message_id: int) -> Sent:
    """The one answer to a message."""
    wait_until(lambda: telegram.answers_to(message_id), lambda: telegram.sent)
    (sent,) = telegram.answers_to(message_id)
    return sent


def assert_ignored(telegram: FakeBotApi, *messages: int) -> None:
    """Nothing was said to these, although a later message was answered."""
    answer(telegram, telegram.write("рад", chat_id=telegram.message(None)["message_id"] + 10**6))
    assert [telegram.answers_to(message) for message in messages] == [[] for _ in messages]


def test_a_text_is_answered_in_the_language_of_its_sender(telegram: FakeBotApi) -> None:
    russian, english, unknown = (
        telegram.write("Я рад!", chat_id, language) for chat_id, language in ((101, "ru-RU"), (102, "en"), (103, None))
    )
    said = answer(telegram, russian).text
    assert said.startswith("В тексте: <b>радость</b> (")
    assert re.search(r"<pre>радость +█+░* +\d+\N{NO-BREAK SPACE}%\n", said)
    assert all(name in said for name in RUSSIAN.emotions.values())
    assert answer(telegram, english).text.startswith("In this text: <b>joy</b> (")
    assert answer(telegram, unknown).text == said


def test_the_commands_are_told_to_telegram_in_both_languages(telegram: FakeBotApi) -> None:
    wait_until(lambda: len(telegram.commands) == 2)
    named = {language: {c["command"]: c["description"] for c in sent} for language, sent in telegram.commands.items()}
    assert named == {"": ENGLISH.commands, "ru": RUSSIAN.commands}


def test_pages_in_both_languages(telegram: FakeBotApi) -> None:
    messages = {
        (name, language): telegram.write(f"/{name}", 10 * number + (language == "ru"), language)
        for number, name in enumerate(("start", "help", "privacy", "emotions", "nonsense"), start=30)
        for language in ("ru", "en")
    }
    for language, say in (("ru", RUSSIAN), ("en", ENGLISH)):
        pages = (say.start, say.help, say.privacy, say.emotions_usage, say.unknown_command)
        for name, page in zip(("start", "help", "privacy", "emotions", "nonsense"), pages, strict=True):
            assert answer(telegram, messages[name, language]).text == page


def test_in_a_group_only_commands_mentions_and_replies(telegram: FakeBotApi) -> None:
    me = {"id": BOT_ID, "is_bot": True, "first_name": "Emotions", "username": USERNAME}
    other = {"id": 5, "is_bot": False, "first_name": "Другой"}
    mention = {"type": "mention", "offset": 0, "length": len(USERNAME) + 1}
    group = iter(range(GROUP, GROUP - 100, -1))

    def by(sender: dict[str, object], text: str, chat_id: int) -> dict[str, object]:
        return telegram.message(text, chat_id) | {"from": sender}

    talk = telegram.write("рад", next(group))
    elsewhere = telegram.write("/start@another_bot", next(group))
    unknown = telegram.write("/weather", next(group))
    to_other = telegram.write("рад", chat := next(group), reply_to_message=by(other, "страшно", chat))
    photo = telegram.write(None, next(group), photo=[photo_size()])
    mentioned = telegram.write(f"@{USERNAME.upper()} рад", next(group), entities=[mention])
    to_bot = telegram.write("страшно", chat := next(group), reply_to_message=by(me, "Привет", chat))
    command = telegram.write(f"/emotions@{USERNAME}", chat := next(group), reply_to_message=by(other, "страшно", chat))
    pointed = telegram.write(
        f"@{USERNAME}", chat := next(group), entities=[mention], reply_to_message=by(other, "рад", chat)
    )
    argument = telegram.write("/emotions злюсь", next(group))
    usage = telegram.write("/emotions", next(group))
    start = telegram.write("/start", next(group))
    for message, said in (
        (mentioned, "<b>радость</b>"),
        (to_bot, "<b>страх</b>"),
        (command, "<b>страх</b>"),
        (pointed, "<b>радость</b>"),
        (argument, "<b>злость</b>"),
        (usage, RUSSIAN.emotions_usage),
        (start, RUSSIAN.help_in_groups),
    ):
        assert said in answer(telegram, message).text
    assert_ignored(telegram, talk, elsewhere, unknown, to_other, photo)


def photo_size() -> dict[str, object]:
    return {"file_id": "A", "file_unique_id": "B", "width": 90, "height": 90, "file_size": 1000}


def test_photos(telegram: FakeBotApi) -> None:
    caption = telegram.write(None, 201, photo=[photo_size()], caption="рад")
    without = telegram.write(None, 202, photo=[photo_size()])
    album = telegram.write(None, 203, photo=[photo_size()], media_group_id="9")
    assert "<b>радость</b>" in answer(telegram, caption).text
    assert answer(telegram, without).text == RUSSIAN.no_text
    assert_ignored(telegram, album)


def test_4096_emoji_and_other_strange_texts(telegram: FakeBotApi) -> None:
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    texts = ["\N{GRINNING FACE}" * 4096, family * 4096, "рад" + "\0" * 10, "\ud83d рад", "<b>&рад", "高兴"]
    messages = [telegram.write(text, 300 + number) for number, text in enumerate(texts)]
    said = [answer(telegram, message).text for message in messages]
    assert said[0].startswith(RUSSIAN.unreadable)
    assert said[1].startswith(RUSSIAN.unreadable)
    assert said[5].startswith(RUSSIAN.unreadable)
    assert all("радость" in text for text in said[2:5])


def test_a_long_text_says_that_only_its_beginning_was_read(telegram: FakeBotApi) -> None:
    assert RUSSIAN.beginning_only in answer(telegram, telegram.write("рад " * 1000, 310)).text


def test_edits_and_repeated_updates_get_no_further_answer(telegram: FakeBotApi) -> None:
    update = telegram.put(message=(message := telegram.message("рад", 320)))
    answer(telegram, message["message_id"])
    telegram.put_again(update)
    telegram.put(edited_message={**message, "text": "страшно", "edit_date": message["date"] + 1})
    assert_ignored(telegram)
    assert len(telegram.answers_to(message["message_id"])) == 1


def test_choices_are_kept_and_shown_and_can_be_deleted(telegram: FakeBotApi) -> None:
    user = 400
    page = answer(telegram, telegram.write("/model", user))
    assert [row[0]["text"] for row in page.keyboard] == ["✓ по умолчанию", "rubert", "xlm"]
    query = telegram.press(page.keyboard[2][0], page, user)
    wait_until(lambda: telegram.edited)
    assert telegram.answered_queries[query] == RUSSIAN.chosen.format("xlm")
    edited = telegram.edited[-1]["reply_markup"]["inline_keyboard"]
    assert [row[0]["text"] for row in edited] == ["по умолчанию", "rubert", "✓ xlm"]
    page = answer(telegram, telegram.write("/profile", user))
    (moderation,) = [row[0] for row in page.keyboard if "злость" in row[0]["text"]]
    telegram.press(moderation, page, user)
    wait_until(lambda: len(telegram.edited) == 2)
    said = answer(telegram, telegram.write("рад", user)).text
    assert said.endswith(RUSSIAN.with_settings.format(model="xlm", profile=RUSSIAN.profiles["moderation"]))
    assert "Модель:" not in answer(telegram, telegram.write("рад", user + 1)).text
    page = answer(telegram, telegram.write("/privacy", user))
    query = telegram.press(page.keyboard[0][0], page, user)
    wait_until(lambda: query in telegram.answered_queries)
    assert telegram.answered_queries[query] == RUSSIAN.forgotten
    assert "Модель:" not in answer(telegram, telegram.write("рад", user)).text


def test_a_button_that_was_made_up(telegram: FakeBotApi) -> None:
    page = answer(telegram, telegram.write("/model", 410))
    for data in ("model:emotion_gone", "nonsense", "profile:nonsense"):
        query = telegram.press({"callback_data": data}, page, 410)
        wait_until(lambda query=query: query in telegram.answered_queries)
        assert telegram.answered_queries[query] == RUSSIAN.no_such_choice


def test_a_flood_gets_one_polite_answer_and_stops_nobody(telegram: FakeBotApi) -> None:
    flood = [telegram.write("рад", 500) for _ in range(30)]
    other = telegram.write("страшно", 501)
    answer(telegram, other)
    assert sum(len(telegram.answers_to(message)) for message in flood) < 4
    wait_until(lambda: sum(len(telegram.answers_to(message)) for message in flood) == 4)
    said = [sent.text for message in flood for sent in telegram.answers_to(message)]
    assert said.count(RUSSIAN.flooded) == 1
    assert "<b>радость</b>" in answer(telegram, telegram.write("рад", 500)).text
    assert max(len(telegram.answers_to(message)) for message in flood) == 1
