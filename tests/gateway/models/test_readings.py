"""A version whose files have changed is another one to whoever keeps answers."""

import asyncio
from pathlib import Path

from gateway.models.version_reader import VersionReader
from gateway.models.versions import Version
from gateway.triton.client import ModelLimits
from gateway.triton.replica import ModelVersion
from tests.gateway.support.small_model import make_graph, publish, withdraw

SERVED = ModelVersion("emotion_rubert", "1")
LIMITS = ModelLimits(8, ("input_ids",), ("probabilities",), "model.cpu.onnx")


def test_files_that_are_replaced_are_another_reading_which_settles(repository: Path) -> None:
    async def read() -> None:
        reader = VersionReader(repository)
        first, again = await reader.read(SERVED, LIMITS), await reader.read(SERVED, LIMITS)
        assert first.reading == again.reading
        assert settled(first)
        withdraw(repository, 1)
        publish(repository, 1, graph=make_graph(2))
        replaced = await reader.read(SERVED, LIMITS)
        assert replaced.reading != first.reading
        assert not settled(replaced)
        assert (await reader.read(SERVED, LIMITS)) == replaced

    asyncio.run(read())


def test_what_was_gone_from_triton_is_another_reading_too(repository: Path) -> None:
    async def read() -> None:
        reader = VersionReader(repository)
        first = await reader.read(SERVED, LIMITS)
        reader.keep_only([])
        back = await reader.read(SERVED, LIMITS)
        assert back.reading != first.reading
        assert settled(back)

    asyncio.run(read())


def test_no_two_versions_have_the_same_reading(repository: Path) -> None:
    publish(repository, 2)

    async def read() -> None:
        reader = VersionReader(repository)
        one, two = [await reader.read(ModelVersion("emotion_rubert", number), LIMITS) for number in ("1", "2")]
        assert one.reading != two.reading

    asyncio.run(read())


def settled(version: Version) -> bool:
    return version.settled_at <= asyncio.get_running_loop().time()
