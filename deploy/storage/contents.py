"""What a listing of the bucket holds: models, their versions, and the trials beside them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from contract.version_directory import CARD

CONFIGURATION: Final = "config.pbtxt"
"""Every model has it. It is written after the others, in whose absence Triton would take it."""
MOST_OTHER_BYTES: Final = 1 << 20
"""Of a configuration, a file of labels or a trial."""
# No name that could lead elsewhere: each part begins with a letter, a digit or an underscore, and has no slash.
_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_VERSION_FILE: Final = re.compile(rf"(?P<model>{_PART})/(?P<version>[1-9][0-9]{{0,17}})/(?P<file>{_PART})")
_MODEL_FILE: Final = re.compile(rf"(?P<model>{_PART})/(?P<file>(?:configs/)?(?!\d+$){_PART})")
_TRIALS: Final = re.compile(rf"{_PART}\.canary\.json")
_FILE: Final = re.compile(_PART)


def is_file_name(name: str) -> bool:
    """Whether a file of a model or a version may be called so; those of editors and systems begin with a dot."""
    return _FILE.fullmatch(name) is not None


@dataclass
class Model:
    """One model's objects."""

    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Configurations and labels: size and entity tag, by the name below the model."""
    versions: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    """The same of each version's files."""

    @property
    def configurations(self) -> list[str]:
        """Names of its configurations."""
        return [name for name in sorted(self.files) if name.endswith(".pbtxt")]

    def finished(self) -> list[str]:
        """Versions whose card is there, which comes last; oldest first."""
        return sorted((number for number, files in self.versions.items() if CARD in files), key=int)


@dataclass
class Contents:
    """What is in the bucket."""

    models: dict[str, Model] = field(default_factory=dict)
    trials: dict[str, tuple[int, str]] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    """Objects that no repository has."""


def read_listing(listing: Mapping[str, tuple[int, str]]) -> Contents:
    """Sort the objects of a listing."""
    found = Contents()
    for name, what in sorted(listing.items()):
        if match := _VERSION_FILE.fullmatch(name):
            model = found.models.setdefault(match["model"], Model())
            model.versions.setdefault(match["version"], {})[match["file"]] = what
        elif match := _MODEL_FILE.fullmatch(name):
            found.models.setdefault(match["model"], Model()).files[match["file"]] = what
        elif _TRIALS.fullmatch(name):
            found.trials[name] = what
        else:
            found.foreign.append(name)
    found.models = {name: model for name, model in found.models.items() if model.configurations}
    return found
