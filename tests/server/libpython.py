"""Pythons whose shared library this machine does not have."""

import subprocess

import pytest


def version_without_libpython() -> str:
    """A Python whose stub is in the wheel and whose shared library the loader can't find."""
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    for version in ("3.12", "3.11", "3.10", "3.9", "3.8"):
        if f"libpython{version}.so.1.0" not in known:
            return version
    pytest.fail("every libpython is installed system-wide: nothing to miss")
