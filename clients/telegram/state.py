"""What must outlive a restart: which updates are answered, whom to leave alone, what people chose. Never a text.

One SQLite file. An update has one of these states:

- `sending`: its answer is being sent. If the bot is killed now, the answer counts as sent: Telegram acts on a request
  within moments of getting it, and has no way to be asked.
- `done`: it is answered, or was not to be answered.
- `released`: it was confirmed to Telegram before it was answered, so its text will not come again. After a kill its
  sender is asked to repeat it.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger(__name__)

FILE: Final = "state.sqlite3"
MOST_UPDATES: Final = 20_000
"""Answered updates that are remembered; Telegram repeats only the latest."""
MOST_USERS: Final = 100_000
"""People whose choices are kept; of more, the latest."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS updates (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    update_id INTEGER NOT NULL UNIQUE,
    state TEXT NOT NULL,
    chat_id INTEGER,
    message_id INTEGER,
    user_id INTEGER,
    language TEXT
);
CREATE TABLE IF NOT EXISTS choices (
    user_id INTEGER PRIMARY KEY,
    model TEXT,
    profile TEXT,
    changed REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS pauses (
    chat_id INTEGER PRIMARY KEY,
    until REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS choices_changed ON choices (changed);
"""
_COLUMNS: Final = {
    "updates": {"number", "update_id", "state", "chat_id", "message_id", "user_id", "language"},
    "choices": {"user_id", "model", "profile", "changed"},
    "pauses": {"chat_id", "until"},
}


class StateError(RuntimeError):
    """The state can't be read or written; says where and why."""


@dataclass(frozen=True)
class Choice:
    """What a person chose; None is the gateway's default."""

    model: str | None = None
    profile: str | None = None


@dataclass(frozen=True)
class Released:
    """A message that was confirmed to Telegram before it was answered."""

    update_id: int
    chat_id: int
    message_id: int
    user_id: int
    language: str | None


class State:
    """The open file. Every write is on the disk when its method returns.

    All methods raise StateError if the file can't be read or written.
    """

    def __init__(self, directory: Path) -> None:
        """Open the file, or begin one. A damaged one is set aside, and the log says so."""
        self._path = directory / FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._database = _open(self._path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                aside = _set_aside(self._path)
                logger.error("%s is damaged (%s): set aside as %s, begun anew", self._path, error, aside)
                self._database = _open(self._path)
        except (OSError, sqlite3.Error) as error:
            hint = " Does another bot use it?" if "locked" in str(error) else ""
            raise StateError(f"the state {self._path} can't be opened: {error}.{hint}") from None
        with self._writing():
            self._database.execute("UPDATE updates SET state = 'done' WHERE state = 'sending'")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def is_known(self, update_id: int) -> bool:
        """Whether an update was answered, is being answered or was released."""
        found = self._all("SELECT 1 FROM updates WHERE update_id = ?", update_id)
        return bool(found)

    def sending(self, update_id: int) -> None:
        """An attempt to send its answer begins."""
        self._set_state(update_id, "sending")

    def not_sent(self, update_id: int) -> None:
        """The attempt failed."""
        with self._writing():
            self._database.execute(
                "UPDATE updates SET state = 'released' WHERE update_id = ? AND chat_id IS NOT NULL", (update_id,)
            )
            self._database.execute("DELETE FROM updates WHERE update_id = ? AND chat_id IS NULL", (update_id,))

    def done(self, *update_ids: int) -> None:
        """They need nothing more."""
        with self._writing():
            for update_id in update_ids:
                self._database.execute(
                    "INSERT INTO updates (update_id, state) VALUES (?, 'done') ON CONFLICT (update_id) DO UPDATE "
                    "SET state = 'done', chat_id = NULL, message_id = NULL, user_id = NULL, language = NULL",
                    (update_id,),
                )
            self._database.execute(
                "DELETE FROM updates WHERE number <= (SELECT MAX(number) FROM updates) - ? AND state = 'done'",
                (MOST_UPDATES,),
            )

    def release(self, releases: list[Released]) -> None:
        """They will be confirmed to Telegram before they are answered."""
        with self._writing():
            for one in releases:
                self._database.execute(
                    "INSERT INTO updates (update_id, state, chat_id, message_id, user_id, language) "
                    "VALUES (:update_id, 'released', :chat_id, :message_id, :user_id, :language) "
                    "ON CONFLICT (update_id) DO UPDATE SET chat_id = :chat_id, message_id = :message_id, "
                    "user_id = :user_id, language = :language",
                    one.__dict__,
                )

    def left_released(self) -> list[Released]:
        """The messages that an earlier run confirmed and did not answer."""
        rows = self._all(
            "SELECT update_id, chat_id, message_id, user_id, language FROM updates WHERE state = 'released' "
            "ORDER BY update_id"
        )
        return [Released(*row) for row in rows]

    def pause(self, chat_id: int, seconds: float) -> None:
        """Telegram asks to leave a chat alone for so long."""
        now = time.time()
        with self._writing():
            self._database.execute("DELETE FROM pauses WHERE until < ?", (now,))
            self._database.execute(
                "INSERT OR REPLACE INTO pauses (chat_id, until) VALUES (?, ?)", (chat_id, now + seconds)
            )

    def pauses(self) -> dict[int, float]:
        """The chats that are to be left alone, and for how many more seconds."""
        now = time.time()
        rows = self._all("SELECT chat_id, until FROM pauses WHERE until > ?", now)
        return {chat_id: until - now for chat_id, until in rows}

    def choice(self, user_id: int) -> Choice:
        """What a person chose."""
        rows = self._all("SELECT model, profile FROM choices WHERE user_id = ?", user_id)
        return Choice(*rows[0]) if rows else Choice()

    def choose(self, user_id: int, choice: Choice) -> None:
        """Keep what a person chose; of the defaults alone nothing is kept."""
        with self._writing():
            if choice == Choice():
                self._database.execute("DELETE FROM choices WHERE user_id = ?", (user_id,))
                return
            self._database.execute(
                "INSERT OR REPLACE INTO choices (user_id, model, profile, changed) VALUES (?, ?, ?, ?)",
                (user_id, choice.model, choice.profile, time.time()),
            )
            self._database.execute(
                "DELETE FROM choices WHERE user_id IN (SELECT user_id FROM choices ORDER BY changed DESC "
                "LIMIT -1 OFFSET ?)",
                (MOST_USERS,),
            )

    def _set_state(self, update_id: int, state: str) -> None:
        with self._writing():
            self._database.execute(
                "INSERT INTO updates (update_id, state) VALUES (?, ?) "
                "ON CONFLICT (update_id) DO UPDATE SET state = excluded.state",
                (update_id, state),
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._database:
                yield
        except sqlite3.Error as error:
            raise StateError(f"the state {self._path} can't be written: {error}") from None

    def _all(self, statement: str, *values: float) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"the state {self._path} can't be read: {error}") from None


def _open(path: Path) -> sqlite3.Connection:
    """Open the file for this process alone, and make sure that it is whole."""
    path.touch(mode=0o600)
    database = sqlite3.connect(path, timeout=2)
    try:
        # Exclusive: a second bot on the same file must fail here. Full: what was written survives a loss of power.
        database.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        database.executescript(_SCHEMA)
        for table, columns in _COLUMNS.items():
            if (found := {row[1] for row in database.execute(f"PRAGMA table_info({table})")}) != columns:
                raise sqlite3.DatabaseError(f"{table} has the columns {', '.join(sorted(found))}")
    except BaseException:
        database.close()
        raise
    return database


def _set_aside(path: Path) -> Path:
    """Rename a damaged file, and what SQLite keeps beside it."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside
