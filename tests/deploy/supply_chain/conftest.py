"""Which of these tests an environment can run: some need `locks/tools/supply.txt`, as `make check-supply` has it."""

from importlib.util import find_spec

NEED_CYCLONEDX = ["test_audit.py", "test_licences.py", "test_release.py", "test_sbom.py", "test_wheel.py"]
collect_ignore = NEED_CYCLONEDX if find_spec("cyclonedx") is None else []
