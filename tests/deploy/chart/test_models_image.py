"""deploy/kubernetes/models.Dockerfile: the model repository as an image, read as Docker reads it."""

import os
import re
from pathlib import Path

from tests.support.triton_process import ROOT

DOCKERFILE = ROOT / "deploy/kubernetes/models.Dockerfile"


def test_it_is_the_repository_and_nothing_else() -> None:
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    # At its root, as an image volume shows all of the image; never run, so without a user or a command.
    assert lines == ["FROM scratch", "COPY model_repository /"]


def test_the_repository_gets_into_the_build() -> None:
    """The root's .dockerignore leaves it out; a file beside the Dockerfile goes before it."""
    beside = DOCKERFILE.with_name(f"{DOCKERFILE.name}.dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in beside if line and not line.startswith("#")]
    assert rules[:2] == ["*", "!model_repository"]
    assert not [rule for rule in rules[2:] if re.search(r"onnx|json|pbtxt", rule)]


def test_links_lead_to_what_is_copied_too() -> None:
    repository = ROOT / "model_repository"
    links = [path for path in repository.rglob("*") if path.is_symlink()]
    assert links, "the versions of the text models are links"
    for link in links:
        target = Path(os.readlink(link))
        assert not target.is_absolute()
        assert (link.parent / target).resolve().is_relative_to(repository)
