"""The watch over Triton outlives whatever it meets, and ends when it is told to."""

import asyncio
from pathlib import Path

import pytest

from gateway.models.canary import CanaryReader
from gateway.models.catalogue import Catalogue
from gateway.models.readiness import Readiness
from gateway.models.version_reader import VersionReader
from gateway.telemetry.metrics import Metrics
from gateway.triton.channel import open_channels
from gateway.triton.client import Triton
from tests.gateway.support.fake_triton import running_fake_triton


class PanicException(BaseException):
    """As of a library in native code: no `Exception`."""


@pytest.mark.parametrize("failure", [PanicException, MemoryError, RecursionError, OSError, GeneratorExit])
def test_the_watch_goes_on(repository: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]) -> None:
    async def watch() -> None:
        metrics = Metrics()
        triton = Triton(fake.address, open_channels)
        catalogue = Catalogue(triton, VersionReader(repository), CanaryReader(repository, None), metrics)
        readiness = Readiness(triton, catalogue, "rubert", 0.01, metrics)
        failed = asyncio.Event()

        async def fail() -> None:
            failed.set()
            raise failure("as a library does")

        with monkeypatch.context() as patched:
            patched.setattr(catalogue, "refresh", fail)
            task = asyncio.create_task(readiness.watch())
            async with asyncio.timeout(20):
                await failed.wait()
            await asyncio.sleep(0.1)
            assert not task.done()
        async with asyncio.timeout(20):
            while not catalogue.served.models:
                await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await readiness.close()
        await catalogue.close()
        await triton.close(1)

    with running_fake_triton() as fake:
        asyncio.run(watch())
