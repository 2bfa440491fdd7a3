"""What is served is what was measured: a model behind the gateway and its own version directory score alike."""

from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import Serving
from tests.training.small_run import write_cedr
from tests.triton_process import ROOT
from training.answers import checked_card, version_answers
from training.command import TrainingError
from training.evaluate import evaluate_model


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("served")
    write_cedr(directory)
    return directory


def test_served_figures_are_the_version_directorys(serving: Serving, data_dir: Path) -> None:
    served = evaluate_model(serving.url, "dev", data_dir)
    model, _, rest = served.model.partition(" version ")
    version = ROOT / "model_repository" / model / rest.partition(",")[0]
    assert model == "emotion_rubert"
    card = checked_card(version)
    expected = version_answers(version, card, served.examples)
    assert np.abs(served.probabilities - expected).max() < 2e-5
    here = evaluate_model(str(version), "dev", data_dir).figures
    assert served.figures["mean"]["roc_auc"] == pytest.approx(here["mean"]["roc_auc"], abs=2e-3)
    assert served.figures.keys() == here.keys()
    assert {name: profile.get("thresholds") for name, profile in served.figures.get("profiles", {}).items()} == {
        name: profile.get("thresholds") for name, profile in here.get("profiles", {}).items()
    }
    named = evaluate_model(serving.url, "dev", data_dir, model="rubert", version=version.name)
    assert named.model == served.model


def test_what_a_gateway_does_not_serve_is_a_sentence(serving: Serving, data_dir: Path) -> None:
    with pytest.raises(TrainingError, match=r"serves no model bert; it serves: .*emotion_rubert"):
        evaluate_model(serving.url, "dev", data_dir, model="bert")
    with pytest.raises(TrainingError, match=r"serves emotion_rubert in version \d.*, not 99"):
        evaluate_model(serving.url, "dev", data_dir, model="rubert", version="99")
    with pytest.raises(TrainingError, match="answered 404"):
        evaluate_model(f"{serving.url}/elsewhere", "dev", data_dir)
    with pytest.raises(TrainingError, match="is no gateway"):
        evaluate_model(f"http://127.0.0.1:{serving.ports[2]}", "dev", data_dir)
