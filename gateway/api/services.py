"""What the endpoints work with: made when the application starts, closed when it ends."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.api.schemas import Limits
from gateway.http.admission import Admission
from gateway.http.bodies import Receiving
from gateway.inference.batching import Batcher
from gateway.inference.pipeline import Inference
from gateway.models.catalogue import Catalogue
from gateway.models.readiness import Readiness
from gateway.models.version_reader import VersionReader
from gateway.settings import Settings, read_keys
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.channel import Tls, open_channel
from gateway.triton.client import Triton

_CALL_SECONDS: Final = 60.0
"""The deadline of a call, on top of the request timeout: it hardly ever passes, see `gateway.triton.replica`."""
_GRACE_SECONDS: Final = 1.0
"""For calls that nobody waits for any more when the gateway stops."""


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the application does."""

    settings: Settings
    limits: Limits
    catalogue: Catalogue
    readiness: Readiness
    inference: Inference
    admission: Admission
    receiving: Receiving
    metrics: Metrics


@contextlib.asynccontextmanager
async def running_services(settings: Settings, metrics: Metrics, tracing: Tracing) -> AsyncIterator[Services]:
    """Connect to Triton and watch it; a Triton that isn't there yet is waited for."""
    triton = Triton(
        settings.triton_address,
        partial(open_channel, configured=settings.triton_address, tls=_tls(settings)),
        call_seconds=settings.request_timeout + _CALL_SECONDS,
    )
    catalogue = Catalogue(triton, VersionReader(settings.model_repository), metrics)
    readiness = Readiness(triton, catalogue, settings.default_model, settings.refresh_interval, metrics)
    batcher = Batcher(triton, settings.triton_calls, metrics, tracing)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="tokenize") as threads:
        watching = [asyncio.create_task(watch) for watch in (triton.follow(), readiness.watch())]
        try:
            yield Services(
                settings=settings,
                limits=_limits(settings),
                catalogue=catalogue,
                readiness=readiness,
                inference=Inference(batcher, catalogue, threads, metrics, settings.default_model),
                admission=_admission(settings, metrics),
                receiving=Receiving(settings.max_body_bytes),
                metrics=metrics,
            )
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
            await readiness.close()
            await catalogue.close()
            await batcher.close(_GRACE_SECONDS)
            await triton.close(_GRACE_SECONDS)


def _tls(settings: Settings) -> Tls | None:
    if not settings.triton_tls:
        return None
    return Tls(settings.triton_tls_ca, settings.triton_tls_certificate, settings.triton_tls_key)


def _admission(settings: Settings, metrics: Metrics) -> Admission:
    return Admission(
        settings.max_in_flight // settings.workers,
        settings.max_texts_in_flight // settings.workers,
        settings.key_share if len(read_keys(settings)) > 1 else 1.0,
        metrics,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_texts=settings.max_texts,
        max_characters=settings.max_characters,
        max_body_bytes=settings.max_body_bytes,
        max_in_flight=settings.max_in_flight,
        request_timeout_seconds=settings.request_timeout,
    )
