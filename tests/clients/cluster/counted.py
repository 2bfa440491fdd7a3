"""A way to a Triton that counts the calls under way there, and lets each take its time.

So a job can be stopped in its middle, and a killed worker's calls reach Triton uncancelled: the one from PyPI dies of
cancelled calls now and then.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

INFER = "/inference.GRPCInferenceService/ModelInfer"


class CountedWay(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Passes unary calls on, byte for byte."""

    def __init__(self, upstream: grpc.Channel, seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        """Calls to models that were under way at once."""
        self.calls = 0
        self.refuses = False
        """As a Triton whose queue is full."""
        self.answered = 0
        """Of all calls, those that the Triton behind answered."""
        self._server = grpc.server(ThreadPoolExecutor(32), handlers=[self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        """Nobody is let in any more."""
        self._server.stop(None).wait()

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        if details.method == INFER:
            return grpc.unary_unary_rpc_method_handler(lambda body, context: self._infer(body, context))
        return grpc.unary_unary_rpc_method_handler(self._pass_on(details.method))

    def _infer(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            self._now += 1
            self.calls += 1
            self.most = max(self.most, self._now)
        try:
            if self.refuses:
                context.abort(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
            time.sleep(self._seconds)
            answer = self._pass_on(INFER)(body, context)
            self.answered += 1
            return answer
        finally:
            with self._lock:
                self._now -= 1

    def _pass_on(self, method: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        ask = self._upstream.unary_unary(method)

        def passed_on(body: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                answer: bytes = ask(body, timeout=60)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            return answer

        return passed_on


@contextlib.contextmanager
def counted_way(address: str, seconds: float = 0.0) -> Iterator[CountedWay]:
    """Such a way to the Triton at an address; each call to a model takes so many seconds longer."""
    with grpc.insecure_channel(address, [("grpc.max_reconnect_backoff_ms", 500)]) as upstream:
        way = CountedWay(upstream, seconds)
        try:
            yield way
        finally:
            way.stop()
