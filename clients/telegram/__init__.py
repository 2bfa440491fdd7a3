"""The Telegram bot: a message in, its emotions out, through the gateway's HTTP API.

`python -m clients.telegram` runs it. An update of Telegram's goes this way:

    updates/polling.py or updates/webhook.py → asked.py (what is asked?) → updates/intake.py (whose turn is it?)
    → conversation.py (with gateway.py and wording/) → outbox.py (at Telegram's pace) → Telegram

`state.py` remembers what is answered and what people chose. No text is stored or logged.

The library's `telegram.Bot` makes the calls. Its `Application` is not used: it confirms an update to Telegram before it
is answered, so a kill would lose answers.

May import `contract`, `gateway.api.schemas`, httpx, starlette, uvicorn and python-telegram-bot (the extra `telegram`).
"""
