"""Which Pythons serve: those that NVIDIA's wheel has a stub for and every pinned package a wheel.

Like `__main__.py` readable for every Python 3 (and 2.7): the Makefile asks it of each it finds.

    python -m server.pythons

says what any Python, one that does not serve too, lacks to make environments.
"""

import sys

VERSIONS = ((3, 11), (3, 12), (3, 13))
NAMES = "3.11, 3.12 or 3.13"


def serves(version):  # type: (tuple[int, ...]) -> bool
    """Whether a Python of this version, such as `(3, 13)`, serves."""
    return version in VERSIONS


def refusal(executable, version):  # type: (str, tuple[int, ...]) -> str
    """One sentence for somebody whose Python does not."""
    found = executable + " is Python " + ".".join(map(str, version))
    return (
        "this needs Python " + NAMES + ", and " + found + ". Install one of them (Debian 13: apt install "
        "python3.13-venv libpython3.13; Debian 12 the same with 3.11; Ubuntu 24.04 with 3.12) and name it: make serve "
        "PYTHON=python3.13. Or let uv download one into build/python: make python, then make serve."
    )


def venv_package():  # type: () -> str
    """Debian's and Ubuntu's package of what this Python needs to make environments."""
    return "python" + ".".join(map(str, sys.version_info[:2])) + "-venv"


def libpython_package():  # type: () -> str
    """Debian's and Ubuntu's package of this Python's shared library, which Triton's Python backend links."""
    return "libpython" + ".".join(map(str, sys.version_info[:2]))


def lacks_ensurepip():  # type: () -> bool
    """Whether this Python can make no environments: Debian and Ubuntu put what that needs into `venv_package`."""
    try:
        __import__("ensurepip")
    except ImportError:
        return True
    return False


def incomplete(lack, packages, otherwise=""):  # type: (str, list[str], str) -> str
    """What this Python lacks, the packages of Debian and Ubuntu that bring it, and what brings it elsewhere."""
    install = "On Debian and Ubuntu, as root: apt install " + " ".join(packages) + "."
    return " ".join(filter(None, (sys.executable, lack + ".", install, otherwise, "Then run this again.")))


def main():  # type: () -> int
    """Check this Python; gives the exit status."""
    if not lacks_ensurepip():
        return 0
    sys.stderr.write("error: " + incomplete("can't make environments (no ensurepip)", [venv_package()]) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
