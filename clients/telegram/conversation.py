"""What the bot says to a job: the emotions of a text, a command's page, what a button does."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import telegram
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters
from telegram.constants import InlineKeyboardButtonLimit, ParseMode

from clients.telegram.asked import Button, Command, Flooded, Interrupted, Job, NoText, Text
from clients.telegram.gateway import ChoiceRefused, Gateway, GatewayAway
from clients.telegram.outbox import Outbox, Refused
from clients.telegram.state import Choice, State
from clients.telegram.wording.answers import answer, model_name
from clients.telegram.wording.languages import Words, words

logger = logging.getLogger(__name__)

FORGET: Final = "forget"
Field = Literal["model", "profile"]


@dataclass(frozen=True)
class Reply:
    """A message of the bot's."""

    html: str
    keyboard: InlineKeyboardMarkup | None = None


class Conversation:
    """Answers jobs, each once."""

    def __init__(self, bot: telegram.Bot, gateway: Gateway, state: State, outbox: Outbox) -> None:
        self._bot = bot
        self._gateway = gateway
        self._state = state
        self._outbox = outbox

    async def answer(self, job: Job) -> None:
        """Answer one job. A fault of ours is told to its sender, and to the log.

        Raises:
            StateError: the state can't be written.
        """
        try:
            if isinstance(job.asked, Button):
                await self._press(job, job.asked)
            else:
                await self._reply(job, await self._reply_to(job))
        except Refused as refusal:
            logger.info("Telegram refuses an answer: %s", refusal)

    async def apologise(self, job: Job) -> None:
        """Tell its sender that there is no answer, through a fault of ours."""
        try:
            if not isinstance(job.asked, Button):
                await self._reply(job, Reply(words(job.language).broken))
        except Refused as refusal:
            logger.info("Telegram refuses an answer: %s", refusal)

    async def _reply(self, job: Job, reply: Reply) -> None:
        replied = ReplyParameters(job.message_id, allow_sending_without_reply=True) if job.message_id else None

        async def send(chat_id: int) -> telegram.Message:
            return await self._bot.send_message(
                chat_id,
                reply.html,
                parse_mode=ParseMode.HTML,
                reply_parameters=replied,
                message_thread_id=job.thread_id,
                reply_markup=reply.keyboard,
            )

        await self._outbox.send(send, job.chat_id, group=job.group, update_id=job.update_id)

    async def _reply_to(self, job: Job) -> Reply:
        say = words(job.language)
        match job.asked:
            case Text(text):
                return Reply(await self._emotions(text, job.user_id, say))
            case Command(name):
                return await self._page(name, job, say)
            case NoText():
                return Reply(say.no_text)
            case Flooded():
                return Reply(say.flooded)
            case Interrupted():
                return Reply(say.interrupted)
            case Button():
                raise AssertionError("a button is pressed, not replied to")

    async def _emotions(self, text: str, user_id: int, say: Words) -> str:
        choice, gone = self._state.choice(user_id), False
        try:
            try:
                response = await self._gateway.emotions(text, choice)
            except ChoiceRefused as refusal:
                logger.info("the gateway refuses a choice: %s", refusal)
                response = await self._gateway.emotions(text, Choice())
                self._state.choose(user_id, Choice())
                gone = True
        except GatewayAway:
            return say.gateway_away
        return answer(response, say, chose=choice != Choice(), choice_gone=gone)

    async def _page(self, name: str, job: Job, say: Words) -> Reply:
        match name:
            case "start" | "help" if job.group:
                return Reply(say.help_in_groups)
            case "start":
                return Reply(say.start)
            case "help":
                return Reply(say.help)
            case "emotions":
                return Reply(say.emotions_usage)
            case "privacy":
                button = InlineKeyboardButton(say.forget, callback_data=FORGET)
                return Reply(say.privacy, InlineKeyboardMarkup([[button]]))
            case "model" | "profile":
                return await self._choices(name, job.user_id, say)
            case _:
                return Reply(say.unknown_command)

    async def _choices(self, field: Field, user_id: int, say: Words) -> Reply:
        try:
            names = await self._names(field, user_id)
        except GatewayAway:
            return Reply(say.gateway_away)
        return Reply(
            say.choose_model if field == "model" else say.choose_profile,
            _keyboard(field, names, getattr(self._state.choice(user_id), field), say),
        )

    async def _names(self, field: Field, user_id: int) -> list[str]:
        """What can be chosen: the models, or the profiles of the chosen model."""
        models = [model for model in (await self._gateway.models()).models if model.versions]
        if field == "model":
            return [model.model for model in models]
        chosen = self._state.choice(user_id).model
        return [
            profile
            for model in models
            if (model.model == chosen if chosen else model.default)
            for profile in model.versions[0].profiles
        ]

    async def _press(self, job: Job, button: Button) -> None:
        """Do what a button says. All of it may be done twice without harm."""
        say = words(job.language)
        field, _, name = button.data.partition(":")
        keyboard = None
        if button.data == FORGET:
            self._state.choose(job.user_id, Choice())
            told = say.forgotten
        elif field in ("model", "profile"):
            told, keyboard = await self._choose(field, name, job.user_id, say)  # type: ignore[arg-type]
        else:
            told = say.no_such_choice
        await self._tolerant(lambda: self._bot.answer_callback_query(button.query_id, told))
        # In a group others see the same keyboard, and chose something else.
        if keyboard is not None and job.message_id is not None and not job.group:
            await self._outbox.send(
                lambda chat_id: self._bot.edit_message_reply_markup(chat_id, job.message_id, reply_markup=keyboard),
                job.chat_id,
                group=job.group,
            )

    async def _choose(
        self, field: Field, name: str, user_id: int, say: Words
    ) -> tuple[str, InlineKeyboardMarkup | None]:
        try:
            names = await self._names(field, user_id)
        except GatewayAway:
            return say.gateway_away, None
        if name and name not in names:
            return say.no_such_choice, None
        choice = replace(self._state.choice(user_id), **{field: name or None})
        if field == "model":
            self._state.choose(user_id, choice)
            if choice.profile is not None and choice.profile not in await self._names("profile", user_id):
                choice = replace(choice, profile=None)
        self._state.choose(user_id, choice)
        return say.chosen.format(_shown(field, name, say)), _keyboard(field, names, name or None, say)

    async def _tolerant(self, call: Callable[[], Awaitable[bool]]) -> None:
        """Answer a button; Telegram refuses that if it was pressed long ago, and nothing is lost then."""
        try:
            await self._outbox.call(call)
        except Refused as refusal:
            logger.info("Telegram refuses to answer a button: %s", refusal)


def _keyboard(field: Field, names: list[str], chosen: str | None, say: Words) -> InlineKeyboardMarkup:
    buttons = []
    for name in ["", *names]:
        data = f"{field}:{name}"
        if len(data.encode()) > InlineKeyboardButtonLimit.MAX_CALLBACK_DATA:
            logger.warning("%s can't be offered: its name is too long for a button", name)
            continue
        tick = "✓ " if name == (chosen or "") else ""
        buttons.append([InlineKeyboardButton(tick + _shown(field, name, say), callback_data=data)])
    return InlineKeyboardMarkup(buttons)


def _shown(field: Field, name: str, say: Words) -> str:
    if not name:
        return say.default
    return model_name(name) if field == "model" else say.profiles.get(name, name)
