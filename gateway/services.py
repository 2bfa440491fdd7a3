"""What the endpoints work with: made when the application starts, closed when it ends."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway.catalogue import Catalogue
from gateway.inference import Inference
from gateway.intake import Admission
from gateway.readiness import Readiness
from gateway.settings import Settings
from gateway.triton import Triton
from gateway.versions import VersionReader


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the application does."""

    settings: Settings
    catalogue: Catalogue
    readiness: Readiness
    inference: Inference
    admission: Admission


@contextlib.asynccontextmanager
async def running_services(settings: Settings) -> AsyncIterator[Services]:
    """Connect to Triton and watch it; a Triton that isn't there yet is waited for."""
    triton = Triton(settings.triton_address)
    catalogue = Catalogue(triton, VersionReader(settings.model_repository))
    readiness = Readiness(triton, catalogue, settings.default_model, settings.refresh_interval)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="tokenize") as threads:
        watch = asyncio.create_task(readiness.watch())
        try:
            yield Services(
                settings=settings,
                catalogue=catalogue,
                readiness=readiness,
                inference=Inference(triton, catalogue, threads, settings.default_model),
                admission=Admission(settings.max_in_flight),
            )
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            await catalogue.close()
            await triton.close()
