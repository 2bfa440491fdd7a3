"""The gRPC channel to Triton, or to several: balancing, ejection and TLS, by gRPC's own means.

Calls go to all addresses in turn. An address whose connection is gone is left out at once,
and comes back by itself; one whose calls fail or time out, as those of a Triton that hangs,
is left out for some seconds (gRFC A50).
"""

import json
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from gateway.settings import Settings, ip_version

_OPTIONS: Final = (
    # A host that vanished without closing its connections is noticed within 15 s. gRPC
    # pings only while a call waits, so Triton's limit on idle pings is never met.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # gRPC's own back-off reaches two minutes, and a restarted Triton would wait for it.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A name is looked up again at most this often, when a connection is lost.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # Triton is a neighbour; a proxy set for the way out must not get in between.
    ("grpc.enable_http_proxy", 0),
)
_BALANCING: Final = {
    "outlier_detection_experimental": {
        "interval": "1s",
        "baseEjectionTime": "5s",
        "maxEjectionTime": "30s",
        "maxEjectionPercent": 50,
        "failurePercentageEjection": {"threshold": 50, "minimumHosts": 2, "requestVolume": 5},
        "childPolicy": [{"round_robin": {}}],
    }
}
_SERVICE: Final = {"loadBalancingConfig": [_BALANCING]}


def open_channel(settings: Settings) -> grpc.aio.Channel:
    """The channel to the Tritons that the settings name; connects at the first call.

    Raises:
        OSError: a TLS file can't be read.
    """
    options = [*_OPTIONS, ("grpc.service_config", json.dumps(_SERVICE))]
    target = _target(settings.triton_address)
    if not settings.triton_tls:
        return grpc.aio.insecure_channel(target, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(settings.triton_tls_ca),
        private_key=_read(settings.triton_tls_key),
        certificate_chain=_read(settings.triton_tls_certificate),
    )
    return grpc.aio.secure_channel(target, credentials, options=options)


def has_several(addresses: str) -> bool:
    """Whether there may be several Tritons: a list, or a name, which may have several addresses."""
    return "," in addresses or ip_version(addresses) is None


def _target(addresses: str) -> str:
    if "," not in addresses:
        return addresses
    return f"{'ipv6' if addresses.startswith('[') else 'ipv4'}:{addresses}"


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
