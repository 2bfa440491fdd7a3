"""Settings of a run: every field is a flag, and what shapes the model must be the same when the run goes on."""

import argparse
import sys
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import CliSettingsSource, SettingsError

from training.common.command import TrainingError, command_parser
from training.data.rows.combinations import CEDR
from training.data.rows.examples import Example
from training.data.splits.folds import FOLDS

AnySettings = TypeVar("AnySettings", bound="RunSettings")
SaveMinutes = Annotated[
    float, Field(gt=0, exclude=True, description="minutes between saved states: a stopped run loses no more")
]


class RunSettings(BaseModel):
    """What every command that leaves a run can be told; the flag of `data_dir` is `--data-dir`.

    A field with `exclude=True` says what to do, or where. All others shape the model: they are its recipe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ELSEWHERE: ClassVar[str]
    """The flags that name another folder, for sentences that ask for one."""

    data_dir: Path | None = Field(
        None, exclude=True, description="directory of <data set>/<split>.jsonl instead of the hub"
    )
    resume: bool = Field(False, exclude=True, description="go on with what is in the folder, if anything is")

    track: Literal["mlflow"] | None = Field(
        None,
        exclude=True,
        description="send figures to MLflow too, to MLFLOW_TRACKING_URI or a file beside the folder",
    )

    @field_validator("data_dir")
    @classmethod
    def _is_directory(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_dir():
            raise ValueError("is not a directory: name the one with the data sets, or leave it out for the hub")
        return path

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where the run is."""

    @property
    def shared(self) -> bool:
        """Whether other processes may work on the run meanwhile, and may have begun it."""
        return False

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the model, for resuming and for the card."""
        return self.model_dump(mode="json")


class FoldSettings(RunSettings):
    """Settings of a run that holds out folds, of CEDR or of own rows."""

    cross_validate: bool = Field(
        False, exclude=True, description=f"hold out each of the {FOLDS} folds once; publishing needs it"
    )

    @property
    def folds(self) -> Sequence[int]:
        """The folds to hold out; 0 is the dev split."""
        return range(FOLDS) if self.cross_validate else [0]

    @property
    def home(self) -> str:
        """The data set whose folds are held out."""
        return CEDR

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint that training begins with, a local directory or a hub name; None where there is none."""
        return None

    def elsewhere(self, fold: int) -> list[Example]:  # noqa: ARG002 - another kind of run has a use for it
        """Rows of BRIGHTER that are held out with a fold: none, since BRIGHTER is not trained on."""
        return []


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def read_settings(
    kind: type[AnySettings], module: str, description: str | None, arguments: Sequence[str] | None = None
) -> AnySettings:
    """Settings from the command line (the process's own when None); `--help` prints them and exits with 0.

    Raises:
        TrainingError: a flag's value is out of bounds, or two flags contradict each other.
    """
    # As a parser alone: settings come from flags only, never from a variable that is called SEED or EPOCHS.
    flags = CliSettingsSource[argparse.ArgumentParser](
        kind,  # type: ignore[arg-type]
        root_parser=command_parser(module, description),
        cli_kebab_case=True,
        cli_implicit_flags="toggle",
        cli_hide_none_type=True,
        cli_parse_none_str="not set",
        cli_enforce_required=True,
    )
    try:
        return kind(**flags(args=list(sys.argv[1:] if arguments is None else arguments))())
    except SettingsError as error:
        raise TrainingError(f"the flags cannot be read: {error}") from None
    except ValidationError as error:
        raise TrainingError("; ".join(_sentence(entry) for entry in error.errors(include_url=False))) from None


def _sentence(entry: Any) -> str:
    message = entry["msg"].removeprefix("Value error, ")
    if not entry["loc"]:
        return str(message)
    return f"{flag(str(entry['loc'][0]))} {str(entry['input'])!r}: {message[:1].lower()}{message[1:]}"
