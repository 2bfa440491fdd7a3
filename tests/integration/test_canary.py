"""A new version is tried by a gateway that runs, then rolled back or promoted: real Triton, HTTP and commands."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from contract.canary import canary_file
from contract.labels import EMOTIONS
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure
from tests.gateway.support.small_model import expected, publish
from tests.gateway.support.versions import wait_for_version
from tests.support.triton_process import TritonProcess, running_triton
from tests.support.waiting import wait_until
from training.common.command import TrainingError
from training.publish.commands import canary_command, list_versions, promote_command, rollback_command

MODEL = "emotion_rubert"
TEXTS = [f"рад и {first}{second}" for first in "абвгдежз" for second in "абвгдежз"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trial") / "model_repository"
    path.mkdir()
    publish(path, 1)
    publish(path, 2)
    return path


@pytest.fixture(scope="module")
def triton(repository: Path) -> Iterator[TritonProcess]:
    with running_triton(repository, poll_seconds=1) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(repository: Path, triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(repository, triton.grpc_url, "--refresh-interval=0.2") as running:
        running.wait_until_ready()
        yield running


def answering(client: httpx.Client, texts: list[str], weights: dict[str, int]) -> Counter[str]:
    """How many texts each version answers, and that it answers what its weights say."""
    versions: Counter[str] = Counter()
    for text in texts:
        found = client.post("/v1/emotions", json={"text": text}).json()
        versions[found["version"]] += 1
        right = expected(text, weights[found["version"]])
        assert found["results"][0]["probabilities"] == pytest.approx(right, abs=1e-5)
    return versions


def role(client: httpx.Client, version: str) -> str | None:
    (model,) = client.get("/v1/models").json()["models"]
    found: dict[str, str | None] = {row["version"]: row["role"] for row in model["versions"]}
    return found.get(version)


def test_a_trial_from_its_beginning_to_either_end(
    repository: Path, triton: TritonProcess, gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: Callable[[list[str]], None], *arguments: str) -> str:
        command([f"--repository={repository}", f"--model={MODEL}", *arguments])
        return capsys.readouterr().out

    with gateway.client() as client:
        assert run(canary_command, "25%") == f"{MODEL} 2 is on trial: 25%\n"
        wait_for_version(gateway, "1")
        wait_until(lambda: role(client, "2") == "canary")
        shares = answering(client, TEXTS, {"1": 1, "2": 2})
        assert 4 <= shares["2"] <= 32, shares  # 16 expected
        assert run(canary_command, "shadow") == f"{MODEL} 2 is on trial: shadow\n"
        wait_until(lambda: role(client, "2") == "shadow")
        assert answering(client, TEXTS, {"1": 1}) == {"1": len(TEXTS)}
        challenger = {"model": MODEL, "version": "2"}
        wait_until(lambda: figure(client, "emotion_shadow_texts_total", **challenger) == len(TEXTS))
        for emotion in EMOTIONS:
            difference = sum(abs(expected(text, 1)[emotion] - expected(text, 2)[emotion]) for text in TEXTS)
            labels = {"emotion": emotion, **challenger}
            assert figure(client, "emotion_shadow_difference_total", **labels) == pytest.approx(difference, abs=1e-4)
        # What is written of a trial makes Triton load nothing anew.
        assert triton.log().count(f"loading: {MODEL}:1") == 1
        # The old one is published again, and nobody is answered by the challenger on the way there.
        out = run(rollback_command, f"--url={triton.grpc_url}")
        assert f"published {repository}/{MODEL}/3, which repeats version 1\n" in out
        wait_until(lambda: answering(client, TEXTS[:1], {"1": 1, "3": 1})["3"], gateway.log)
        assert role(client, "3") is role(client, "2") is None
        # The next trial ends well.
        canary_file(repository, MODEL).write_text('{"4": "0%"}', "utf-8")
        publish(repository, 4)
        wait_until(lambda: role(client, "4") == "canary")
        assert answering(client, TEXTS[:5], {"3": 1}) == {"3": 5}
        assert run(promote_command) == f"{MODEL} 4 answers by default\n"
        wait_for_version(gateway, "4")
        assert answering(client, TEXTS[:5], {"4": 4}) == {"4": 5}
        assert role(client, "4") is None


@pytest.mark.parametrize("trial", ["5%", "shadow"])
def test_a_trial_that_only_the_gateways_setting_began_is_listed(
    tmp_path: Path, trial: str, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "model_repository"
    repository.mkdir()
    publish(repository, 1)
    publish(repository, 2)
    (tmp_path / "keys").write_text("a-secret-for-the-gateway", "utf-8")
    with (
        running_triton(repository) as triton,
        running_gateway(
            repository, triton.grpc_url, f"--canary={trial}", f"--api-keys-file={tmp_path / 'keys'}"
        ) as gateway,
    ):
        gateway.wait_until_ready()
        asked = [f"--repository={repository}", f"--url={triton.grpc_url}", f"--gateway={gateway.url}"]
        with pytest.raises(TrainingError, match="answered 401 Unauthorized; EMOTION_GATEWAY_KEY must hold its key"):
            list_versions(asked)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EMOTION_GATEWAY_KEY", "a-secret-for-the-gateway")
            list_versions(asked)
        out = capsys.readouterr().out
        assert out.count(f"on trial at the gateway: {trial}\n") == 1
        assert out.index("on trial at the gateway") < out.index(f"{MODEL:20}    1  served")
