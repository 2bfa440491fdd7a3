"""Who gives tritonserver and its stubs their memory: jemalloc if the system has it, otherwise the C library.

Every request passes through many threads, and what one of them allocates another frees; the C library's
allocator spends a tenth to a fifth of a small request's time on that, jemalloc much less (benchmarks/README.md
has the figures). NVIDIA's image carries jemalloc for this purpose; no Python package does.
"""

import ctypes.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PRELOAD: Final = "LD_PRELOAD"
JEMALLOC: Final = "jemalloc"
C_LIBRARY: Final = "glibc"
ADVICE: Final = "faster with jemalloc: apt install libjemalloc2"


def preloaded(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variable that makes jemalloc the allocator, if it is installed.

    Args:
        variables: the launcher's own. An LD_PRELOAD among them, even an empty one, is somebody's choice and stays.
    """
    if PRELOAD in variables:
        return {}
    library = ctypes.util.find_library(JEMALLOC)
    return {PRELOAD: library} if library else {}


def allocator_of(pid: int) -> str:
    """Which one a running process has: `jemalloc` or `glibc`."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return JEMALLOC if f"/lib{JEMALLOC}" in maps else C_LIBRARY
