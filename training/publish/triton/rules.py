"""What Triton makes of a model's directory: which versions its policy chooses, and what keeps it from serving them.

Tried on tritonserver 2.51, whose rules (`model_lifecycle.cc`, `model_repository_manager.cc`) are these:

- A version is any directory whose name *begins* with an integer that has no leading zero, as C++'s `stoll` reads it:
  `3`, and `5.bad` too, which it then looks for in `5`. A number of more than 64 bits ends the server.
- The policy counts versions, whole or not. One that cannot be loaded takes the other chosen ones with it: they are
  unloaded again at the start, and a running server keeps what it had. It tries again at every look.
- A link beside the versions that leads nowhere makes the whole model unreadable.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from contract.regular_files import read_file
from training.common.command import TrainingError
from training.export.integrity import damage
from training.export.triton_config import CONFIGURATIONS, LABELS_FILE, model_config

_LEADING_INTEGER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_LARGEST: Final = (1 << 63) - 1
_MOST_CONFIGURATION_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Obstacle:
    """What keeps Triton from serving a model's versions."""

    path: Path
    """What is to be mended, or taken out of the model's directory."""
    sentence: str
    number: int | None = None
    """The version that it is; None if it concerns the whole model."""


def counted_versions(model_directory: Path) -> list[int]:
    """The numbers that Triton counts as versions, oldest first; none if there is no such model.

    Raises:
        TrainingError: the directory cannot be read.
    """
    numbers = {_number(path) for path in entries(model_directory) if os.path.isdir(path)}
    return sorted(number for number in numbers if number is not None and abs(number) <= _LARGEST)


def chosen_versions(model_directory: Path, added: int | None = None) -> list[int]:
    """The versions that the model's policy makes Triton load, newest first.

    Args:
        model_directory: the model.
        added: a version that is counted though it is not there yet.

    Raises:
        TrainingError: the directory or its configuration cannot be read.
    """
    counted = sorted({*counted_versions(model_directory)} | ({added} if added is not None else set()), reverse=True)
    policy = _policy(model_directory)
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return counted
    if kind == "specific":
        return [number for number in counted if number in policy.specific.versions]
    # As in Triton, no policy at all is `latest: 1`.
    return counted[: policy.latest.num_versions or 1]


def next_number(model_directory: Path) -> int:
    """A number above every version that Triton counts, and that no file or directory has."""
    number = max([0, *counted_versions(model_directory)]) + 1
    while os.path.lexists(model_directory / str(number)):
        number += 1
    if number > _LARGEST:
        raise TrainingError(
            f"{model_directory} holds a version {number - 1}, and Triton counts no higher: take that directory out"
        )
    return number


def obstacles(model_directory: Path, added: int | None = None) -> list[Obstacle]:
    """What keeps Triton from serving the versions that it would choose; nothing if all is well.

    Args:
        model_directory: the model.
        added: a whole version that is about to be there, or has just come, and is not looked at.

    Raises:
        TrainingError: the directory cannot be read.
    """
    found = _of_the_model(model_directory)
    if added is None:  # Otherwise they are written with it.
        found += _missing_files(model_directory)
    if any(obstacle.path.suffix == ".pbtxt" for obstacle in found):
        return found  # What its policy would choose can't be known.
    for number in chosen_versions(model_directory, added):
        if number != added:
            found += version_obstacles(model_directory, number)
    return found


def version_obstacles(model_directory: Path, number: int) -> list[Obstacle]:
    """The same for one version that Triton counts."""
    directory = model_directory / str(number)
    if not os.path.isdir(directory):
        return [
            Obstacle(path, f"{path} counts as version {number} for Triton, which looks for it in {directory}", number)
            for path in entries(model_directory)
            if _number(path) == number and os.path.isdir(path)
        ]
    return [Obstacle(directory, "; ".join(wrong), number)] if (wrong := damage(directory)) else []


def _of_the_model(model_directory: Path) -> list[Obstacle]:
    found = []
    for path in entries(model_directory):
        number = _number(path)
        if number is not None and abs(number) > _LARGEST and os.path.isdir(path):
            found.append(Obstacle(path, f"{path} is no version number that Triton can read: it would end the server"))
        if path.is_symlink() and not os.path.exists(path):
            sentence = f"{path} is a link that leads nowhere, and makes the whole model unreadable for Triton"
            found.append(Obstacle(path, sentence))
    for name in CONFIGURATIONS:
        try:
            _parsed(model_directory / name)
        except FileNotFoundError:
            continue  # Publishing writes what is missing.
        except TrainingError as error:
            found.append(Obstacle(model_directory / name, str(error)))
    labels = model_directory / LABELS_FILE
    if os.path.lexists(labels) and not labels.is_file():
        found.append(Obstacle(labels, f"{labels} is no file"))
    return found


def entries(directory: Path) -> list[Path]:
    """What lies in a directory, by name; nothing if there is no such directory.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TrainingError(
            f"{directory} can't be read: {error.strerror}; run this as a user who may read it"
        ) from error


def _number(path: Path) -> int | None:
    if len(path.name) > 1 and path.name.startswith("0"):
        return None
    match = _LEADING_INTEGER.match(path.name)
    return int(match[1]) if match else None


def _missing_files(model_directory: Path) -> list[Obstacle]:
    configurations = [model_directory / name for name in CONFIGURATIONS]
    missing = [] if any(map(os.path.lexists, configurations)) else configurations[:1]
    labels = model_directory / LABELS_FILE
    missing += [] if os.path.lexists(labels) else [labels]
    return [
        Obstacle(path, f"{path} is missing, and Triton serves no version of the model; publish and rollback write it")
        for path in missing
    ]


def _policy(model_directory: Path) -> pb.ModelVersionPolicy:
    for name in CONFIGURATIONS:
        try:
            return _parsed(model_directory / name).version_policy
        except FileNotFoundError:
            continue
    return model_config(model_directory.name, "cpu").version_policy  # What publishing would write.


def _parsed(path: Path) -> pb.ModelConfig:
    try:
        text = read_file(path, _MOST_CONFIGURATION_BYTES).decode()
        return text_format.Parse(text, pb.ModelConfig(), allow_unknown_field=True)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TrainingError(f"{path} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise TrainingError(f"{path} is no model configuration: {error}") from error
