"""Which allocator tritonserver gets, and which one a process has."""

import ctypes.util
import os
import subprocess
import sys

import pytest

from server.launching import allocator


def test_an_allocator_that_somebody_chose_stays() -> None:
    assert allocator.preloaded({"LD_PRELOAD": "/somewhere/libtcmalloc.so.4"}) == {}
    assert allocator.preloaded({"LD_PRELOAD": ""}) == {}


def test_jemalloc_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", {"jemalloc": "libjemalloc.so.2"}.get)
    assert allocator.preloaded({}) == {"LD_PRELOAD": "libjemalloc.so.2"}
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: None)
    assert allocator.preloaded({}) == {}


@pytest.mark.parametrize("preloaded", [{"LD_PRELOAD": ""}, allocator.preloaded({})])
def test_which_one_a_process_has(preloaded: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        env=os.environ | preloaded,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        expected = "jemalloc" if preloaded.get("LD_PRELOAD") else "glibc"
        assert allocator.allocator_of(process.pid) == expected
        process.communicate(b"\n")
