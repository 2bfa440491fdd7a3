"""The file with the keys, however it is written while the gateway runs."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors.problems import Problem
from gateway.http import api_keys
from gateway.http.api_keys import ApiKeys, names_of
from gateway.settings import Settings, read_keys

OLD, NEW = "old-key-of-a-client", "new-key-of-a-client"
HALF = NEW[:17]
"""Long enough to be a key."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(OLD)
    return path


@pytest.fixture
def look(file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[set[str]]]:
    """Who is let in after each look, of a file that changes before each."""
    monkeypatch.setattr(api_keys, "LOOK_SECONDS", 0.0)
    settings = Settings(api_keys_file=file)
    keys = ApiKeys(read_keys(settings))

    def admitted() -> set[str]:
        return {key for key in (OLD, HALF, NEW) if lets_in(keys, key)}

    def look(*changes: Callable[[], object]) -> list[set[str]]:
        found: list[set[str]] = []
        left = list(changes)

        async def read() -> dict[bytes, str]:
            found.append(admitted())
            if not left:
                raise asyncio.CancelledError
            left.pop(0)()
            return dict(names_of(read_keys(settings)))

        async def follow() -> None:
            with pytest.raises(asyncio.CancelledError):
                await keys.follow(read, lambda: None)

        asyncio.run(follow())
        return found[1:]

    return look


def lets_in(keys: ApiKeys, key: str) -> bool:
    try:
        keys.check(f"Bearer {key}")
    except Problem:
        return False
    return True


def test_half_a_key_is_no_key(file: Path, look: Callable[..., list[set[str]]]) -> None:
    """Written in place, and looked at in the middle of it."""
    steps = look(
        lambda: file.write_text(f"{OLD}\n{HALF}"),
        lambda: file.write_text(""),
        lambda: file.write_text(HALF),
        lambda: file.write_text(f"{OLD}\n{NEW}"),
        lambda: None,
        lambda: file.write_text(NEW),
        lambda: None,
    )
    assert steps == [{OLD}, {OLD}, {OLD}, {OLD}, {OLD, NEW}, {OLD, NEW}, {NEW}]


def damage(file: Path, kind: str) -> None:
    file.unlink()
    if kind == "directory":
        file.mkdir()
    elif kind == "FIFO":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "link to itself":
        file.symlink_to(file.name)
    elif kind == "garbage":
        file.write_bytes(bytes(range(256)))
    elif kind == "huge":
        file.write_text(f"{NEW}\n" * 100_000)
    elif kind == "many":
        file.write_text("".join(f"{number:016}\n" for number in range(10_001)))


KINDS = ("missing", "directory", "FIFO", "device", "link to itself", "garbage", "huge", "many")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_of_keys_changes_nothing(
    file: Path, look: Callable[..., list[set[str]]], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    assert look(lambda: damage(file, kind), lambda: None) == [{OLD}, {OLD}]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1, "said once"
    assert str(file) in said[0]


def test_files_of_other_editors(file: Path) -> None:
    file.write_bytes(f"\ufeff{OLD}\r\nshop:{NEW}\r\n\r\n".encode())
    assert read_keys(Settings(api_keys_file=file)) == {OLD: "", NEW: "shop"}


def test_no_thread_left_ends_nothing(look: Callable[..., list[set[str]]], file: Path) -> None:
    def exhausted() -> None:
        raise RuntimeError("can't start new thread")

    assert look(exhausted, lambda: file.write_text(NEW), lambda: None) == [{OLD}, {OLD}, {NEW}]
