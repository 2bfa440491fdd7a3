"""What is served is what was measured: a model behind the gateway and its own version directory score alike."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.gateway.support.gateway_process import running_gateway
from tests.integration.serving import Serving
from tests.support.committed import committed
from tests.support.triton_process import ROOT, free_ports
from tests.training.support.rows import keyword_rows, write_lines
from training.behaviour.measure import measure_behaviour
from training.behaviour.suite import load_suite
from training.common.command import TrainingError
from training.compare.models import Source, compare_models
from training.evaluate.evaluation import evaluate_model
from training.evaluate.predictions import checked_card, predict_version
from training.evaluate.sources import answers_of


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("served")
    write_lines(directory, "cedr", "test", keyword_rows(12))
    return directory


def test_served_figures_are_the_version_directorys(serving: Serving, data_dir: Path) -> None:
    served = evaluate_model(serving.url, "test", data_dir)
    model, _, rest = served.model.partition(" version ")
    version = ROOT / "model_repository" / model / rest.partition(",")[0]
    assert model == "emotion_rubert"
    card = checked_card(version)
    expected = predict_version(version, card, served.examples)
    assert np.abs(served.probabilities - expected).max() < 2e-5
    here = evaluate_model(str(version), "test", data_dir).figures
    assert served.figures["mean"]["roc_auc"] == pytest.approx(here["mean"]["roc_auc"], abs=2e-3)
    assert served.figures.keys() == here.keys()
    assert {name: profile.get("thresholds") for name, profile in served.figures.get("profiles", {}).items()} == {
        name: profile.get("thresholds") for name, profile in here.get("profiles", {}).items()
    }
    named = evaluate_model(serving.url, "test", data_dir, model="rubert", version=version.name)
    assert named.model == served.model


def test_a_served_model_and_its_version_directory_are_compared(serving: Serving, data_dir: Path) -> None:
    version = committed()
    served = Source(serving.url, "rubert", version.name)
    found = compare_models(Source(f"{version}"), served, "test", data_dir, behaviour=False)
    assert found.after == f"emotion_rubert version {version.name}, served at {serving.url}"
    assert found.verdict == "no difference"
    assert abs(found.differences["mean"]["roc_auc"].rise) < 2e-3
    # Two models of one gateway.
    other = compare_models(served, Source(serving.url, "xlm"), "test", data_dir, behaviour=False)
    assert other.after.startswith("emotion_xlm version ")
    assert other.disagreements.rows > 0


def test_behaviour_is_asked_over_http(serving: Serving) -> None:
    cases = load_suite()
    with answers_of(serving.url, "rubert", None) as (name, answers):
        served = measure_behaviour(answers, cases, [])
    model, _, rest = name.partition(" version ")
    with answers_of(f"{ROOT}/model_repository/{model}/{rest.partition(',')[0]}", None, None) as (_, answers):
        here = measure_behaviour(answers, cases, [])
    # Neighbours in a batch move int8 probabilities a little, which may turn a draw.
    differ = [
        one.case.text for one, other in zip(served.judged, here.judged, strict=True) if one.answered != other.answered
    ]
    assert len(differ) <= 2, differ


@contextlib.contextmanager
def other_server() -> Iterator[str]:
    """An HTTP server that answers everything with some text, as Triton's metrics do."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"# HELP something")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_a_gateway_does_not_serve_is_a_sentence(serving: Serving, data_dir: Path) -> None:
    with pytest.raises(TrainingError, match=r"serves no model bert; it serves: .*emotion_rubert"):
        evaluate_model(serving.url, "test", data_dir, model="bert")
    with pytest.raises(TrainingError, match=r"serves emotion_rubert in version \d.*, not 99"):
        evaluate_model(serving.url, "test", data_dir, model="rubert", version="99")
    with pytest.raises(TrainingError, match="answered 404"):
        evaluate_model(f"{serving.url}/elsewhere", "test", data_dir)
    with other_server() as url, pytest.raises(TrainingError, match="is no gateway"):
        evaluate_model(url, "test", data_dir)


def test_a_gateway_that_wants_a_key_and_has_no_triton(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text("open-sesame-0123456789\n")
    (port,) = free_ports(1)
    flags = [f"127.0.0.1:{port}", f"--api-keys-file={tmp_path / 'keys'}"]
    with running_gateway(ROOT / "model_repository", *flags) as gateway:
        monkeypatch.setenv("EMOTION_GATEWAY_KEY", "wrong")
        with pytest.raises(TrainingError, match="answered 401"):
            evaluate_model(gateway.url, "test", data_dir)
        monkeypatch.setenv("EMOTION_GATEWAY_KEY", "open-sesame-0123456789")
        # Asked again for as long as the gateway asks for patience, and then told what it said.
        with pytest.raises(TrainingError, match=r"answered 503: .*Triton"):
            evaluate_model(gateway.url, "test", data_dir)
