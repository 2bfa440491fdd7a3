"""What rollback, list and quarantine say of versions, beside what the real tritonserver does with them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.version_directory import CARD, CPU_GRAPH, read_card, sha256
from tests.gateway.support.small_model import publish
from tests.support.plain_triton import PlainTriton, plain_triton
from tests.support.triton_process import ROOT
from tests.support.waiting import SECONDS
from training.publish.triton.index import NotServedError, wait_until_served
from training.publish.triton.rules import chosen_versions, obstacles

# A Triton that polls tries a damaged version again at every look, and the one from PyPI may die of that.
ONCE = 0
MODEL = "emotion_rubert"
OTHER = "emotion_other"


def publish_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "training.publish", *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def add_model(repository: Path, name: str, versions: int) -> Path:
    """A model that loads, small."""
    for number in range(1, versions + 1):
        publish(repository, number, name)
    return repository / name


def cut(version: Path) -> None:
    (version / CPU_GRAPH).write_bytes(b"half a graph")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def served(triton: PlainTriton, model: str = MODEL) -> set[str]:
    return {version for name, version in triton.ready() if name == model}


def column(listed: str) -> dict[str, str]:
    """What `list` says in a word, by version."""
    return {line.split()[1]: line.split()[2] for line in listed.splitlines() if line.startswith(MODEL)}


def test_a_damaged_version_takes_its_model_along_until_it_is_taken_out(repository: Path) -> None:
    home = add_model(repository, MODEL, 3)
    add_model(repository, OTHER, 1)
    cut(home / "2")
    cut(home / "3")  # 1 is whole, but not among the newest two
    with plain_triton(repository, "--exit-on-error=false", poll_seconds=ONCE) as triton:
        ask = ("--repository", repository, "--url", triton.url)
        triton.wait_for(lambda: triton.index().get((MODEL, "3")) == "UNAVAILABLE")
        triton.wait_for(lambda: triton.ready() == {(OTHER, "1")})
        listed = publish_command("list", "--model", MODEL, *ask)
        assert listed.returncode == 0
        assert "served" not in column(listed.stdout).values()
        assert f"damaged: {home}/3/{CPU_GRAPH} is not the file its card describes" in listed.stdout
        assert "Triton: Internal: TritonModelException" in listed.stdout
        refused = publish_command("rollback", "--model", MODEL, "--to", "1", *ask)
        assert refused.returncode == 1
        assert f"{home}/3/{CPU_GRAPH} is not the file its card describes" in refused.stderr
        assert {path.name for path in home.iterdir() if path.name.isdigit()} == {"1", "2", "3"}

    assert publish_command("quarantine", "--model", MODEL, "--repository", repository).returncode == 0
    shutil.copytree(home / "1", home / "2")
    with plain_triton(repository) as triton:
        triton.wait_for(lambda: served(triton) == {"1", "2"})
        ask = ("--repository", repository, "--url", triton.url)
        done = publish_command("rollback", "--model", MODEL, "--to", "1", *ask)
        assert done.stdout.splitlines() == [
            f"published {home}/3, which repeats version 1", f"Triton at {triton.url} serves {MODEL} 3",
        ]  # fmt: skip
        triton.wait_for(lambda: served(triton) == {"2", "3"})
        told = column(publish_command("list", "--model", MODEL, *ask).stdout)
        assert {version for version, state in told.items() if state == "served"} == {"2", "3"}


def test_a_version_that_triton_can_not_load_is_told_with_its_reason(repository: Path) -> None:
    """Its graph is the one of its card, and yet none: only Triton can know."""
    home = add_model(repository, MODEL, 3)
    cut(home / "2")
    card = read_card(home / "2")
    files = {**card.files, CPU_GRAPH: sha256(home / "2" / CPU_GRAPH)}
    (home / "2" / CARD).write_text(card.model_copy(update={"files": files}).model_dump_json())
    assert obstacles(home) == []
    with plain_triton(repository, "--exit-on-error=false", poll_seconds=ONCE) as triton:
        triton.wait_for(lambda: triton.index().get((MODEL, "2")) == "UNAVAILABLE")
        for version, seconds in (("2", 60), ("3", 1)):
            with pytest.raises(NotServedError) as told:
                wait_until_served(triton.url, MODEL, version, seconds)
            beginning = f"Triton at {triton.url} does not serve {MODEL} {version}, because it can't load version 2: "
            assert str(told.value).startswith(beginning)
            assert f"{home}/2/{CPU_GRAPH}" in str(told.value)
        listed = publish_command("list", "--repository", repository, "--url", triton.url).stdout
        assert "served" not in column(listed).values()
        assert f"{home}/2/{CPU_GRAPH}" in listed

    taken = publish_command("quarantine", "--model", MODEL, "--version", "2", "--repository", repository)
    assert taken.stdout == f"moved {home}/2 to {repository.parent}/models.quarantine/{MODEL}/2\n"
    with plain_triton(repository) as triton:
        triton.wait_for(lambda: served(triton) == {"1", "3"})
        listed = publish_command("list", "--repository", repository, "--url", triton.url).stdout
        assert column(listed) == {"3": "served", "1": "served"}


def test_a_triton_of_another_repository_is_told(repository: Path, tmp_path: Path) -> None:
    add_model(repository, MODEL, 2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    add_model(elsewhere, OTHER, 1)
    with plain_triton(elsewhere) as triton:
        ask = ("--repository", repository, "--url", triton.url)
        assert f"Triton at {triton.url} knows none of these models" in publish_command("list", *ask).stdout
        done = publish_command("rollback", "--model", MODEL, "--to", "1", "--wait", "2", *ask)
        assert done.stdout == f"published {repository / MODEL}/3, which repeats version 1\n"
        assert f"error: Triton at {triton.url} has not noticed {MODEL} 3" in done.stderr


ENTRIES = {
    "02": set(), "latest": set(), "7": set(), "0": {"0"}, "3": {"3"},
    "inside": {"2"}, "5.bad": None, "+6": None, "nowhere": None, "empty": None,
}  # fmt: skip
"""What is put beside version 1, and which versions are served for it; None: not even version 1."""


@pytest.fixture(scope="module")
def odd_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, PlainTriton]]:
    """A Triton with a model for each entry, and one that is as it should be."""
    repository = tmp_path_factory.mktemp("odd") / "models"
    repository.mkdir()
    add_model(repository, "good", 1)
    for entry in ENTRIES:
        home = add_model(repository, model_of(entry), 1)
        if entry == "7":
            (home / entry).write_text("a file")
        elif entry == "3":
            (home / entry).symlink_to("1")
        elif entry == "nowhere":
            (home / "latest").symlink_to("9")
        elif entry == "inside":
            shutil.copytree(home / "1", home / "2")
            (home / "1/notes").symlink_to("nowhere")
            (home / "2/notes").symlink_to("notes")
        elif entry == "empty":
            (home / "2").mkdir()
        else:
            shutil.copytree(home / "1", home / entry)
    with plain_triton(repository, "--exit-on-error=false", poll_seconds=ONCE) as triton:
        triton.wait_for(lambda: ("good", "1") in triton.ready())
        yield repository, triton


def model_of(entry: str) -> str:
    return "odd_" + "".join(letter if letter.isalnum() else "_" for letter in entry)


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_rules_are_tritons(entry: str, odd_models: tuple[Path, PlainTriton]) -> None:
    repository, triton = odd_models
    home, found = repository / model_of(entry), ENTRIES[entry]
    expected = set() if found is None else {"1", *found}
    triton.wait_for(lambda: served(triton, home.name) == expected)
    assert bool(obstacles(home)) is (found is None)
    if found is not None:
        assert {str(number) for number in chosen_versions(home)} == expected
