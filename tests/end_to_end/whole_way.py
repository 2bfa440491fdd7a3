"""The whole way with the commands a person types: train, evaluate, audit, publish, serve, publish again."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from contract.version_directory import read_card
from tests.integration.serving import Serving, make_serve
from tests.support.triton_process import ROOT, free_ports
from tests.training.support.hub_checkpoints import save_base_model
from training.data.rows.loading import load_source
from training.export.integrity import damage
from training.publish.versions import versions_of

MODEL = "emotion_small"
TEXTS = ("Как же я рад!", "Мне страшно.", "Ого, вот это да, внезапно и поразительно, кто бы мог подумать!", "поезд")


def command(module: str, *arguments: Any, seconds: float = 1200) -> str:
    """Run `python -m module` to its end, in the repository; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        timeout=seconds,
    )  # fmt: skip
    assert done.returncode == 0, f"{module}:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout


class Clients:
    """People who ask the gateway without pause, and what they were answered."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()
        self._lock = threading.Lock()

    def ask(self, url: str, stop: threading.Event, number: int) -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while not stop.is_set():
                number += 1
                answer = client.post("/v1/emotions", json={"text": TEXTS[number % len(TEXTS)], "model": MODEL})
                with self._lock:
                    self.statuses[answer.status_code] += 1
                    if answer.status_code == 200:
                        self.versions[answer.json()["version"]] += 1
                time.sleep(0.02)

    def wait_for_version(self, version: str, seconds: float = 120) -> None:
        """Until thirty more of them have been answered by a version."""
        goal, deadline = self.versions[version] + 30, time.monotonic() + seconds
        while self.versions[version] < goal:
            assert time.monotonic() < deadline, f"{self.versions} {self.statuses}"
            time.sleep(0.05)


@contextlib.contextmanager
def asking_clients(url: str, count: int) -> Iterator[Clients]:
    """Clients at work until the context ends; one that dies fails the test by the answers it lacks."""
    clients, stop = Clients(), threading.Event()
    threads = [threading.Thread(target=clients.ask, args=(url, stop, number)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield clients
        assert all(thread.is_alive() for thread in threads), "a client met no answer at all"
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def train(directory: Path, family: str, data_dir: Path, epochs: int, **base: int) -> Path:
    """A random base model, fine-tuned and cross-validated; returns the run."""
    texts = [example.text for example in load_source("cedr", "train", data_dir)]
    save_base_model(directory / family, family, texts, **base)
    command(
        "training.train", "--train-model", "--base-model", directory / family, "--data-dir", data_dir,
        "--epochs", epochs, "--lr", "5e-3", "--batch-size", "32", "--cross-validate",
        "--weights-dir", directory / "weights",
    )  # fmt: skip
    return directory / "weights" / f"{family}_cedr_{epochs}epochs"


def figures_of(source: str | Path, output: Path, data_dir: Path, *flags: str) -> dict[str, Any]:
    """What the evaluation command measures."""
    command("training.evaluate", source, "--output", output, "--data-dir", data_dir, *flags)
    written: dict[str, Any] = json.loads((output / "metrics.json").read_text(encoding="utf-8"))["figures"]
    return written


def publish(run: Path, repository: Path, data_dir: Path) -> None:
    """The next version."""
    command("training.publish", run, "--model", MODEL, "--repository", repository, "--data-dir", data_dir)


def check_figures(run: dict[str, Any], version: dict[str, Any], served: dict[str, Any], card: dict[str, Any]) -> None:
    """That what is served is what was published, to the last decimal, and what was trained, to the gate's bounds."""
    assert version["mean"] == card["mean"]
    for name, value in version["mean"].items():
        assert abs(served["mean"][name] - value) <= 0.0005, name
    assert run["mean"]["roc_auc"] - served["mean"]["roc_auc"] <= 0.005
    assert run["mean"]["f1_macro"] - served["mean"]["f1_macro"] <= 0.01


def check_versions_change_under_load(serving: Serving, run: Path, repository: Path, data_dir: Path) -> None:
    """Publish, roll back and prune while clients ask: the newest answers, and none of them is refused."""
    home = repository / MODEL
    flags = ("--model", MODEL, "--repository", repository)
    with asking_clients(serving.url, 4) as clients:
        clients.wait_for_version("1")
        publish(run, repository, data_dir)
        clients.wait_for_version("2")
        command("training.publish", "rollback", "--to", "1", *flags)
        clients.wait_for_version("3")
        command("training.publish", "prune", *flags)
        time.sleep(5)  # Two looks of Triton's at the repository.
        clients.wait_for_version("3")
    assert list(clients.statuses) == [200], clients.statuses
    assert set(clients.versions) == {"1", "2", "3"}
    assert [path.name for path in versions_of(home)] == ["2", "3"]
    assert read_card(home / "3").repeats == "1"
    assert damage(home / "2") == damage(home / "3") == []
    assert list(repository.parent.glob(".unfinished-*")) == []
    answer = httpx.post(f"{serving.url}/v1/emotions", json={"text": TEXTS[0], "model": MODEL}, trust_env=False)
    assert answer.json()["version"] == "3"


def check_two_publishes_at_once(run: Path, repository: Path, data_dir: Path) -> None:
    """Each gets a number of its own and is whole."""
    before = versions_of(repository / MODEL)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(publish, run, repository, data_dir) for _ in range(2)]:
            done.result()
    added = [path for path in versions_of(repository / MODEL) if path not in before]
    assert [int(path.name) - int(before[-1].name) for path in added] == [1, 2]
    assert [damage(path) for path in added] == [[], []]


@contextlib.contextmanager
def serving_repository(directory: Path, repository: Path) -> Iterator[Serving]:
    """`make serve` of a repository."""
    flags = (f"--model-repository={repository}", f"--default-model={MODEL}")
    with make_serve(directory, free_ports(4), *flags) as serving:
        serving.wait_until_ready()
        yield serving
