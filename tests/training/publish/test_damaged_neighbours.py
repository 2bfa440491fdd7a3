"""Damage of every kind in a model's directory: told, never met with a traceback or a wait, and taken out."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.version_directory import CARD, CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER
from tests.support.triton_process import ROOT, free_ports
from tests.training.support.version_directories import MODEL, make_repository, write_version
from training.common.command import TrainingError
from training.export.integrity import damage
from training.publish.listing import print_model
from training.publish.quarantine import quarantine_damaged, quarantine_version
from training.publish.triton.rules import chosen_versions, counted_versions, next_number, obstacles
from training.publish.triton.serving import report_serving
from training.publish.versions import roll_back, versions_of

SECONDS = 60
"""What a command may take: one that waits for a FIFO's writer takes for ever."""


def publish_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "training.publish", *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def numbers(repository: Path) -> list[str]:
    return [path.name for path in versions_of(repository / MODEL)]


def quarantined(repository: Path) -> list[str]:
    place = repository.parent / f"{repository.name}.quarantine" / MODEL
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def replace_with(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink(missing_ok=True)
    make(path)


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def change_card(version: Path, **fields: object) -> None:
    card = json.loads((version / CARD).read_text())
    (version / CARD).write_text(json.dumps(card | fields))


# What is done to a version, and what is said of it.
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "graph cut short": (lambda v: (v / CPU_GRAPH).write_bytes(b"half"), "model.cpu.onnx is not the file its card"),
    "graph without bytes": (lambda v: (v / CPU_GRAPH).write_bytes(b""), "model.cpu.onnx is not the file its card"),
    "graph missing": (lambda v: (v / CPU_GRAPH).unlink(), "model.cpu.onnx is missing"),
    "graph a directory": (lambda v: replace_with(v / CPU_GRAPH, Path.mkdir), "model.cpu.onnx can't be read"),
    "graph a FIFO": (lambda v: replace_with(v / CPU_GRAPH, os.mkfifo), "model.cpu.onnx can't be read"),
    "graph of 3 GB": (lambda v: sparse(v / CPU_GRAPH, 3 << 30), "model.cpu.onnx can't be read: it is larger than"),
    "card missing": (lambda v: (v / CARD).unlink(), "card.json does not exist"),
    "card not JSON": (lambda v: (v / CARD).write_text("{"), "card.json is not a valid card"),
    "card not UTF-8": (lambda v: (v / CARD).write_bytes(b'{"model": "\xff"}'), "card.json is not a valid card"),
    "card a list": (lambda v: (v / CARD).write_text("[]"), "card.json is not a valid card"),
    "card nested deeply": (lambda v: (v / CARD).write_text("[" * 100_000), "card.json is not a valid card"),
    "card a FIFO": (lambda v: replace_with(v / CARD, os.mkfifo), "card.json can't be read: it is no regular file"),
    "card of 3 GB": (lambda v: sparse(v / CARD, 3 << 30), "card.json can't be read: it is larger than"),
    "card a directory": (lambda v: replace_with(v / CARD, Path.mkdir), "card.json can't be read"),
    "card a link to itself": (lambda v: replace_with(v / CARD, lambda p: p.symlink_to(p.name)), "card.json can't be"),
    "card an endless device": (lambda v: replace_with(v / CARD, lambda p: p.symlink_to("/dev/zero")), "no regular"),
    "another model's tokenizer": (lambda v: (v / TOKENIZER).write_bytes(b"{}"), "tokenizer.json is not the file"),
    "tokenizer a FIFO": (lambda v: replace_with(v / TOKENIZER, os.mkfifo), "tokenizer.json can't be read"),
    "GPU graph without a record": (lambda v: (v / GPU_GRAPH).write_bytes(b"?"), "model.gpu.json does not exist"),
    "GPU record a FIFO": (
        lambda v: ((v / GPU_GRAPH).write_bytes(b"?"), os.mkfifo(v / GPU_RECORD)), "model.gpu.json can't be read",
    ),
    "a card that names a file outside": (
        lambda v: change_card(v, files={CPU_GRAPH: "0", TOKENIZER: "0", "../../../x": "0"}), "x is missing",
    ),
    "everything missing": (lambda v: [path.unlink() for path in v.iterdir()], "card.json does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_newest_version_is_told_and_taken_out(tmp_path: Path, kind: str) -> None:
    repository = make_repository(tmp_path, 3)
    break_it, sentence = DAMAGES[kind]
    break_it(repository / MODEL / "3")
    arguments = ("--model", MODEL, "--repository", repository)

    refused = publish_command("rollback", "--to", "1", *arguments)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: NVIDIA's Triton would not serve a version added to {MODEL}: ")
    assert sentence in refused.stderr
    assert f"`python -m training.publish quarantine --model {MODEL}`" in refused.stderr
    assert numbers(repository) == ["1", "2", "3"]
    assert list(tmp_path.iterdir()) == [repository]

    listed = publish_command("list", *arguments)
    assert listed.returncode == 0
    assert sentence in listed.stdout
    assert [line.split()[1] for line in listed.stdout.splitlines() if line.startswith(MODEL)] == ["3", "2", "1"]
    # Triton counts the damaged one: it is chosen, and keeps 2 from being served.
    assert "served " not in listed.stdout.replace("serves", "")
    assert publish_command("list", "--verify", *arguments).returncode == 1

    mended = publish_command("rollback", "--to", "1", "--quarantine", *arguments)
    assert mended.returncode == 0, mended.stderr
    assert f"moved {repository / MODEL / '3'}" in mended.stdout
    assert numbers(repository)[:2] == ["1", "2"]
    assert obstacles(repository / MODEL) == []
    assert damage(repository / MODEL / numbers(repository)[-1]) == []


@pytest.mark.parametrize("kind", DAMAGES)
def test_an_old_damaged_version_keeps_nobody_from_publishing(tmp_path: Path, kind: str) -> None:
    repository = make_repository(tmp_path, 4)
    DAMAGES[kind][0](repository / MODEL / "1")
    assert roll_back(repository, MODEL, "2").name == "5"
    # What is left of the damage is taken out all the same.
    ((obstacle, target),) = quarantine_damaged(repository, MODEL)
    assert obstacle.number == 1
    assert target == tmp_path / "models.quarantine" / MODEL / "1"
    assert numbers(repository) == ["2", "3", "4", "5"]
    assert quarantine_damaged(repository, MODEL) == []


# What lies in a model's directory, what Triton counts, and what is in its way; tried on tritonserver 2.51.
ENTRIES: dict[str, tuple[Callable[[Path], object], list[int], str | None]] = {
    "02": (lambda m: copy(m, "02"), [1, 2], None),
    "latest": (lambda m: copy(m, "latest"), [1, 2], None),
    ".ipynb_checkpoints": (lambda m: (m / ".ipynb_checkpoints").mkdir(), [1, 2], None),
    "0": (lambda m: copy(m, "0"), [0, 1, 2], None),
    "1.5": (lambda m: copy(m, "1.5"), [1, 2], None),
    "2.bak beside 2": (lambda m: copy(m, "2.bak"), [1, 2], None),
    "5.bad": (lambda m: copy(m, "5.bad"), [1, 2, 5], "5.bad counts as version 5 for Triton"),
    "+6": (lambda m: copy(m, "+6"), [1, 2, 6], "+6 counts as version 6"),
    " 6": (lambda m: copy(m, " 6"), [1, 2, 6], " 6 counts as version 6"),
    "7 as a file": (lambda m: (m / "7").write_text("x"), [1, 2], None),
    "a link to nowhere inside a version": (lambda m: (m / "2/notes").symlink_to("nowhere"), [1, 2], None),
    "3 as a link": (lambda m: (m / "3").symlink_to("1"), [1, 2, 3], None),
    "8 as a link to itself": (lambda m: (m / "8").symlink_to("8"), [1, 2], "8 is a link that leads nowhere"),
    "a link called latest to nowhere": (
        lambda m: (m / "latest").symlink_to("9"),
        [1, 2],
        "latest is a link that leads",
    ),
    "twenty digits": (lambda m: copy(m, "9" * 20), [1, 2], "it would end the server"),
    "an empty 3": (lambda m: (m / "3").mkdir(), [1, 2, 3], "card.json does not exist"),
    "labels.txt a directory": (lambda m: replace_with(m / "labels.txt", Path.mkdir), [1, 2], "labels.txt is no file"),
}


def copy(model_directory: Path, name: str) -> None:
    shutil.copytree(model_directory / "1", model_directory / name)


@pytest.mark.parametrize("kind", ENTRIES)
def test_what_triton_counts_and_trips_over(tmp_path: Path, kind: str) -> None:
    repository = make_repository(tmp_path, 2)
    home = repository / MODEL
    add, counted, sentence = ENTRIES[kind]
    add(home)
    assert counted_versions(home) == counted
    assert chosen_versions(home) == counted[:-3:-1]
    listed = publish_command("list", "--repository", repository)
    assert listed.returncode == 0
    if sentence is None:
        assert obstacles(home) == []
        assert "damaged" not in listed.stdout
        new = roll_back(repository, MODEL, "1")
        assert obstacles(home) == []
        assert int(new.name) == chosen_versions(home)[0] > max(counted)
        return
    assert sentence in listed.stdout
    with pytest.raises(TrainingError, match="would not serve a version added"):
        roll_back(repository, MODEL, "1")
    assert publish_command("quarantine", "--model", MODEL, "--repository", repository).returncode == 0
    assert roll_back(repository, MODEL, "1").parent == home
    assert obstacles(home) == []


def test_the_number_is_above_all_that_triton_counts(tmp_path: Path) -> None:
    home = make_repository(tmp_path, 2) / MODEL
    (home / "3").write_text("a file")
    assert next_number(home) == 4
    copy(home, "9223372036854775807")
    with pytest.raises(TrainingError, match="Triton counts no higher"):
        next_number(home)


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [("latest { num_versions: 1 }", [3]), ("latest { num_versions: 9 }", [3, 2, 1]), ("all {}", [3, 2, 1]),
     ("specific { versions: 1 versions: 3 }", [3, 1]), (None, [3])],
)  # fmt: skip
def test_the_policy_is_the_configurations(tmp_path: Path, policy: str | None, chosen: list[int]) -> None:
    home = make_repository(tmp_path, 3) / MODEL
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        text = (home / name).read_text()
        ours = "version_policy {\n  latest {\n    num_versions: 2\n  }\n}\n"
        assert ours in text
        (home / name).write_text(text.replace(ours, f"version_policy {{ {policy} }}\n" if policy else ""))
    assert chosen_versions(home) == chosen


@pytest.mark.parametrize("content", [b"", b"\xff", b"name: {", b"unknown_to_triton"])
def test_a_damaged_configuration_is_told_and_stays(tmp_path: Path, content: bytes) -> None:
    repository = make_repository(tmp_path, 2)
    path = repository / MODEL / "configs/cpu.pbtxt"
    path.write_bytes(content)
    if not content:  # which is a configuration, of a model without a policy
        assert obstacles(repository / MODEL) == []
        return
    for command in (["rollback", "--to", "1"], ["quarantine"]):
        done = publish_command(*command, "--model", MODEL, "--repository", repository)
        assert done.returncode == 1
        assert f"{path} is no model configuration" in done.stderr
    assert f"{path} is no model configuration" in publish_command("list", "--repository", repository).stdout
    assert path.read_bytes() == content
    assert numbers(repository) == ["1", "2"]


def test_what_a_model_lacks_beside_its_versions_is_written_with_the_next_one(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    home = repository / MODEL
    (home / "labels.txt").unlink()
    shutil.rmtree(home / "configs")
    (home / "config.pbtxt").unlink()
    listed = publish_command("list", "--repository", repository).stdout
    assert f"{home}/labels.txt is missing, and Triton serves no version" in listed
    assert f"{home}/config.pbtxt is missing, and Triton serves no version" in listed
    roll_back(repository, MODEL, "1")
    assert obstacles(home) == []
    assert (home / "labels.txt").read_text().splitlines()[1] == "joy"


def test_quarantine_deletes_nothing_and_overwrites_nothing(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    assert publish_command("quarantine", "--model", MODEL, "--repository", repository).stdout == (
        f"nothing of {MODEL} is damaged\n"
    )
    kept = (repository / MODEL / "3" / CPU_GRAPH).read_bytes()
    # A version that is whole, but that Triton can't serve for a reason of its own.
    assert quarantine_version(repository, MODEL, "3") == tmp_path / "models.quarantine" / MODEL / "3"
    write_version(repository / MODEL / "3", b"another")
    (repository / MODEL / "3" / CARD).unlink()
    quarantine_damaged(repository, MODEL)
    assert quarantined(repository) == ["3", "3-2"]
    assert (tmp_path / "models.quarantine" / MODEL / "3" / CPU_GRAPH).read_bytes() == kept
    quarantine_version(repository, MODEL, "2")
    with pytest.raises(TrainingError, match="the only version"):
        quarantine_version(repository, MODEL, "1")
    with pytest.raises(TrainingError, match="has no version '9'"):
        quarantine_version(repository, MODEL, "9")
    with pytest.raises(TrainingError, match="holds no model 'other'"):
        quarantine_damaged(repository, "other")


def test_the_version_to_go_back_to_is_not_taken_out(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    (repository / MODEL / "1" / CARD).unlink()
    (repository / MODEL / "3" / CARD).unlink()
    done = publish_command("rollback", "--to", "1", "--quarantine", "--model", MODEL, "--repository", repository)
    assert "is damaged and is not published again" in done.stderr
    assert numbers(repository) == ["1", "2", "3"]


def as_nobody(work: Callable[[], object]) -> str:
    """Do something as a user without rights, in a child; gives what it returned, or the sentence it failed with."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgid(65534)
            os.setuid(65534)
            told = str(work())
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(write_end, told.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_read_is_a_sentence() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        repository = make_repository(Path(directory), 3)
        home = repository / MODEL
        (home / "3").chmod(0)
        told = as_nobody(lambda: [each.sentence for each in obstacles(home)])
        assert "3/card.json can't be read: Permission denied" in told
        home.chmod(0)
        told = as_nobody(lambda: print_model(repository, MODEL, None, verify=False, asked={}))
        assert told == f"TrainingError: {home} can't be read: Permission denied; run this as a user who may read it"


@pytest.mark.parametrize(
    "url", ["8001", "http://127.0.0.1:8001", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", ":8001"]
)
def test_an_address_that_is_none_is_a_sentence(tmp_path: Path, url: str) -> None:
    done = publish_command("list", "--repository", make_repository(tmp_path, 1), "--url", url)
    assert "is no address of Triton's gRPC: write host:port" in done.stderr


def test_damage_that_came_while_a_version_was_made_is_told(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    new = roll_back(repository, MODEL, "1")
    (repository / MODEL / "2" / CPU_GRAPH).unlink()
    with pytest.raises(TrainingError, match=r"does not serve emotion_test 3: .*2/model.cpu.onnx is missing"):
        report_serving(MODEL, new, None, 0)


def test_an_address_that_was_named_must_answer(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    (port,) = free_ports(1)
    done = publish_command("list", "--repository", repository, "--url", f"127.0.0.1:{port}")
    assert done.stderr == f"error: Triton at 127.0.0.1:{port} does not answer\n"
    arguments = ("--model", MODEL, "--repository", repository)
    done = publish_command("rollback", "--to", "1", "--url", f"127.0.0.1:{port}", *arguments)
    assert done.stdout == f"published {repository / MODEL / '3'}, which repeats version 1\n"
    assert done.stderr == f"error: Triton at 127.0.0.1:{port} does not answer\n"
    done = publish_command("rollback", "--to", "1", "--wait", "0", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
