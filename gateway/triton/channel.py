"""The gRPC channels to one Triton, with keepalive, reconnecting and TLS: one for questions about it, one for inference.

NVIDIA's client asks the questions, a few a second. Inference, which every request pays for, has a channel of our own.
"""

from dataclasses import dataclass
from typing import Final

from tritonclient.grpc.aio import InferenceServerClient

from gateway.triton.addresses import ip_version
from gateway.triton.tls import Tls
from gateway.triton.unary import UnaryChannel

_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"
_OPTIONS: Final = (
    # A host that vanished without closing its connections. Its calls are lost then, and Triton's
    # frontend would see them cancelled if it only stood still; so not too soon. gRPC pings only
    # while a call waits, so Triton's limit on idle pings is never met.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # gRPC's own back-off reaches two minutes, and a restarted Triton would wait for it.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 300),
    # Triton is a neighbour; a proxy set for the way out must not get in between.
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class Channels:
    """To one Triton."""

    questions: InferenceServerClient
    inference: UnaryChannel

    async def close(self) -> None:
        """Close both; calls under way fail."""
        await self.inference.close()
        await self.questions.close()


def open_channels(address: str, *, configured: str = "", tls: Tls | None = None) -> Channels:
    """The channels to one IP address and port; they connect at the first call.

    Args:
        address: IP address and port.
        configured: the setting that it comes from: a name, one address, or several with commas between them.
        tls: None for connections without TLS.

    Raises:
        ValueError: a TLS file can't be used.
    """
    options: list[tuple[str, str | int]] = [*_OPTIONS]
    authority = address
    if configured and ip_version(configured) is None and "," not in configured:
        # The name that was given is the one a certificate is for, and that a proxy looks at.
        authority = configured
        options.append(("grpc.default_authority", configured))
    files = tls or Tls()
    questions = InferenceServerClient(
        address,
        ssl=tls is not None,
        root_certificates=files.authorities,
        private_key=files.key,
        certificate_chain=files.certificate,
        channel_args=options,
    )
    return Channels(questions, UnaryChannel(address, _INFER, authority, tls.context() if tls else None))
