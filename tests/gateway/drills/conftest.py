"""One Triton with the models that come with the project, for the drills that do not end it."""

from collections.abc import Iterator

import pytest

from tests.support.triton_process import ROOT, TritonProcess, running_triton


@pytest.fixture(scope="session")
def real_triton() -> Iterator[TritonProcess]:
    with running_triton(ROOT / "model_repository") as triton:
        yield triton
