"""The head of a configuration that `make tune` wrote: what it was made for, in comments that people read too.

    # Written by make tune; …
    # device: cpu
    # …
    # sha256: …
    # (any other comments)
    name: "emotion_rubert"
    …

The checksum is of all that follows its line, so that figures can't stand over settings that they are not of.
"""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from server.errors import ConfigurationFileError

_FIRST: Final = "# Written by make tune; change nothing here, run it again instead (docs/running/tuning.md)."
_FIELD: Final = re.compile(r"# ([a-z_0-9]+): (.+)")


@dataclass(frozen=True)
class Head:
    """What a tuned configuration was made for."""

    device: str
    """`cpu` or `gpu`."""
    cores: int
    """Of the machine."""
    version: int
    """Of the model."""
    graph_bytes: int
    """Size of that version's graph."""
    made_from: str
    """SHA-256 of the configuration that it was made from, the device's default."""

    def over(self, remarks: list[str], body: str) -> str:
        """A whole file: this head, remarks for people, and the configuration.

        Args:
            remarks: lines without `#`.
            body: the configuration as protobuf text.
        """
        rest = "".join(f"# {line}".rstrip() + "\n" for line in remarks) + body
        fields = [f"# {name}: {value}" for name, value in dataclasses.asdict(self).items()]
        return "\n".join([_FIRST, *fields, f"# sha256: {_sha256(rest)}", rest])

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The head of a file; None if it has none, as one that somebody wrote by hand.

        Raises:
            ConfigurationFileError: it is incomplete, or what follows is not what was written under it.
        """
        first, _, rest = text.partition("\n")
        if first != _FIRST:
            return None
        found: dict[str, str] = {}
        while "sha256" not in found:
            line, _, rest = rest.partition("\n")
            field = _FIELD.fullmatch(line)
            if field is None:
                raise ConfigurationFileError("its head is damaged")
            found[field[1]] = field[2]
        if found.pop("sha256") != _sha256(rest):
            raise ConfigurationFileError("it was changed after make tune wrote it, so its figures are not its own")
        try:
            return cls(
                device=found["device"],
                cores=int(found["cores"]),
                version=int(found["version"]),
                graph_bytes=int(found["graph_bytes"]),
                made_from=found["made_from"],
            )
        except (KeyError, ValueError):
            raise ConfigurationFileError("its head is damaged") from None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
