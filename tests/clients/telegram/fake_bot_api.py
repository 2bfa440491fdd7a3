"""A Bot API server for tests, as strict as Telegram's documentation: a fake, since Telegram can't be here.

It keeps updates until they are confirmed by an offset, refuses what Telegram would refuse, misbehaves on request, and
notes every call that breaks one of Telegram's rules in `broken_rules`.
"""

import contextlib
import html.parser
import itertools
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT_ID = 4242424242
SECRET_PART = "AAH-fake_secret_of_the_token_0123456789"  # noqa: S105
TOKEN = f"{BOT_ID}:{SECRET_PART}"
USERNAME = "ru_emotions_bot"
SECONDS_BETWEEN = 1.0
MOST_A_MINUTE = 20
LONGEST_TEXT = 4096
LONGEST_DATA = 64
TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "tg-spoiler", "blockquote"}
METHODS = {
    "getMe": set(),
    "getUpdates": {"offset", "limit", "timeout", "allowed_updates"},
    "deleteWebhook": {"drop_pending_updates"},
    "setWebhook": {"url", "secret_token", "allowed_updates", "max_connections", "drop_pending_updates"},
    "getWebhookInfo": set(),
    "setMyCommands": {"commands", "scope", "language_code"},
    "sendMessage": {
        *("chat_id", "text", "parse_mode", "entities", "reply_parameters", "reply_markup", "message_thread_id"),
        "disable_notification",
    },
    "editMessageReplyMarkup": {"chat_id", "message_id", "reply_markup"},
    "answerCallbackQuery": {"callback_query_id", "text", "show_alert"},
}
Parameters = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call."""

    status: int = 0
    retry_after: int = 0
    delay: float = 0.0
    cut: bool = False
    """The connection is cut before Telegram acts."""
    cut_body: bool = False
    """Telegram acts and answers 200, and the connection is cut in the middle of its answer."""


class Refusal(Exception):  # noqa: N818
    """What Telegram answers with `ok: false`."""

    def __init__(self, status: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.status = status
        self.parameters = parameters


@dataclass
class Sent:
    """A message of the bot's that was accepted."""

    chat_id: int
    text: str
    message_id: int
    reply_to: int | None
    keyboard: list[list[dict[str, str]]]
    at: float


class _Text(html.parser.HTMLParser):
    """Reads a text as parse_mode HTML does."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.plain = ""

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag not in TAGS:
            raise Refusal(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise Refusal(400, f'Bad Request: can\'t parse entities: Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise Refusal(400, "Bad Request: can't parse entities: Unexpected start of a tag")
        self.plain += data


@dataclass
class FakeBotApi:
    """The server's state; one lock guards it all."""

    port: int = 0
    updates: list[dict[str, Any]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    answered_queries: dict[str, str] = field(default_factory=dict)
    edited: list[Parameters] = field(default_factory=list)
    commands: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    webhook: Parameters = field(default_factory=dict)
    calls: list[tuple[str, float]] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)
    tried: dict[int, float] = field(default_factory=dict)
    """When each message was last tried to be answered, successfully or not."""
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    random_fault: Callable[[str], Fault | None] = lambda _: None
    confirmed: int = 0
    _not_before: dict[int, float] = field(default_factory=dict)
    _times: dict[int, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=MOST_A_MINUTE)))
    _condition: threading.Condition = field(default_factory=threading.Condition)
    _polls: int = 0
    _update_ids: Iterator[int] = field(default_factory=lambda: itertools.count(900_000_001))
    _message_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # What people do

    def put(self, **update: Any) -> dict[str, Any]:
        """An update that the bot is to get."""
        with self._condition:
            whole = {"update_id": next(self._update_ids), **update}
            self.updates.append(whole)
            self._condition.notify_all()
        return whole

    def put_again(self, update: dict[str, Any]) -> None:
        """The same update once more, as Telegram sometimes does."""
        with self._condition:
            self.updates.append(update)
            self._condition.notify_all()

    def write(self, text: str | None, chat_id: int = 77, language: str | None = "ru", **more: Any) -> int:
        """Somebody writes a message; its id."""
        message = self.message(text, chat_id, language, **more)
        self.put(message=message)
        return int(message["message_id"])

    def message(self, text: str | None, chat_id: int = 77, language: str | None = "ru", **more: Any) -> dict[str, Any]:
        sender = {"id": abs(chat_id), "is_bot": False, "first_name": "Имя"} | (
            {"language_code": language} if language else {}
        )
        chat = (
            {"id": chat_id, "type": "private"} if chat_id > 0 else {"id": chat_id, "type": "supergroup", "title": "t"}
        )
        with self._condition:
            message_id = next(self._message_ids)
        message = {"message_id": message_id, "date": int(time.time()), "chat": chat, "from": sender, **more}
        if text is not None:
            message["text"] = text
            if text.startswith("/") and "entities" not in more:
                length = len(text.split()[0])
                message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        return message

    def press(self, button: dict[str, str], message: Sent, user_id: int) -> str:
        """Somebody presses a button under a message of the bot's; the query's id."""
        query_id = str(next(self._message_ids))
        chat = {"id": message.chat_id, "type": "private" if message.chat_id > 0 else "supergroup"}
        under = {"message_id": message.message_id, "date": int(time.time()), "chat": chat, "text": message.text}
        sender = {"id": user_id, "is_bot": False, "first_name": "Имя", "language_code": "ru"}
        self.put(
            callback_query={
                "id": query_id,
                "from": sender,
                "chat_instance": "1",
                "data": button["callback_data"],
                "message": under,
            }
        )
        return query_id

    # What the bot did

    def answers_to(self, message_id: int) -> list[Sent]:
        return [sent for sent in list(self.sent) if sent.reply_to == message_id]

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in list(self.calls))

    # The methods

    def do(self, method: str, given: Parameters, fault: Fault | None) -> Any:
        """Act on a call; gives its result."""
        if method not in METHODS:
            raise Refusal(404, "Not Found")
        if unknown := given.keys() - METHODS[method]:
            self._broken(f"{method} has no parameter {sorted(unknown)}")
        with self._condition:
            self.calls.append((method, time.monotonic()))
        if fault is not None and fault.status:
            self._refuse_by(fault, given)
        result = getattr(self, f"_{method}")(given)
        if fault is not None and fault.delay:
            time.sleep(fault.delay)
        return result

    def _refuse_by(self, fault: Fault, given: Parameters) -> None:
        if fault.status == 429:
            if "chat_id" in given:
                self._paced(given["chat_id"])
                self._not_before[given["chat_id"]] = time.monotonic() + fault.retry_after
            description = f"Too Many Requests: retry after {fault.retry_after}"
            raise Refusal(429, description, retry_after=fault.retry_after)
        raise Refusal(
            fault.status,
            {502: "Bad Gateway", 409: "Conflict: terminated by other getUpdates request"}.get(
                fault.status, "Internal Server Error"
            ),
        )

    def _getMe(self, _: Parameters) -> Any:  # noqa: N802
        return {"id": BOT_ID, "is_bot": True, "first_name": "Emotions", "username": USERNAME}

    def _getUpdates(self, given: Parameters) -> Any:  # noqa: N802
        offset, limit, timeout = (
            given.get(name, default) for name, default in (("offset", 0), ("limit", 100), ("timeout", 0))
        )
        allowed = given.get("allowed_updates")
        if not 1 <= limit <= 100:
            self._broken(f"getUpdates has limit {limit}")
        if self.webhook:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        with self._condition:
            self._polls += 1
            mine = self._polls
            self._condition.notify_all()
            if offset > 0:
                self.confirmed = max(self.confirmed, offset)
                self.updates = [update for update in self.updates if update["update_id"] >= offset]
            deadline = time.monotonic() + timeout

            def found() -> list[dict[str, Any]]:
                kinds = [update for update in self.updates if not allowed or update.keys() & set(allowed)]
                return kinds[:limit]

            while not found() and mine == self._polls and (left := deadline - time.monotonic()) > 0:
                self._condition.wait(left)
            if mine != self._polls:
                raise Refusal(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            return found()

    def _deleteWebhook(self, given: Parameters) -> Any:  # noqa: N802
        self.webhook = {}
        if given.get("drop_pending_updates"):
            self.updates.clear()
        return True

    def _setWebhook(self, given: Parameters) -> Any:  # noqa: N802
        self.webhook = given
        return True

    def _getWebhookInfo(self, _: Parameters) -> Any:  # noqa: N802
        return {"url": self.webhook.get("url", ""), "has_custom_certificate": False, "pending_update_count": 0}

    def _setMyCommands(self, given: Parameters) -> Any:  # noqa: N802
        self.commands[given.get("language_code", "")] = given["commands"]
        return True

    def _sendMessage(self, given: Parameters) -> Any:  # noqa: N802
        chat_id, text = given["chat_id"], given["text"]
        self._paced(chat_id)
        self._check_text(text, given)
        keyboard = self._check_keyboard(given)
        reply = given.get("reply_parameters") or {}
        with self._condition:
            message_id = next(self._message_ids)
            self.sent.append(Sent(chat_id, text, message_id, reply.get("message_id"), keyboard, time.monotonic()))
        me = self._getMe({})
        chat = {"id": chat_id, "type": "private" if chat_id > 0 else "supergroup"}
        return {"message_id": message_id, "date": int(time.time()), "chat": chat, "from": me, "text": text}

    def _editMessageReplyMarkup(self, given: Parameters) -> Any:  # noqa: N802
        self._paced(given["chat_id"])
        self._check_keyboard(given)
        if given in self.edited:
            raise Refusal(400, "Bad Request: message is not modified")
        self.edited.append(given)
        return True

    def _answerCallbackQuery(self, given: Parameters) -> Any:  # noqa: N802
        if given["callback_query_id"] in self.answered_queries:
            raise Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self.answered_queries[given["callback_query_id"]] = given["text"]
        return True

    # Telegram's rules

    def _paced(self, chat_id: int) -> None:
        now = time.monotonic()
        with self._condition:
            times = self._times[chat_id]
            if now < self._not_before.get(chat_id, 0.0):
                self._broken(
                    f"chat {chat_id}: called {self._not_before[chat_id] - now:.3f} s before retry_after passed"
                )
            if times and now - times[-1] < SECONDS_BETWEEN:
                self._broken(f"chat {chat_id}: {now - times[-1]:.3f} s after the call before")
            if chat_id < 0 and len(times) == MOST_A_MINUTE and now - times[0] < 60:
                self._broken(f"group {chat_id}: more than {MOST_A_MINUTE} calls in a minute")
            times.append(now)

    def _check_text(self, text: str, given: Parameters) -> None:
        if "entities" in given and "parse_mode" in given:
            raise Refusal(400, "Bad Request: both entities and parse_mode")
        mode = given.get("parse_mode")
        if mode not in (None, "HTML"):
            raise Refusal(400, "Bad Request: unsupported parse_mode")
        plain = text
        if mode == "HTML":
            parser = _Text()
            parser.feed(text)
            parser.close()
            if parser.open:
                raise Refusal(400, "Bad Request: can't parse entities: Can't find end tag")
            plain = parser.plain
        if not plain.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        if len(plain.encode("utf-16-le")) // 2 > LONGEST_TEXT:
            raise Refusal(400, "Bad Request: message is too long")

    def _check_keyboard(self, given: Parameters) -> list[list[dict[str, str]]]:
        rows: list[list[dict[str, str]]] = (given.get("reply_markup") or {}).get("inline_keyboard", [])
        for button in itertools.chain(*rows):
            if not button["text"] or not 1 <= len(button["callback_data"].encode()) <= LONGEST_DATA:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
        return rows

    def _broken(self, rule: str) -> None:
        self.broken_rules.append(rule)


def _read(handler: BaseHTTPRequestHandler) -> Parameters:
    """Parameters in any of the forms that the Bot API allows."""
    given: Parameters = {k: v[0] for k, v in parse_qs(urlsplit(handler.path).query).items()}
    body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
    kind = handler.headers.get("content-type", "")
    if kind.startswith("application/json"):
        given |= json.loads(body)
    elif body:
        assert kind.startswith("application/x-www-form-urlencoded"), kind
        given |= {k: v[0] for k, v in parse_qs(body.decode(), keep_blank_values=True).items()}
    return {name: _value(name, value) for name, value in given.items()}


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in (
        "text",
        "parse_mode",
        "secret_token",
        "url",
        "callback_query_id",
        "language_code",
    ):
        return value
    return json.loads(value)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: FakeBotApi

    def do_POST(self) -> None:
        given = _read(self)
        path = urlsplit(self.path).path
        prefix = f"/bot{TOKEN}/"
        if not path.startswith(prefix):
            self._answer(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
            return
        method = path.removeprefix(prefix)
        queue = self.api.faults[method]
        fault = queue.popleft() if queue else self.api.random_fault(method)
        if method == "sendMessage":
            self.api.tried[(given.get("reply_parameters") or {}).get("message_id", 0)] = time.monotonic()
        if fault is not None and fault.cut:
            self.close_connection = True
            return
        try:
            result = self.api.do(method, given, fault)
        except Refusal as refusal:
            if refusal.status == 502:
                self._answer(502, None)
                return
            failure: dict[str, Any] = {"ok": False, "error_code": refusal.status, "description": str(refusal)}
            if refusal.parameters:
                failure["parameters"] = refusal.parameters
            self._answer(refusal.status, failure)
        else:
            self._answer(200, {"ok": True, "result": result}, cut=fault is not None and fault.cut_body)

    do_GET = do_POST  # noqa: N815

    def _answer(self, status: int, answer: dict[str, Any] | None, cut: bool = False) -> None:
        body = b"<html>Bad Gateway</html>" if answer is None else json.dumps(answer).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("content-type", "text/html" if answer is None else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that hung up, such as a bot that was killed."""


@contextlib.contextmanager
def fake_bot_api() -> Iterator[FakeBotApi]:
    """A running fake on a free port."""
    api = FakeBotApi()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    api.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
