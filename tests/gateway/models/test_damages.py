"""Whatever is wrong with one version costs that version alone."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.models.version_reader import VersionReader
from gateway.models.versions import UnusableVersionError, Version
from gateway.triton.client import ModelLimits
from gateway.triton.replica import ModelVersion
from tests.gateway.support.damages import DAMAGES
from tests.gateway.support.fake_triton import answer, running_fake_triton
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import unusable_versions
from tests.gateway.support.small_model import publish
from tests.gateway.support.versions import left_out, wait_until_left_out, wait_until_used
from tests.support.waiting import wait_until


def model_of(damage: str) -> str:
    return f"emotion_{damage.replace('-', '_').lower()}"


def emotions(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post("/v1/emotions", json={"text": "рад", **fields})


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that starts before models with a good version 1 and a damaged version 2, one for each damage.

    With a fake Triton: a real one could not have loaded most of them.
    """
    repository = tmp_path_factory.mktemp("damaged") / "model_repository"
    repository.mkdir()
    publish(repository, 1)
    rows = [("emotion_rubert", "1", "READY")]
    for name, damage in DAMAGES.items():
        model = model_of(name)
        publish(repository, 1, model)
        damage.do(publish(repository, 2, model))
        rows += [(model, "1", "READY"), (model, "2", "READY")]
    with running_fake_triton() as fake:
        fake.served = tuple(rows)
        fake.infer = lambda request, _: answer(request)
        with running_gateway(repository, fake.address) as gateway:
            gateway.wait_until_ready()
            with gateway.client() as client:
                wait_until(
                    lambda: len(left_out(client)) == len(DAMAGES) and "being checked" not in str(left_out(client)),
                    lambda: left_out(client),
                    seconds=300,
                )
            yield gateway


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_version_is_left_out_and_the_one_before_answers(damaged: GatewayProcess, name: str) -> None:
    model = model_of(name)
    with damaged.client() as client:
        reason = left_out(client)[model, "2"]
        assert DAMAGES[name].said in reason
        answered = emotions(client, model=model)
        assert answered.status_code == 200
        assert answered.json()["version"] == "1"
        assert emotions(client, model=model, version="2").status_code == 404
        assert unusable_versions(client)[model, "2", DAMAGES[name].kind] == 1
    assert f"model {model} version 2 is left out: " in damaged.log()


def test_the_others_answer_and_it_is_ready(damaged: GatewayProcess) -> None:
    with damaged.client() as client:
        assert emotions(client).status_code == 200
        assert client.get("/health/ready").status_code == 200


@pytest.fixture
def running(repository: Path) -> Iterator[tuple[GatewayProcess, Path]]:
    """Two good versions, and a gateway that has read them."""
    version = publish(repository, 2)
    with running_fake_triton() as fake:
        fake.served = (("emotion_rubert", "1", "READY"), ("emotion_rubert", "2", "READY"))
        fake.infer = lambda request, _: answer(request)
        with running_gateway(repository, fake.address, "--refresh-interval=0.2") as gateway:
            gateway.wait_until_ready()
            yield gateway, version


@pytest.mark.parametrize("name", ["card-missing", "card-fifo", "graph-cut", "tokenizer-panics", "tokenizer-of-another"])
def test_a_version_damaged_while_it_serves_is_left_out_and_comes_back(
    running: tuple[GatewayProcess, Path], tmp_path: Path, name: str
) -> None:
    gateway, version = running
    whole = shutil.copytree(version, tmp_path / "whole")
    with gateway.client() as client:
        assert emotions(client).json()["version"] == "2"
        DAMAGES[name].do(version)
        assert DAMAGES[name].said in wait_until_left_out(client, "emotion_rubert", "2")
        assert emotions(client).json()["version"] == "1"
        shutil.rmtree(version)
        whole.rename(version)
        wait_until_used(client, "emotion_rubert", "2")
        assert emotions(client).json()["version"] == "2"
        assert unusable_versions(client)["emotion_rubert", "2", DAMAGES[name].kind] == 0


def test_what_is_gone_for_a_while_goes_on_answering(running: tuple[GatewayProcess, Path], tmp_path: Path) -> None:
    gateway, version = running
    with gateway.client() as client:
        version.parent.parent.rename(tmp_path / "away")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            assert emotions(client).json()["version"] == "2"
            assert client.get("/health/ready").status_code == 200
            time.sleep(0.1)
        assert left_out(client) == {}


def test_a_file_that_can_not_be_read_for_a_while(repository: Path) -> None:
    # As root every file can be read: what stands in its way is a directory that is not there yet.
    card = repository / "emotion_rubert/1/card.json"
    card.rename(repository / "card")
    card.symlink_to(repository / "not there yet/card.json")
    with running_fake_triton() as fake:
        fake.infer = lambda request, _: answer(request)
        with running_gateway(repository, fake.address, "--refresh-interval=0.2") as gateway, gateway.client() as client:
            gateway.wait_until_ready(status=503)
            assert emotions(client).status_code == 503
            (repository / "not there yet").mkdir()
            os.rename(repository / "card", repository / "not there yet/card.json")
            gateway.wait_until_ready()
            assert emotions(client).status_code == 200


def test_the_graph_that_triton_serves_is_the_one_that_counts(repository: Path) -> None:
    version = repository / "emotion_rubert/1"
    (version / "model.gpu.onnx").write_bytes(b"half a graph")

    def read(graph: str) -> Version:
        async def read_it() -> Version:
            limits = ModelLimits(8, ("input_ids",), ("probabilities",), graph)
            return await VersionReader(repository).read(ModelVersion("emotion_rubert", "1"), limits)

        return asyncio.run(read_it())

    assert read("model.cpu.onnx").version == "1"
    with pytest.raises(UnusableVersionError, match=r"model\.gpu\.json does not exist") as caught:
        read("model.gpu.onnx")
    assert caught.value.kind == "graph"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (ModelLimits(0, ("input_ids",), ("probabilities",)), "no max_batch_size"),
        (ModelLimits(8, ("ids",), ("probabilities",)), "no input input_ids"),
        (ModelLimits(8, ("input_ids",), ("logits",)), "no input input_ids and output probabilities"),
    ],
)
def test_a_configuration_that_is_not_ours(repository: Path, limits: ModelLimits, said: str) -> None:
    async def read_it() -> None:
        await VersionReader(repository).read(ModelVersion("emotion_rubert", "1"), limits)

    with pytest.raises(UnusableVersionError, match=said) as caught:
        asyncio.run(read_it())
    assert caught.value.kind == "configuration"
