"""What a start has learned: told by a run, a model card, or nobody."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from tests.support.triton_process import free_ports
from training.common.command import TrainingError
from training.runs import learned
from training.runs.learned import MODEL_CARD, learned_by, named_on, read_model_card


class Refusing(http.server.BaseHTTPRequestHandler):
    """A hub that takes nobody's token."""

    def do_HEAD(self) -> None:
        self.send_error(401)


@pytest.fixture
def refusing() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    learned._from_hub.cache_clear()
    return tmp_path / "cache"


def test_of_a_hub_that_refuses_or_is_not_there_nothing_is_known(
    cache: Path, refusing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and at once: the checkpoint itself may be in the cache, and be all that training needs."""
    assert not cache.exists()
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    for endpoint, name in ((refusing, "some/private"), (nobody, "some/public")):
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
        assert learned_by(name) == []
        assert f"it is not known which rows {name} has seen" in capsys.readouterr().err


def test_a_card_in_the_cache_is_enough(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    snapshot = cache / "models--some--model/snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (cache / "models--some--model/refs").mkdir()
    (cache / "models--some--model/refs/main").write_text("a" * 40)
    (snapshot / MODEL_CARD).write_text("---\ndatasets: sagteam/cedr_v1\n---\n")
    assert learned_by("some/model") == ["sagteam/cedr_v1"]


def test_strangers_cards(tmp_path: Path) -> None:
    assert named_on({"datasets": True, "trained_on": ["mine", 7]}) == ["True", "mine", "7"]
    assert named_on({"datasets": None}) == []
    (tmp_path / MODEL_CARD).write_text("---\ndatasets: [a\n---\n")
    with pytest.raises(TrainingError, match="can't be read"):
        read_model_card(tmp_path)
