"""What an update asks, and of whom nothing is wanted."""

from typing import Any

import pytest
from telegram import Update, User

from clients.telegram.asked import Button, Command, NoText, Text, job_of

ME = User(4242, "Emotions", True, username="ru_emotions_bot")
ANNA: dict[str, Any] = {"id": 7, "is_bot": False, "first_name": "A", "language_code": "en"}
PHOTO = {"photo": [{"file_id": "A", "file_unique_id": "B", "width": 1, "height": 1}]}
STICKER = {
    "sticker": {
        "file_id": "A",
        "file_unique_id": "B",
        "type": "regular",
        "width": 1,
        "height": 1,
        "is_animated": False,
        "is_video": False,
    }
}


def asked(kind: str = "private", **message: Any) -> Any:
    whole = {"message_id": 1, "date": 1, "chat": {"id": 7 if kind == "private" else -7, "type": kind}, "from": ANNA}
    job = job_of(Update.de_json({"update_id": 5, "message": whole | message}, None), ME)
    return job.asked if job else None


def entity(kind: str, text: str, offset: int = 0, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": len(text.encode("utf-16-le")) // 2, **more}


def command(text: str, **more: Any) -> dict[str, Any]:
    return {"text": text, "entities": [entity("bot_command", text.split()[0])], **more}


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ({"text": "рад"}, Text("рад")),
        ({"text": "  рад\n"}, Text("рад")),
        ({"text": " \u00a0 "}, None),
        ({"text": "/не команда"}, Text("/не команда")),
        ({"text": "x" * 9000}, Text("x" * 4096)),
        ({"text": "\ud83d"}, Text("?")),
        (command("/HELP"), Command("help")),
        (command("/start from-a-link"), Command("start")),
        (command("/start@ru_EMOTIONS_bot"), Command("start")),
        (command("/start@another_bot"), None),
        ({"text": "/start/path"}, Text("/start/path")),
        ({"text": "/emotions\nрад"}, Text("рад")),
        (command("/emotions рад ли я"), Text("рад ли я")),
        (command("/emotions", reply_to_message={"text": "злюсь"}), Text("злюсь")),
        (command("/emotions", reply_to_message={"text": "злюсь"}, quote={"text": "злю", "position": 0}), Text("злю")),
        (command("/emotions", reply_to_message={"caption": "злюсь", **PHOTO}), Text("злюсь")),
        (command("/emotions", reply_to_message=PHOTO), Command("emotions")),
        ({**PHOTO, "caption": "рад"}, Text("рад")),
        (PHOTO, NoText()),
        (STICKER, NoText()),
        ({**PHOTO, "media_group_id": "1"}, None),
        ({"new_chat_title": "service message"}, None),
        ({"text": "рад", "from": {"id": 9, "is_bot": True, "first_name": "Bot"}}, None),
    ],
)
def test_in_a_private_chat(message: dict[str, Any], wanted: object) -> None:
    if "reply_to_message" in message:
        place = {"message_id": 2, "date": 1, "chat": {"id": 7, "type": "private"}}
        message = message | {"reply_to_message": message["reply_to_message"] | place}
    assert asked(**message) == wanted


SMILE = "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ({"text": "рад"}, None),
        (PHOTO, None),
        ({"text": "anna@ru_emotions_bot рад"}, None),
        (
            {"text": f"{SMILE} @ru_emotions_bot рад", "entities": [entity("mention", "@ru_emotions_bot", 3)]},
            Text(f"{SMILE}   рад"),
        ),
        ({"text": "@ru_emotions_bots рад", "entities": [entity("mention", "@ru_emotions_bots")]}, None),
        (
            {"text": "Бот, рад", "entities": [entity("text_mention", "Бот", user=ME.to_dict())]},
            Text("Бот, рад"),
        ),
        (
            {"caption": "@ru_emotions_bot рад", "caption_entities": [entity("mention", "@ru_emotions_bot")], **PHOTO},
            Text("рад"),
        ),
        ({"text": "@ru_emotions_bot", "entities": [entity("mention", "@ru_emotions_bot")]}, Command("emotions")),
        (command("/help"), Command("help")),
        (command("/weather"), None),
        (command("/weather@ru_emotions_bot"), Command("weather")),
        (
            command(
                "/help",
                **{"from": {"id": 1087968824, "is_bot": True, "first_name": "Group"}},
                sender_chat={"id": -7, "type": "supergroup"},
            ),
            Command("help"),
        ),
    ],
)
def test_in_a_group(message: dict[str, Any], wanted: object) -> None:
    assert asked("supergroup", **message) == wanted


def test_whose_turn_and_language_it_is() -> None:
    message = {"message_id": 9, "date": 1, "chat": {"id": -7, "type": "supergroup"}, "from": ANNA, **command("/help")}
    topic = message | {"message_thread_id": 3, "is_topic_message": True}
    job = job_of(Update.de_json({"update_id": 5, "message": topic}, None), ME)
    assert job is not None
    assert (job.update_id, job.chat_id, job.group, job.user_id) == (5, -7, True, 7)
    assert (job.language, job.message_id, job.thread_id) == ("en", 9, 3)


def test_a_button_under_a_message_that_is_gone() -> None:
    message = {"message_id": 9, "date": 0, "chat": {"id": 7, "type": "private"}}
    query = {"id": "1", "from": ANNA, "chat_instance": "1", "data": "forget", "message": message}
    job = job_of(Update.de_json({"update_id": 5, "callback_query": query}, None), ME)
    assert job is not None
    assert (job.message_id, job.asked) == (None, Button("1", "forget"))


@pytest.mark.parametrize("kind", ["edited_message", "channel_post"])
def test_other_updates_ask_nothing(kind: str) -> None:
    message = {"message_id": 9, "date": 1, "chat": {"id": 7, "type": "private"}, "from": ANNA, "text": "рад"}
    assert job_of(Update.de_json({"update_id": 5, kind: message}, None), ME) is None
