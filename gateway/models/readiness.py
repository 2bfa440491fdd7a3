"""Whether the gateway can answer: watched once an interval, and asked by health checks."""

import asyncio
import logging
import traceback
from typing import Final

from gateway.errors.problems import Problem
from gateway.errors.triton_errors import TritonError
from gateway.models.catalogue import Catalogue
from gateway.telemetry import log
from gateway.telemetry.metrics import Metrics
from gateway.triton.client import Triton

logger = logging.getLogger("gateway")

_CHECK_TIMEOUT: Final = 1.0
"""Seconds; shorter than the time limit of the usual health check."""


class Readiness:
    """Ready means: a Triton is there, and takes requests for the default model's newest usable version.

    Triton's own readiness is not asked for: it turns false when any model fails to load,
    and a bad new version of one model must not take the others from their users.
    """

    def __init__(
        self, triton: Triton, catalogue: Catalogue, default_model: str, interval: float, metrics: Metrics
    ) -> None:
        self._triton = triton
        self._catalogue = catalogue
        self._default_model = default_model
        self._interval = interval
        self._metrics = metrics
        self._ready: bool | None = None
        self._check: asyncio.Task[str | None] | None = None

    async def reason_not_ready(self) -> str | None:
        """One sentence on why requests can't be answered, or None if they can.

        Takes a second at most; callers at the same time share one check. A change since the last
        call, whoever made it, is logged.
        """
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._check_and_report())
        return await asyncio.shield(self._check)

    async def _check_and_report(self) -> str | None:
        reason = await self._find_reason()
        if self._ready is None or self._ready != (reason is None):
            if reason is None:
                logger.info("Triton at %s is ready", self._triton.address)
            else:
                logger.warning("not ready: %s", reason)
        self._ready = reason is None
        self._metrics.ready(ready=self._ready)
        return reason

    async def close(self) -> None:
        """End a check under way."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.wait([self._check])

    async def watch(self) -> None:
        """Keep the catalogue current, and log each change of readiness; never ends."""
        while True:
            try:
                await self.reason_not_ready()
                await self._catalogue.refresh()
            except TritonError as error:
                logger.debug("Triton can't be asked what it serves: %s", error)
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                # The gateway must outlive whatever this refresh met, a panic of a library included.
                stack = "".join(traceback.format_tb(error.__traceback__))
                logger.error(
                    "looking at what Triton serves failed: %r", error, extra={log.REQUEST_FIELDS: {"stack": stack}}
                )
            await asyncio.sleep(self._interval)

    async def _find_reason(self) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT):
                version = await self._catalogue.find(self._default_model, None, by_default=True)
                if await self._triton.is_ready(version.served, _CHECK_TIMEOUT):
                    return None
                # Unloaded since the last refresh: another version answers then, as for a request.
                await self._catalogue.refresh(max_age=0)
                version = self._catalogue.served.find(self._default_model, None, by_default=True)
                if await self._triton.is_ready(version.served, _CHECK_TIMEOUT):
                    return None
            return f"Triton has not loaded {version.model} version {version.version}."
        except Problem as problem:
            left_out = "; ".join(
                f"{row.served.model} version {row.served.version}: {row.reason}"
                for row in self._catalogue.served.unusable
            )
            return f"{problem.detail}{f' Left out: {left_out}.' if left_out else ''}"
        except TritonError as error:
            return f"Triton at {self._triton.address} can't be asked: {error}."
        except TimeoutError:
            return f"Triton at {self._triton.address} does not answer within {_CHECK_TIMEOUT:g} s."
