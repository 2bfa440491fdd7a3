"""A gRPC channel to one Triton: keepalive, reconnecting and TLS."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from gateway.triton.addresses import ip_version

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
class Tls:
    """PEM files for TLS with Triton; of each that is None, gRPC's default is used."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def open_channel(address: str, *, configured: str, tls: Tls | None) -> grpc.aio.Channel:
    """The channel to one IP address and port; connects at the first call.

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
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(tls.authorities),
        private_key=_read(tls.key),
        certificate_chain=_read(tls.certificate),
    )
    return grpc.aio.secure_channel(address, credentials, options=options)


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
