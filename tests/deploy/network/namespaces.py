"""A network of its own: a switch and nodes, each in a network namespace, joined by virtual cables.

Nothing of the machine's own network is touched: the switch is in a namespace too, and nothing leads out of it.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PREFIX = "emotion-drill"
_NAMES = re.compile(rf"{_PREFIX}-(\d+)-\S+")
_SUBNET = "10.87.0"
_NAMESPACES = Path("/run/netns")


def why_not() -> str | None:
    """Why there can be no namespaces here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root: run it as root"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "there is no `ip` or no `tc` here: apt install iproute2"
    name = f"{_PREFIX}-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces can't be made here: {made.stderr.strip()}"
    _run("ip", "netns", "del", name)
    return None


@dataclass
class Node:
    """A namespace with one address on the switch."""

    name: str
    address: str
    namespace: str
    switch: str
    """The switch's namespace, in which `cable` is this node's port."""
    cable: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, *arguments: object) -> list[str]:
        """A command that runs there."""
        return ["ip", "netns", "exec", self.namespace, *map(str, arguments)]

    def start(self, arguments: Sequence[object], log: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start a program there, in a process group of its own."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(*arguments),
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def unplug(self) -> None:
        """What is sent to it or by it is lost, and nobody is told."""
        _run("ip", "-n", self.switch, "link", "set", self.cable, "down")

    def plug_in(self) -> None:
        _run("ip", "-n", self.switch, "link", "set", self.cable, "up")

    def narrow(self, kilobits: int) -> None:
        """What is sent to it comes at so many kbit/s: it waits for up to a second, and what waits longer is lost.

        A token bucket, since kernels without netem have that; a delay comes of it by itself.
        """
        bucket = ("tbf", "rate", f"{kilobits}kbit", "burst", "1600", "latency", "1s")
        _run("tc", "-n", self.switch, "qdisc", "replace", "dev", self.cable, "root", *bucket)

    def widen(self) -> None:
        _run("tc", "-n", self.switch, "qdisc", "del", "dev", self.cable, "root")


@contextlib.contextmanager
def network(*names: str) -> Iterator[dict[str, Node]]:
    """Nodes by their names; afterwards none of them, and nothing that ran there."""
    remove_leftovers()
    switch = f"{_PREFIX}-{os.getpid()}-switch"
    nodes: dict[str, Node] = {}
    try:
        _run("ip", "netns", "add", switch)
        _run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "bridge", "up")
        for number, name in enumerate(names, 11):
            cable = f"port{number}"
            node = Node(name, f"{_SUBNET}.{number}", f"{_PREFIX}-{os.getpid()}-{name}", switch, cable)
            nodes[name] = node
            _run("ip", "netns", "add", node.namespace)
            peer = ("peer", "name", "eth0", "netns", node.namespace)
            _run("ip", "-n", switch, "link", "add", cable, "type", "veth", *peer)
            _run("ip", "-n", switch, "link", "set", cable, "master", "bridge")
            _run("ip", "-n", switch, "link", "set", cable, "up")
            _run("ip", "-n", node.namespace, "address", "add", f"{node.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _run("ip", "-n", node.namespace, "link", "set", device, "up")
        yield nodes
    finally:
        for node in nodes.values():
            for process in node.processes:
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        for namespace in (*(node.namespace for node in nodes.values()), switch):
            _remove(namespace)


def remove_leftovers() -> None:
    """Remove what a killed test left."""
    for path in _NAMESPACES.glob(f"{_PREFIX}-*"):
        match = _NAMES.fullmatch(path.name)
        if match is not None and not Path(f"/proc/{match[1]}").exists():
            _remove(path.name)


def _remove(namespace: str) -> None:
    """A namespace, its cables, and what still runs in it."""
    if not (_NAMESPACES / namespace).exists():
        return
    for _ in range(50):
        running = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True).stdout.split()
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        if not running:
            break
        time.sleep(0.1)
    subprocess.run(["ip", "netns", "del", namespace], check=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
