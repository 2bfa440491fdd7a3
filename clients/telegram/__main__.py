"""`python -m clients.telegram`: answer people in Telegram until told to stop.

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 the state can't be written, the address can't be had or Telegram refuses
the webhook, 2 wrong settings, or Telegram does not know the token.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

# What Telegram's durations are from python-telegram-bot's next version on.
os.environ.setdefault("PTB_TIMEDELTA", "true")

import telegram
from telegram.error import InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from clients.telegram.conversation import Conversation
from clients.telegram.gateway import Gateway
from clients.telegram.health import Health
from clients.telegram.log import blot_out_secrets, hide, set_up_log
from clients.telegram.outbox import Outbox, Refused, back_off, follow_request, note_status, seconds
from clients.telegram.settings import Settings, SettingsError, read_settings
from clients.telegram.state import State, StateError
from clients.telegram.updates.intake import Intake
from clients.telegram.updates.polling import Polling, TokenRefused
from clients.telegram.updates.webhook import Webhook, WebhookRefused
from clients.telegram.wording.languages import ENGLISH, RUSSIAN, Words

logger = logging.getLogger("clients.telegram")

GRACE_SECONDS: Final = 20.0
"""For answers that are being made when the stop comes."""
_READ_SECONDS: Final = 60.0
"""A slow answer of Telegram's still means that it acted: giving up early would send the message again."""
_COMMANDS: Final[dict[str | None, Words]] = {None: ENGLISH, "ru": RUSSIAN}
"""By the user's language; None is everybody else's."""


def main(arguments: Sequence[str]) -> int:
    """Run the bot; returns the exit code."""
    blot_out_secrets()
    try:
        settings = read_settings(arguments)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    hide(settings.token, *([settings.gateway_key] if settings.gateway_key else []))
    set_up_log(settings.log_level)
    try:
        asyncio.run(_run(settings))
    except TokenRefused:
        print(
            "error: Telegram does not know this token: it was mistyped or withdrawn. Copy it from @BotFather "
            "(/mybots, API Token) once more",
            file=sys.stderr,
        )
        return 2
    except (StateError, WebhookRefused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    serving = asyncio.create_task(_serve(settings))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        logger.info("stopping: answers under way are finished")
        serving.cancel()
    try:
        await serving
    except asyncio.CancelledError:
        logger.info("stopped")


async def _serve(settings: Settings) -> None:
    """Answer until cancelled; what is being answered then is finished."""
    state = State(settings.state)
    try:
        async with Gateway(settings.gateway_url, settings.gateway_key, settings.patience) as gateway:
            bot = _bot(settings)
            try:
                await _answer_people(settings, bot, gateway, state)
            finally:
                await bot.shutdown()
    finally:
        state.close()


async def _answer_people(settings: Settings, bot: telegram.Bot, gateway: Gateway, state: State) -> None:
    me = await _introduce(bot)
    logger.info("Telegram knows this bot as @%s", me.username)
    outbox, health = Outbox(state), Health(settings.state)
    intake = Intake(me, Conversation(bot, gateway, state, outbox), state, settings.max_waiting)
    intake.take_up_released()
    receiver: Polling | Webhook
    if settings.webhook is None:
        receiver = Polling(bot, intake, outbox, health)
    else:
        receiver = Webhook(bot, intake, outbox, health, url=settings.webhook, listen=settings.listen)
    describing = asyncio.create_task(_describe(bot, outbox))
    receiving = asyncio.create_task(receiver.run())
    try:
        await asyncio.wait({receiving, intake.failed}, return_when=asyncio.FIRST_COMPLETED)
        await (intake.failed if intake.failed.done() else receiving)
    finally:
        describing.cancel()
        receiving.cancel()
        await asyncio.gather(intake.stop(GRACE_SECONDS), receiving, describing, return_exceptions=True)
        await receiver.confirm()


def _bot(settings: Settings) -> telegram.Bot:
    hooks = {"event_hooks": {"request": [follow_request], "response": [note_status]}}
    return telegram.Bot(
        settings.token,
        base_url=f"{settings.api_url}/bot",
        base_file_url=f"{settings.api_url}/file/bot",
        request=HTTPXRequest(
            read_timeout=_READ_SECONDS, write_timeout=20, connect_timeout=10, pool_timeout=60, httpx_kwargs=hooks
        ),
        get_updates_request=HTTPXRequest(connection_pool_size=1, connect_timeout=10, pool_timeout=10),
    )


async def _introduce(bot: telegram.Bot) -> telegram.User:
    """Who the bot is; asked until Telegram answers.

    Raises:
        TokenRefused: Telegram does not know the token.
    """
    failures = 0
    while True:
        try:
            await bot.initialize()
        except InvalidToken:
            raise TokenRefused from None
        except RetryAfter as limit:
            await asyncio.sleep(seconds(limit))
        except (TelegramError, KeyError, TypeError) as error:
            failures += 1
            pause = back_off(failures)
            logger.warning("Telegram can't be reached, next try in %.1f s: %s", pause, error)
            await asyncio.sleep(pause)
        else:
            return bot.bot


async def _describe(bot: telegram.Bot, outbox: Outbox) -> None:
    """Tell Telegram the commands, for its menu, in both languages."""
    for language, say in _COMMANDS.items():
        commands = [*say.commands.items()]
        try:
            await outbox.call(
                lambda commands=commands, language=language: bot.set_my_commands(  # type: ignore[misc]
                    commands, language_code=language
                )
            )
        except Refused as refusal:
            logger.warning("Telegram refuses the list of commands: %s", refusal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
