"""A Triton that answers rows, and a batcher that asks it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.inference import batching
from tests.gateway.support.fake_triton import FakeTriton, running_fake_triton
from tests.gateway.support.rows import Asking, RowTriton, asking


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    with running_fake_triton() as running:
        yield running


@pytest.fixture
def triton(fake: FakeTriton) -> RowTriton:
    return RowTriton(fake)


@pytest.fixture
def run(fake: FakeTriton, repository: Path) -> Callable[..., None]:
    """Runs a test's coroutine with an `Asking`; nothing may be under way or wait at its end."""

    def run_it(test: Callable[[Asking], Awaitable[None]], **options: int) -> None:
        async def whole() -> None:
            async with asking(fake.address, repository, **options) as asked:
                await test(asked)
                await asyncio.sleep(0)
                asked.assert_at_rest()

        asyncio.run(whole())

    return run_it


@pytest.fixture
def run_three(
    fake: FakeTriton, triton: RowTriton, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Runs a test's coroutine with three Tritons, the first of which is asked first."""
    monkeypatch.setattr(batching, "SLOW_SECONDS", 0.3)
    with running_fake_triton() as second, running_fake_triton() as third:
        tritons = [triton, RowTriton(second), RowTriton(third)]

        async def whole(test: Callable[..., Awaitable[None]], calls: int = 4, **options: int) -> None:
            addresses = ",".join(each.address for each in (fake, second, third))
            async with asking(addresses, repository, calls, **options) as asked:
                try:
                    await test(asked, *tritons)
                finally:
                    for each in tritons:
                        each.freed.set()
                await asked.rest()

        yield lambda test, **options: asyncio.run(whole(test, **options))
