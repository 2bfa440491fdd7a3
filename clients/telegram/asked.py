"""What an update asks of the bot, if anything: a job. Decides who is answered in a group."""

import re
from dataclasses import dataclass, replace
from typing import Final

from telegram import CallbackQuery, Message, Update, User
from telegram.constants import ChatType

from clients.telegram.wording.languages import ENGLISH

COMMANDS: Final = frozenset(ENGLISH.commands)
MOST_CHARACTERS: Final = 4096
"""Of a text; Telegram's own limit for a message, and far more than a model reads."""

_COMMAND: Final = re.compile(r"^/([A-Za-z0-9_]{1,32})(?:@(\w+))?(?!\S)\s*(.*)$", re.DOTALL)


@dataclass(frozen=True)
class Text:
    """A text whose emotions are wanted."""

    text: str


@dataclass(frozen=True)
class Command:
    """A command of `COMMANDS`, or one that the bot does not have."""

    name: str


@dataclass(frozen=True)
class NoText:
    """A photo, a sticker or the like without a word, in a private chat."""


@dataclass(frozen=True)
class Button:
    """A button of the bot's own was pressed."""

    query_id: str
    data: str


@dataclass(frozen=True)
class Flooded:
    """Its sender has too many messages waiting."""


@dataclass(frozen=True)
class Interrupted:
    """The bot was ended before it could answer, and its text is gone."""


Asked = Text | Command | NoText | Button | Flooded | Interrupted


@dataclass(frozen=True)
class Job:
    """One update that is to be answered."""

    update_id: int
    chat_id: int
    group: bool
    user_id: int
    language: str | None
    """IETF tag of the sender's own Telegram, such as `ru`; None if Telegram does not tell."""
    message_id: int | None
    """The message to reply to; for a button, the message it is at. None if there is none any more."""
    thread_id: int | None
    asked: Asked

    def instead(self, asked: Asked) -> "Job":
        """The same update, asking something else."""
        return replace(self, asked=asked)


def job_of(update: Update, me: User) -> Job | None:
    """What an update asks; None if the bot has nothing to say to it (an edited message, talk in a group)."""
    if update.callback_query is not None:
        return _pressed(update.update_id, update.callback_query)
    if update.message is None:
        return None
    asked = _asked(update.message, me)
    return None if asked is None else _job(update.update_id, update.message, asked)


def _job(update_id: int, message: Message, asked: Asked) -> Job:
    sender = message.from_user
    # All administrators who hide behind their groups share one id as users.
    who = message.sender_chat or sender or message.chat
    return Job(
        update_id=update_id,
        chat_id=message.chat.id,
        group=message.chat.type != ChatType.PRIVATE,
        user_id=who.id,
        language=sender.language_code if sender else None,
        message_id=message.message_id,
        thread_id=message.message_thread_id if message.is_topic_message else None,
        asked=asked,
    )


def _pressed(update_id: int, query: CallbackQuery) -> Job:
    message = query.message
    return Job(
        update_id=update_id,
        chat_id=message.chat.id if message else query.from_user.id,
        group=message is not None and message.chat.type != ChatType.PRIVATE,
        user_id=query.from_user.id,
        language=query.from_user.language_code,
        message_id=message.message_id if message and message.is_accessible else None,
        thread_id=None,
        asked=Button(query.id, query.data or ""),
    )


def _asked(message: Message, me: User) -> Asked | None:
    sender = message.from_user
    # Administrators who hide behind their group come as a bot, with `sender_chat`.
    if sender is not None and sender.is_bot and message.sender_chat is None:
        return None
    private = message.chat.type == ChatType.PRIVATE
    command = _command(message)
    if command is not None:
        return _commanded(message, me, private, *command)
    text = _text(message)
    if private:
        if text:
            return Text(text)
        # Of an album only one photo has the caption.
        return NoText() if message.effective_attachment and message.media_group_id is None else None
    mention = re.compile(rf"(?<!\w)@{re.escape(me.username or '')}\b", re.IGNORECASE)
    mentioned = _is_mentioned(message, mention, me)
    if not mentioned and not _is_from(message.reply_to_message, me):
        return None
    text = mention.sub(" ", text).strip()
    if not text and mentioned:
        return _of_replied(message) or Command("emotions")
    return Text(text) if text else None


def _commanded(message: Message, me: User, private: bool, name: str, bot: str, argument: str) -> Asked | None:
    if bot and bot.lower() != (me.username or "").lower():
        return None
    if name == "emotions":
        return Text(argument) if argument else _of_replied(message) or Command(name)
    # In a group it may be another bot's.
    return Command(name) if name in COMMANDS or private or bot else None


def _command(message: Message) -> tuple[str, str, str] | None:
    """The command that a message begins with, the bot it is for (or nothing) and what follows."""
    match = _COMMAND.match(message.text or message.caption or "")
    return None if match is None else (match[1].lower(), match[2] or "", _sendable(match[3]))


def _is_mentioned(message: Message, mention: re.Pattern[str], me: User) -> bool:
    """Whether the bot's name is in a message, or a link to it that shows another name."""
    linked = {entity.user.id for entity in (*message.entities, *message.caption_entities) if entity.user is not None}
    return me.id in linked or mention.search(message.text or message.caption or "") is not None


def _is_from(message: Message | None, me: User) -> bool:
    return message is not None and message.from_user is not None and message.from_user.id == me.id


def _of_replied(message: Message) -> Text | None:
    """The text of the message that this one replies to, or the part of it that was quoted."""
    if message.quote is not None and (quoted := _sendable(message.quote.text)):
        return Text(quoted)
    replied = message.reply_to_message
    return Text(text) if replied is not None and (text := _text(replied)) else None


def _text(message: Message) -> str:
    return _sendable(message.text or message.caption or "")


def _sendable(text: str) -> str:
    """A text as UTF-8 can carry it: half a surrogate pair becomes a question mark."""
    return text.strip()[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
