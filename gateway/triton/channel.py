"""A client with a gRPC channel of its own to one Triton: keepalive, reconnecting and TLS."""

from typing import Final

from tritonclient.grpc.aio import InferenceServerClient

from gateway.triton.addresses import ip_version
from gateway.triton.tls import Tls

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


def open_client(address: str, *, configured: str, tls: Tls | None) -> InferenceServerClient:
    """The client for one IP address and port; connects at the first call.

    Args:
        address: IP address and port.
        configured: the setting that it comes from: a name, one address, or several with commas between them.
        tls: None for a connection without TLS.

    Raises:
        OSError: a TLS file can't be read.
    """
    options: list[tuple[str, str | int]] = [*_OPTIONS]
    if ip_version(configured) is None and "," not in configured:
        # The name that was given is the one a certificate is for, and that a proxy looks at.
        options.append(("grpc.default_authority", configured))
    files = tls or Tls()
    return InferenceServerClient(
        address,
        ssl=tls is not None,
        root_certificates=files.authorities,
        private_key=files.key,
        certificate_chain=files.certificate,
        channel_args=options,
    )
