"""Whether Triton's ports can be listened on, and who holds the one that can't."""

import errno
import socket
from pathlib import Path

from server.errors import PortInUseError


def check_ports(host: str, ports: dict[str, int]) -> None:
    """Check that every port is free.

    Args:
        host: the address Triton will listen on.
        ports: the launcher's flag (such as `--http-port`) to its port.

    Raises:
        PortInUseError: a port is taken or forbidden, or two flags name the same one.
    """
    seen: dict[int, str] = {}
    for flag, port in ports.items():
        if port in seen:
            raise PortInUseError(f"{seen[port]} and {flag} are both {port}: give each its own port.")
        seen[port] = flag
        _check_port(host, flag, port)


def _check_port(host: str, flag: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise PortInUseError(f"--host {host}: not an address of this machine ({error}).") from None
    with socket.socket(family, kind, protocol) as probe:
        # Without it a port whose last connections are still in TIME_WAIT looks taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                holder = port_holder(port)
                raise PortInUseError(
                    f"port {port} is in use{f' by {holder}' if holder else ''}: stop that, or "
                    f"choose another with {flag}."
                ) from None
            if error.errno == errno.EACCES:
                raise PortInUseError(
                    f"port {port} may not be opened by this user: choose one above 1023 with {flag}."
                ) from None
            raise PortInUseError(
                f"can't listen on {host}:{port} ({error.strerror}): choose another address with --host."
            ) from None


def port_holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """Name and pid of the process that listens on a TCP port, if this user may see it."""
    sockets = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            rows = (proc / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            listening = fields[3] == "0A"
            if listening and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    if not sockets:
        return None
    for process in proc.glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in sockets:
                    # The kernel cuts a name after 15 bytes, in the middle of a letter too.
                    name = (process / "comm").read_text(errors="replace").strip()
                    return f"{name} (pid {process.name})"
        except OSError:
            continue
    return None
