"""The worker processes of a gateway that has several."""

import contextlib

import psutil

from tests.gateway.support.gateway_process import GatewayProcess


def workers(gateway: GatewayProcess) -> list[psutil.Process]:
    family = psutil.Process(gateway.process.pid).children(recursive=True)
    found = []
    for process in family:
        # NoSuchProcess: ended meanwhile, or waits to be buried.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(process.cmdline()):
                found.append(process)
    return found
