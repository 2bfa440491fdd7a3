"""Versions listed, rolled back and pruned; killed, crowded, full and read-only as they may be."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract.version_directory import CARD, CPU_GRAPH, GPU_GRAPH, TOKENIZER, read_card
from tests.support.triton_process import ROOT
from tests.training.publish.kill_points import OPERATIONS, numbers, publish_first
from tests.training.support.version_directories import MODEL, make_repository, write_version
from training.common.command import TrainingError
from training.common.staging import remove_leftovers, staged
from training.export.integrity import damage
from training.publish.versions import add_version, prune, roll_back, versions_of


def publish_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "training.publish", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_rollback_publishes_the_old_files_under_a_new_number(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    done = publish_command("rollback", "--model", MODEL, "--to", "1", "--repository", repository)
    assert done.stdout == f"published {repository}/{MODEL}/4, which repeats version 1\n", done.stderr
    new, old = repository / MODEL / "4", repository / MODEL / "1"
    for name in (CPU_GRAPH, TOKENIZER):
        assert (new / name).read_bytes() == (old / name).read_bytes()
    card, before = read_card(new), read_card(old)
    assert (card.repeats, before.repeats) == ("1", None)
    assert card.published is not None
    assert card.model_copy(update={"repeats": None, "published": None}) == before
    assert damage(new) == []
    assert list(tmp_path.iterdir()) == [repository]


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("3", "emotion_test 3 is the newest version already"),
        ("9", "emotion_test has no version '9'; there are: 1, 2, 3"),
        ("../1", "has no version '../1'"),
        ("2", "emotion_test 2 is damaged and is not published again: .*model.cpu.onnx is not the file its card"),
    ],
)
def test_what_is_not_rolled_back_to(tmp_path: Path, version: str, reason: str) -> None:
    repository = make_repository(tmp_path, 3)
    (repository / MODEL / "2" / CPU_GRAPH).write_bytes(b"half a graph")
    with pytest.raises(TrainingError, match=reason):
        roll_back(repository, MODEL, version)
    assert numbers(repository) == ["1", "2", "3"]


def test_list_tells_versions_and_damage(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    roll_back(repository, MODEL, "2")
    listed = publish_command("list", "--repository", repository, "--verify")
    lines = listed.stdout.splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        [MODEL, "4", "served"], [MODEL, "3", "served"], [MODEL, "2", "undated;"], [MODEL, "1", "undated;"],
    ]  # fmt: skip
    assert "repeats version 2" in lines[0]
    assert lines[4] == "every file is what its card says"
    assert listed.returncode == 0

    home = repository / MODEL
    (home / "1" / TOKENIZER).unlink()
    (home / "2" / CPU_GRAPH).write_bytes((home / "2" / CPU_GRAPH).read_bytes()[:-1])
    (home / "3" / CARD).write_text("{}")
    (home / "4" / GPU_GRAPH).write_bytes(b"whose?")
    plain = publish_command("list", "--repository", repository)
    assert plain.returncode == 0
    listed = publish_command("list", "--model", MODEL, "--repository", repository, "--verify")
    assert listed.returncode == 1
    assert "4 versions are damaged" in listed.stderr
    for reason in (
        "1/tokenizer.json is missing",
        "2/model.cpu.onnx is not the file its card describes",
        "3/card.json is not a valid card",
        "4/model.gpu.json does not exist: nothing says what the GPU graph is; remove model.gpu.onnx there and",
    ):
        assert f"damaged: {home}/{reason}" in listed.stdout
    for wrong in (
        ["list", "--repository", tmp_path / "none"],
        ["list", "--model", "other", "--repository", repository],
    ):
        assert publish_command(*wrong).stderr.startswith("error: ")


def test_prune_keeps_the_newest_two_whole_versions(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 6)
    (repository / MODEL / "notes").mkdir()
    (repository / MODEL / "6" / CPU_GRAPH).unlink()
    assert prune(repository, MODEL, 4) == [repository / MODEL / "1"]
    done = publish_command("prune", "--model", MODEL, "--repository", repository)
    assert done.returncode == 0, done.stderr
    # 6 is damaged: 4 and 5 are the newest whole ones.
    assert numbers(repository) == ["4", "5", "6"]
    assert done.stdout.splitlines()[-1] == "kept 4, 5, 6"
    assert prune(repository, MODEL, 2) == []
    (repository / MODEL / "5" / CPU_GRAPH).unlink()
    assert prune(repository, MODEL, 2) == []
    assert (repository / MODEL / "notes").exists()
    assert list(tmp_path.iterdir()) == [repository]
    with pytest.raises(TrainingError, match="1 versions are too few to keep: Triton serves the newest 2"):
        prune(repository, MODEL, 1)
    with pytest.raises(TrainingError, match="holds no version of a model 'other'"):
        prune(repository, "other", 2)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_kill_at_any_moment_leaves_whole_versions_only(tmp_path: Path, operation: str) -> None:
    command = [sys.executable, "-m", "tests.training.publish.kill_points", operation, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15, "the child must have been killed at many places"


def test_what_a_living_process_writes_is_no_leftover(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    with staged(tmp_path) as directory:
        write_version(directory, b"slow")
        assert remove_leftovers(tmp_path) == []
        prune(repository, MODEL, 2)
        roll_back(repository, MODEL, "2")
        assert add_version(repository, MODEL, directory).name == "5"
    assert numbers(repository) == ["2", "3", "4", "5"]
    dead = tmp_path / ".unfinished-dead"
    write_version(dead / "new", b"dead")
    assert remove_leftovers(tmp_path) == [dead]


def test_many_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    """First publishes of a new model, then rollbacks and prunes as commands, all at the same moment."""
    repository = tmp_path / "models"
    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(lambda _: publish_first(repository).name, range(8)))
        assert sorted(published) == list("12345678")
        commands = [("rollback", "--to", "7")] * 5 + [("prune",)] * 2
        done = list(
            pool.map(lambda c: publish_command(*c, "--model", MODEL, "--repository", repository), commands)
        )  # fmt: skip
    for process in done:
        # A prune may have taken away what a rollback was to repeat; then it says so.
        assert process.returncode == 0 or "error: " in process.stderr, process.stderr
        assert "Traceback" not in process.stderr
    left = versions_of(repository / MODEL)
    assert len(left) >= 2
    assert all(damage(directory) == [] for directory in left)
    assert list(tmp_path.iterdir()) == [repository]


def in_a_mount(script: str, directory: Path, pages: int) -> str:
    """Run a script with `directory` as an empty disk of so many pages, in a mount namespace of its own."""
    whole = f"mount -t tmpfs -o size={4 * pages}k tmpfs {directory} && echo mounted && ({script}) 2>&1"
    try:
        done = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "bash", "-c", whole],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if not done.stdout.startswith("mounted"):
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    return done.stdout


def pages_of(directory: Path) -> int:
    """That the files in a directory take, of 4 kB."""
    return sum(-(-path.stat().st_size // 4096) for path in directory.rglob("*") if path.is_file())


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    write_version(repository / MODEL / "1", os.urandom(60_000))
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f"{sys.executable} -m training.publish rollback --model {MODEL} --to 1 --repository {disk}/models"
    script = f"cp -r {repository} {disk} && {command}; echo status $?; ls -A {disk} {disk}/models/{MODEL}"
    printed = in_a_mount(script, disk, pages_of(repository) + 10)
    assert "No space left on device; make room there" in printed
    assert "status 1" in printed
    assert "Traceback" not in printed
    assert printed.split("status 1\n")[1].split() == [
        f"{disk}:", "models", f"{disk}/models/{MODEL}:", "1", "2", "config.pbtxt", "configs", "labels.txt",
    ]  # fmt: skip


def test_a_read_only_repository_is_a_sentence(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 2)
    disk = tmp_path / "disk"
    disk.mkdir()
    commands = ("rollback --to 1", "prune", "list")
    script = "; ".join(
        f"{sys.executable} -m training.publish {command}"
        f"{'' if command == 'list' else f' --model {MODEL}'} --repository {disk}/models; echo status $?"
        for command in commands
    )
    copied = f"cp -r {repository} {disk} && mount -o remount,ro {disk}; {script}"
    printed = in_a_mount(copied, disk, pages_of(repository) + 10)
    assert printed.count(f"error: {disk}/models/{MODEL} is not writable") == 2
    assert [line for line in printed.splitlines() if line.startswith("status")] == ["status 1", "status 1", "status 0"]


def test_the_commands_that_manage_versions_need_no_torch(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, 3)
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from training.publish import __main__ as command\n"
        "sys.argv = ['publish', 'list', '--verify', '--repository', sys.argv[1]]\n"
        "command.main()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(repository)], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
