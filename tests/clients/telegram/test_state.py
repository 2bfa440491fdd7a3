"""What is remembered, what is forgotten, and what a damaged file does."""

import logging
from pathlib import Path

import pytest

import clients.telegram.state
from clients.telegram.state import FILE, Choice, Released, State, StateError


def reopened(state: State, directory: Path) -> State:
    state.close()
    return State(directory)


def test_an_answer_that_was_being_sent_counts_as_sent(tmp_path: Path) -> None:
    state = State(tmp_path)
    for update_id in (1, 2, 3):
        state.sending(update_id)
    state.not_sent(2)
    state.done(3)
    state = reopened(state, tmp_path)
    assert [state.is_known(update_id) for update_id in (1, 2, 3, 4)] == [True, False, True, False]
    state.close()


def test_a_released_message_is_remembered_until_it_is_answered(tmp_path: Path) -> None:
    state = State(tmp_path)
    releases = [Released(number, 70, number, 7, "ru") for number in (1, 2, 3, 4)]
    state.release(releases)
    state.done(1)
    state.sending(2)
    state.sending(3)
    state.not_sent(3)
    state = reopened(state, tmp_path)
    assert state.left_released() == releases[2:]
    assert all(state.is_known(number) for number in (1, 2, 3, 4))
    state.close()
    assert b"ru" not in (tmp_path / FILE).read_bytes()[-40:]


def test_only_the_latest_updates_and_people_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients.telegram.state, "MOST_UPDATES", 10)
    monkeypatch.setattr(clients.telegram.state, "MOST_USERS", 10)
    state = State(tmp_path)
    state.release([Released(500, 70, 1, 7, None)])
    for number in range(30):
        state.done(number)
        state.choose(number, Choice("emotion_xlm"))
    assert [number for number in range(30) if state.is_known(number)] == list(range(20, 30))
    assert [number for number in range(30) if state.choice(number) != Choice()] == list(range(20, 30))
    assert state.is_known(500)
    state.close()


def test_chats_that_are_to_be_left_alone(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.pause(70, -1)
    state.pause(71, 100)
    state.pause(71, 200)
    state = reopened(state, tmp_path)
    assert state.pauses() == {71: pytest.approx(200, abs=20)}
    state.close()


def test_choices(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.choose(7, Choice("emotion_xlm", "marketing"))
    state = reopened(state, tmp_path)
    assert state.choice(7) == Choice("emotion_xlm", "marketing")
    assert state.choice(8) == Choice()
    state.choose(7, Choice())
    assert state.choice(7) == Choice()
    state.close()


@pytest.mark.parametrize("damage", ["garbage", "half", "another"])
def test_a_damaged_file_is_set_aside(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = State(tmp_path)
    for number in range(5_000):
        state.choose(number, Choice("emotion_xlm")) if number % 100 == 0 else None
        state._database.execute("INSERT INTO updates (update_id, state) VALUES (?, 'done')", (number,))
    state._database.commit()
    state.close()
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes({"garbage": b"{" * 5000, "half": whole[: len(whole) // 2], "another": whole}[damage])
    if damage == "another":
        # A file of somebody else's, with tables of the same names.
        path.write_bytes(whole.replace(b"profile TEXT", b"prefile TEXT"))
    with caplog.at_level(logging.ERROR):
        state = State(tmp_path)
    assert "is damaged" in caplog.text
    assert len(list(tmp_path.glob(f"{FILE}.damaged-*"))) == 1
    state.choose(7, Choice("emotion_xlm"))
    assert state.choice(7) == Choice("emotion_xlm")
    state.close()


def test_a_state_that_can_not_be_written(tmp_path: Path) -> None:
    state = State(tmp_path)
    with pytest.raises(StateError, match="Does another bot use it"):
        State(tmp_path)
    state._database.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError, match="can't be written"):
        state.done(1)
    state.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="can't be opened"):
        State(tmp_path / "file")


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    State(tmp_path / "new").close()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / FILE).stat().st_mode & 0o777 == 0o600
