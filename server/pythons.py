"""Which Pythons serve: those that NVIDIA's wheel has a stub for and every pinned package a wheel.

Like `__main__.py` readable for every Python 3 (and 2.7): the Makefile asks it of each it finds.
"""

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
