"""A host name whose addresses a test changes: in place of a name server."""

from pathlib import Path

NAME = "tritons.test"
_PROGRAM = """\
import runpy, socket, sys
asked = socket.getaddrinfo
def getaddrinfo(host, port, *rest, **options):
    if host != {name!r}:
        return asked(host, port, *rest, **options)
    with open({hosts!r}) as hosts:
        return [found for host in hosts.read().split() for found in asked(host, port, *rest, **options)]
socket.getaddrinfo = getaddrinfo
runpy.run_module("gateway", run_name="__main__", alter_sys=True)
"""


class HostName:
    """`tritons.test`, for a gateway that runs `program`."""

    def __init__(self, directory: Path) -> None:
        self._hosts = directory / "hosts"
        self.program = ("-c", _PROGRAM.format(name=NAME, hosts=str(self._hosts)))

    def set_addresses(self, *addresses: str) -> None:
        new = self._hosts.with_suffix(".new")
        new.write_text("\n".join(addresses))
        new.rename(self._hosts)
