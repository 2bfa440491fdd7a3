"""A new version put on trial, promoted and rolled back: what is written, and what is refused."""

import json
from pathlib import Path

import pytest

from contract.canary import OFF, CanaryError, Trial, canary_file, parse_trial, read_trials
from contract.version_directory import CARD, CPU_GRAPH, read_card
from tests.training.publish.test_versions import publish_command
from tests.training.support.version_directories import MODEL, make_repository, write_version
from training.common.command import TrainingError, run_command
from training.common.staging import staged
from training.publish.__main__ import main
from training.publish.trials import check_can_begin, promote, set_trial, trial_under_way, write_trial
from training.publish.versions import add_version, roll_back, versions_of

FIVE = Trial("share", 0.05)


def written(repository: Path) -> object:
    return json.loads(canary_file(repository, MODEL).read_text("utf-8"))


@pytest.mark.parametrize("text", ["5%", "0%", "100%", "0.5%", "33.3%", "shadow", "off"])
def test_a_trial_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_trial(text)) == text


@pytest.mark.parametrize(
    "text", ["", "5", "0.05", "101%", "-1%", "5 %", "%", "1e1%", "٥%", "on", "Shadow", "nan%", "5%\n"]
)
def test_what_is_no_trial(text: str) -> None:
    with pytest.raises(CanaryError, match="is no share of requests: write 5%, shadow or off"):
        parse_trial(text)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"3": 5}', b'{"3": null}', b'{"3": "5"}', b'{"03": "5%"}', b'{"": "5%"}', b"\xff"],
)
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    repository = make_repository(tmp_path, 2)
    canary_file(repository, MODEL).write_bytes(content)
    with pytest.raises(CanaryError, match="is damaged: "):
        read_trials(repository, MODEL)
    with pytest.raises(TrainingError, match=r"is damaged: .* remove the file"):
        promote(repository, MODEL)
    assert canary_file(repository, MODEL).read_bytes() == content


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    canary_file(repository, MODEL).mkdir()
    with pytest.raises(CanaryError, match=r"canary\.json can't be read: it is no regular file"):
        read_trials(repository, MODEL)


def test_a_trial_begins_changes_and_ends_well(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    assert trial_under_way(repository, MODEL) is None
    said = publish_command("canary", "--model", MODEL, "5%", "--repository", repository)
    assert said.stdout == f"{MODEL} 3 is on trial: 5%\n", said.stderr
    assert "EMOTION_CANARY set goes by that instead" in said.stderr
    found = trial_under_way(repository, MODEL)
    assert found is not None
    assert (found.challenger, found.before, found.trial) == ("3", "2", FIVE)
    listed = publish_command("list", "--repository", repository)
    assert listed.stdout.count("on trial: 5%; version 2 answers by default") == 1
    assert "Not shown: trials that only a gateway's EMOTION_CANARY began. --gateway http" in listed.stderr
    assert set_trial(repository, MODEL, Trial("shadow")) == "3"
    assert written(repository) == {"3": "shadow"}
    assert promote(repository, MODEL) == "3"
    assert written(repository) == {"3": "off"}
    assert trial_under_way(repository, MODEL) is None
    assert "on trial" not in publish_command("list", "--repository", repository).stdout
    # Nothing in the model's directory: Triton would load it anew.
    assert sorted(path.name for path in repository.iterdir()) == [MODEL, f"{MODEL}.canary.json"]
    assert list(tmp_path.iterdir()) == [repository]


def test_rolling_back_ends_a_trial(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    refused = publish_command("rollback", "--model", MODEL, "--repository", repository)
    assert f"error: no version of {MODEL} is on trial: name the one to go back to with --to" in refused.stderr
    set_trial(repository, MODEL, FIVE)
    done = publish_command("rollback", "--model", MODEL, "--repository", repository, "--wait", "0")
    assert f"published {repository}/{MODEL}/4, which repeats version 2\n" in done.stdout, done.stderr
    assert read_card(repository / MODEL / "4").repeats == "2"
    # Until the copy is served the challenger gets nothing, and then it is the version before.
    assert written(repository) == {"3": "0%"}
    assert trial_under_way(repository, MODEL) is None
    # To another version than the one before, as ever.
    set_trial(repository, MODEL, FIVE)
    publish_command("rollback", "--model", MODEL, "--to", "1", "--repository", repository, "--wait", "0")
    assert read_card(repository / MODEL / "5").repeats == "1"
    assert written(repository) == {"3": "0%", "4": "0%"}


def test_a_rollback_that_is_refused_leaves_the_trial(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    set_trial(repository, MODEL, FIVE)
    (repository / MODEL / "1" / CPU_GRAPH).write_bytes(b"half a graph")
    done = publish_command("rollback", "--model", MODEL, "--repository", repository)
    assert "is damaged and is not published again" in done.stderr
    assert written(repository) == {"2": "5%"}


def test_a_version_is_on_trial_from_its_first_moment(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    write_trial(repository, MODEL, "1", OFF)
    with staged(tmp_path) as directory:
        write_version(directory, b"three")
        assert add_version(repository, MODEL, directory, FIVE).name == "3"
    assert written(repository) == {"1": "off", "3": "5%"}
    # One that was announced and never came leaves its number's next owner nothing.
    write_trial(repository, MODEL, "4", FIVE)
    assert trial_under_way(repository, MODEL) is not None
    roll_back(repository, MODEL, "2")
    assert written(repository) == {"1": "off", "3": "5%"}
    assert trial_under_way(repository, MODEL) is None


def test_no_version_is_published_beside_one_on_trial(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    set_trial(repository, MODEL, FIVE)
    done = publish_command("nowhere", "--model", MODEL, "--repository", repository)
    assert f"error: {MODEL} 2 is on trial (5%), and Triton serves two versions" in done.stderr
    assert "promote --model emotion_test" in done.stderr
    promote(repository, MODEL)
    check_can_begin(repository, MODEL, FIVE)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("canary", "--model", MODEL, "5%"), "holds fewer than two versions of emotion_test"),
        (("canary", "--model", MODEL, "off"), "a trial is ended by the commands promote and rollback"),
        (("canary", "--model", MODEL, "5"), "'5' is no share of requests: write 5%, shadow or off"),
        (("list", "--gateway", "http://127.0.0.1:1"), "no gateway answers at http://127.0.0.1:1: "),
        (("list", "--gateway", "ftp://gateway"), "ftp://gateway is no address of a gateway: write http://127"),
        (("promote", "--model", "emotion_none"), "holds no version of a model 'emotion_none'"),
        (("nowhere", "--model", "emotion_none", "--canary", "5%"), "has no version yet that could answer meanwhile"),
        (("nowhere", "--model", MODEL, "--canary", "half"), "'half' is no share of requests"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    repository = make_repository(tmp_path, 1)
    monkeypatch.setattr("sys.argv", ["publish", *arguments, f"--repository={repository}"])
    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert reason in f"{ended.value} {capsys.readouterr().err}"
    assert not canary_file(repository, MODEL).exists()


def test_a_damaged_version_is_not_promoted(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    (versions_of(repository / MODEL)[-1] / CARD).write_text("{", "utf-8")
    with pytest.raises(TrainingError, match=f"{MODEL} 2 is damaged"):
        promote(repository, MODEL)
