"""These tests need the environment of `make test-storage`; in any other one they are not there."""

from importlib.util import find_spec

if find_spec("boto3") and find_spec("obstore"):
    from tests.deploy.storage.store import credentials, repository, store

    __all__ = ["credentials", "repository", "store"]
else:
    collect_ignore_glob = ["test_*.py"]
