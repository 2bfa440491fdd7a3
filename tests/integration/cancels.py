"""Clients of Triton that give up: python -m tests.integration.cancels ADDRESS SECONDS.

Each of a few threads sends good requests over gRPC and cancels most of them some milliseconds later. tritonserver 2.51
dies of that on a busy machine, so a few processes compute in bursts meanwhile. Says how many requests it cancelled.
"""

import hashlib
import multiprocessing
import random
import sys
import threading
import time

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

MODEL = "emotion_rubert"
_THREADS, _BUSY = 12, 6


def _request() -> service_pb2.ModelInferRequest:
    ids = np.full((4, 24), 100, np.int64)
    request = service_pb2.ModelInferRequest(model_name=MODEL, raw_input_contents=[ids.tobytes()])
    request.inputs.add(name="input_ids", datatype="INT64", shape=ids.shape)
    return request


def _burn(until: float) -> None:
    while time.monotonic() < until:
        end = time.monotonic() + random.uniform(0.001, 0.02)  # noqa: S311
        while time.monotonic() < end:
            hashlib.sha256(b"a" * 4096).digest()
        time.sleep(random.uniform(0, 0.01))  # noqa: S311


def _cancel(address: str, until: float, cancelled: list[int]) -> None:
    request, count = _request(), 0
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        while time.monotonic() < until:
            calls = [stub.ModelInfer.future(request) for _ in range(4)]
            time.sleep(random.uniform(0, 0.01))  # noqa: S311
            count += sum(call.cancel() for call in calls)
    cancelled.append(count)


def main() -> None:
    """Cancel for a while."""
    address, until = sys.argv[1], time.monotonic() + float(sys.argv[2])
    busy = [multiprocessing.Process(target=_burn, args=(until,), daemon=True) for _ in range(_BUSY)]
    for process in busy:
        process.start()
    cancelled: list[int] = []
    threads = [threading.Thread(target=_cancel, args=(address, until, cancelled)) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{sum(cancelled)} requests cancelled", flush=True)


if __name__ == "__main__":
    main()
