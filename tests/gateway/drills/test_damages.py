"""Every damage of a version under load, before a real Triton that has loaded it: nobody but that version is touched.

The short form, with a fake Triton, is in models/test_damages.
"""

import shutil
import time
from pathlib import Path

import pytest

from tests.gateway.support.damages import DAMAGES, EATS_MEMORY
from tests.gateway.support.gateway_process import running_gateway
from tests.gateway.support.load import running_load
from tests.gateway.support.metrics import unusable_versions
from tests.gateway.support.small_model import publish
from tests.gateway.support.versions import left_out, wait_until_left_out, wait_until_used
from tests.support.triton_process import running_triton
from tests.support.waiting import wait_until


@pytest.mark.drill
def test_every_damage_while_the_version_serves(repository: Path, tmp_path: Path) -> None:
    version = publish(repository, 2)
    whole = shutil.copytree(version, tmp_path / "whole")
    with (
        running_triton(repository) as triton,
        running_gateway(repository, triton.grpc_url) as gateway,
        gateway.client() as client,
    ):
        gateway.wait_until_ready()
        with running_load(gateway, clients=4) as load:
            for name, damage in DAMAGES.items():
                began = time.monotonic()
                damage.do(version)
                assert damage.said in wait_until_left_out(client, "emotion_rubert", "2")
                assert unusable_versions(client)["emotion_rubert", "2", damage.kind] == 1
                out = time.monotonic() - began
                load.wait_for(20)
                assert client.post("/v1/emotions", json={"text": "рад"}).json()["version"] == "1"
                shutil.rmtree(version)
                shutil.copytree(whole, version)
                wait_until_used(client, "emotion_rubert", "2")
                print(f"{name}: left out after {out:.1f} s, back after {time.monotonic() - began:.1f} s")
                load.wait_for(20)
        print(f"{dict(load.statuses)}, slowest {load.slowest:.2f} s")
        assert list(load.statuses) == [200]


@pytest.mark.drill
def test_every_damage_at_the_start(repository: Path, tmp_path: Path) -> None:
    version = publish(repository, 2)
    whole = shutil.copytree(version, tmp_path / "whole")
    with running_triton(repository) as triton:
        for name, damage in DAMAGES.items():
            damage.do(version)
            began = time.monotonic()
            with running_gateway(repository, triton.grpc_url) as gateway, gateway.client() as client:
                gateway.wait_until_ready()
                ready = time.monotonic() - began
                assert damage.said in wait_until_left_out(client, "emotion_rubert", "2")
                assert client.post("/v1/emotions", json={"text": "рад"}).json()["version"] == "1"
                print(f"{name}: ready after {ready:.1f} s")
            shutil.rmtree(version)
            shutil.copytree(whole, version)


@pytest.mark.drill
def test_a_tokenizer_that_takes_all_memory(repository: Path) -> None:
    """Its trial is stopped; meanwhile and afterwards the version before answers."""
    EATS_MEMORY.do(publish(repository, 2))
    with (
        running_triton(repository) as triton,
        running_gateway(repository, triton.grpc_url) as gateway,
        gateway.client() as client,
    ):
        gateway.wait_until_ready()
        with running_load(gateway, clients=4) as load:
            wait_until(lambda: EATS_MEMORY.said in wait_until_left_out(client, "emotion_rubert", "2"))
            print(left_out(client))
            load.wait_for(50)
        assert list(load.statuses) == [200]
        assert list(load.versions) == ["1"]
