"""Addresses of Triton: host and port, as an IP address or a name."""

import ipaddress


def ip_version(address: str) -> int | None:
    """4 or 6, of an address with its port; None for a name."""
    try:
        return ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).version
    except ValueError:
        return None
