"""The trial of a model's newest version: how many requests it gets, in `<model>.canary.json` beside the model.

The file says so by version number, such as `{"3": "5%"}`. `training.publish` writes it, the gateway reads it at every
look. It lies beside the model's directory and not in it: Triton, polling, loads all versions of a model anew when
anything in its directory changes (seen with 2.51), and passes over files beside the models.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import StringConstraints, TypeAdapter, ValidationError

from contract.regular_files import read_file

_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%")
_MOST_BYTES: Final = 1 << 16
_CONTENT: Final = TypeAdapter(dict[Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$")], str])


class CanaryError(ValueError):
    """A trial is written in a way that can't be read; says what is wrong."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What the newest version of a model gets of the requests that name no version.

    Attributes:
        kind: `share`, it answers some of them; `shadow`, it is asked too and answers none; `off`, it answers all.
        share: of them, 0 to 1; 0 but for `share`.
    """

    kind: Literal["share", "shadow", "off"]
    share: float = 0.0

    @property
    def under_way(self) -> bool:
        """Whether the version before answers by default."""
        return self.kind != "off"

    def __str__(self) -> str:
        """As `parse_trial` reads it."""
        return f"{self.share * 100:.6g}%" if self.kind == "share" else self.kind


OFF: Final = Trial("off")


def parse_trial(text: str) -> Trial:
    """A trial as people write it: `5%`, `shadow` or `off`.

    Raises:
        CanaryError: it is none of these.
    """
    if text == "shadow":
        return Trial("shadow")
    if text == "off":
        return OFF
    match = _SHARE.fullmatch(text)
    if match is None or float(match[1]) > 100:
        raise CanaryError(f"{text[:40]!r} is no share of requests: write 5%, shadow or off")
    return Trial("share", float(match[1]) / 100)


def canary_file(repository: Path, model: str) -> Path:
    """Where the trials of a model's versions are written."""
    return repository / f"{model}.canary.json"


def read_trials(repository: Path, model: str) -> dict[str, Trial]:
    """The trials of a model's versions by their number; none if nothing was ever written.

    Raises:
        CanaryError: the file is damaged; says how.
    """
    path = canary_file(repository, model)
    try:
        content = _CONTENT.validate_json(read_file(path, _MOST_BYTES))
        return {version: parse_trial(text) for version, text in content.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CanaryError(f"{path} can't be read: {error.strerror}") from error
    except ValidationError:
        raise CanaryError(f'{path} is damaged: it must be JSON such as {{"3": "5%"}}') from None
    except CanaryError as error:
        raise CanaryError(f"{path} is damaged: {error}") from None
