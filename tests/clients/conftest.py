"""The gateway that the clients ask: the one of the gateway's own tests."""

from tests.gateway.conftest import gateway, shared_repository, shared_triton

__all__ = ["gateway", "shared_repository", "shared_triton"]
