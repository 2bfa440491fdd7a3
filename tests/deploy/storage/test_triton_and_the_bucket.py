"""The real tritonserver on a repository in a bucket, and on a copy of it: what docs/running/storage.md says of both."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from tests.deploy.storage.store import MODEL, Store, add_version, storage
from tests.support.plain_triton import plain_triton
from tests.support.triton_process import running_triton
from tests.support.waiting import wait_until

pytestmark = pytest.mark.storage

TEXT = f"{MODEL}_text"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Triton copies what it reads; one that is killed leaves it there."""
    (tmp_path / "read").mkdir()
    monkeypatch.setenv("TRITON_AWS_MOUNT_DIRECTORY", str(tmp_path / "read"))


class Asking:
    """Requests one after another, and what became of them."""

    def __init__(self, url: str) -> None:
        self.answered, self.failures = 0, list[str]()
        self._client = InferenceServerClient(url)
        self._over = threading.Event()
        self._rows = InferInput("input_ids", [1, 5], "INT64")
        self._rows.set_data_from_numpy(np.array([[2, 5, 6, 7, 3]]))
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.wait(0.02):
            try:
                self._client.infer(MODEL, [self._rows])
                self.answered += 1
            except InferenceServerException as error:
                self.failures.append(str(error))

    def go_on(self, requests: int = 20) -> None:
        """Until so many more were answered."""
        goal = self.answered + requests
        wait_until(lambda: self.answered >= goal, lambda: self.failures)

    @classmethod
    @contextlib.contextmanager
    def during(cls, url: str) -> Iterator["Asking"]:
        asking = cls(url)
        asking._thread.start()
        try:
            yield asking
        finally:
            asking._over.set()
            asking._thread.join()


def test_triton_reads_the_bucket_itself(store: Store, repository: Path) -> None:
    """New versions by an explicit load; half a version is not loaded; a store that is away hurts nobody."""
    assert storage("push", repository, store.address) == 0
    explicit = ("--model-control-mode=explicit", "--load-model=*")
    with plain_triton(store.address, *explicit) as triton:
        triton.wait_for(lambda: triton.ready() == {(MODEL, "1"), (TEXT, "1")})
        client = InferenceServerClient(triton.url)
        with Asking.during(triton.url) as asking:
            asking.go_on()
            store.put(f"{MODEL}/2/tokenizer.json", b"half a version")
            client.load_model(MODEL)
            assert triton.ready() == {(MODEL, "1"), (TEXT, "1")}
            store.remove(f"{MODEL}/2/tokenizer.json")
            add_version(repository, 2)
            storage("push", repository, store.address)
            for name in (MODEL, TEXT):
                client.load_model(name)
            triton.wait_for(lambda: triton.ready() == {(name, number) for name in (MODEL, TEXT) for number in "12"})
            asking.go_on()
            store.process.send_signal(signal.SIGSTOP)
            asking.go_on()
            store.stop()
            asking.go_on()
            assert client.is_model_ready(MODEL, "2"), "it asks no store"
            assert asking.failures == []


def test_a_start_beside_half_a_version(store: Store, repository: Path) -> None:
    """What no configuration names is not looked at."""
    storage("push", repository, store.address)
    store.put(f"{MODEL}/2/tokenizer.json", b"half a version")
    with plain_triton(store.address, poll_seconds=0) as triton:
        triton.wait_for(lambda: triton.ready() == {(MODEL, "1"), (TEXT, "1")})


def test_triton_polls_the_copy(store: Store, repository: Path, tmp_path: Path) -> None:
    """The way that is recommended: new versions come and old ones go without a failed request."""
    copy = tmp_path / "volume" / "models"
    storage("push", repository, store.address)
    assert storage("fetch", store.address, copy) == 0
    with running_triton(copy, poll_seconds=1) as triton, Asking.during(triton.grpc_url) as asking:
        asking.go_on()
        for number in (2, 3):
            add_version(repository, number)
            storage("push", repository, store.address)
            assert storage("fetch", store.address, copy) == 0
            client = InferenceServerClient(triton.grpc_url)
            wait_until(lambda: client.is_model_ready(TEXT, str(number)), triton.log)  # noqa: B023
            asking.go_on()
        wait_until(lambda: not client.is_model_ready(MODEL, "1"), triton.log)
        asking.go_on()
        assert asking.failures == []
