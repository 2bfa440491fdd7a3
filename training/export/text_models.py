"""The text model beside a model in the repository: its configuration, and its versions, which are links to the model's.

Triton serves version N of the text model from the model's own version directory N. So a version is linked after it has
come, and its link is taken away before it goes: no text model ever has a version that its model lacks, and a link that
leads nowhere would keep Triton from serving any version of the text model.
"""

import os
import re
from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from contract.labels import EMOTIONS
from contract.text_models import (
    BACKEND,
    KNOWN,
    MODEL_PARAMETER,
    MOST_CHARACTERS,
    MOST_CHARACTERS_PARAMETER,
    SUFFIX,
    TEXT,
    is_text_model,
    text_directory,
    text_model,
)
from contract.version_directory import PROBABILITIES
from training.common.command import TrainingError
from training.common.staging import explained, move, staged, write_file
from training.export.triton_config import CPU_PREFERRED_BATCH, LABELS, LABELS_FILE, MAX_BATCH_SIZE, VERSIONS_SERVED

# One for each of the model's on a CPU. A third cost more CPU on two busy cores (1.31 to 1.38 times the model's at 64
# requests at once, instead of 1.29), and no shorter time was seen.
INSTANCES: Final = 2
CONFIGURATION: Final = "config.pbtxt"
_HEAD: Final = "# Written by training/export/text_models.py: change it there.\n"
_NUMBER: Final = re.compile(r"[1-9][0-9]*")


def text_model_config(model: str) -> pb.ModelConfig:
    """The configuration of a model's text model, on CPUs and GPUs alike."""
    return pb.ModelConfig(
        name=text_model(model),
        backend=BACKEND,
        max_batch_size=MAX_BATCH_SIZE,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=VERSIONS_SERVED)),
        input=[pb.ModelInput(name=TEXT, data_type=pb.TYPE_STRING, dims=[1])],
        output=[
            pb.ModelOutput(
                name=PROBABILITIES, data_type=pb.TYPE_FP32, dims=[len(EMOTIONS)], label_filename=LABELS_FILE
            ),
            pb.ModelOutput(name=KNOWN, data_type=pb.TYPE_FP32, dims=[1]),
        ],
        instance_group=[pb.ModelInstanceGroup(kind=pb.ModelInstanceGroup.KIND_CPU, count=INSTANCES)],
        dynamic_batching=pb.ModelDynamicBatching(preferred_batch_size=[CPU_PREFERRED_BATCH]),
        parameters={
            MODEL_PARAMETER: pb.ModelParameter(string_value=model),
            MOST_CHARACTERS_PARAMETER: pb.ModelParameter(string_value=str(MOST_CHARACTERS)),
        },
        # The backend waits in it until the model's version answers, and Triton serves this one then.
        model_warmup=[
            pb.ModelWarmup(
                name="the model's version",
                batch_size=1,
                inputs={TEXT: pb.ModelWarmup.Input(data_type=pb.TYPE_STRING, dims=[1], zero_data=True)},
            )
        ],
    )


def refuse_text_model(model: str) -> None:
    """That a name is none that a text model has.

    Raises:
        TrainingError: it is.
    """
    if is_text_model(model):
        raise TrainingError(
            f"{model} is a text model, as is every name that ends with {SUFFIX}, and follows its model: name "
            f"{model.removesuffix(SUFFIX)}"
        )


def follow_versions(repository: Path, model: str) -> None:
    """Give a model's text model the versions that the model has; make it if it is not there.

    Raises:
        TrainingError: the repository cannot be written.
    """
    directory = text_directory(repository, model)
    if not directory.exists():
        with staged(repository.resolve().parent) as new:
            _write_files(new, model)
            for version in _versions(repository / model):
                _link(new, model, version)
            try:
                move(new, directory)
            except OSError:
                if not directory.is_dir():  # Otherwise another publish made it meanwhile.
                    raise
    _write_files(directory, model)
    for version in _versions(directory) - _versions(repository / model):
        forget_version(repository, model, version)
    for version in _versions(repository / model) - _versions(directory):
        _link(directory, model, version)


def forget_version(repository: Path, model: str, version: str) -> None:
    """Take a version from a model's text model, before it is taken from the model.

    Raises:
        TrainingError: the repository cannot be written.
    """
    path = text_directory(repository, model) / version
    if path.is_symlink():
        with explained(path):
            path.unlink(missing_ok=True)
    elif path.is_dir():  # A copy, as whatever follows links makes one.
        with staged(repository.resolve().parent) as directory:
            move(path, directory / version)


def lacking_versions(repository: Path, model: str) -> list[str]:
    """The versions of a model that its text model lacks, oldest first, as a publish leaves them that is killed."""
    return sorted(_versions(repository / model) - _versions(text_directory(repository, model)), key=int)


def _write_files(directory: Path, model: str) -> None:
    contents = {CONFIGURATION: _HEAD + text_format.MessageToString(text_model_config(model)), LABELS_FILE: LABELS}
    for name, content in contents.items():
        if not os.path.lexists(directory / name):
            write_file(directory / name, content.encode())


def _link(directory: Path, model: str, version: str) -> None:
    with explained(directory):
        try:
            (directory / version).symlink_to(Path("..", model, version))
        except FileExistsError:
            return  # Another publish was faster.


def _versions(directory: Path) -> set[str]:
    with explained(directory):
        names = os.listdir(directory) if directory.is_dir() else []
    return {name for name in names if _NUMBER.fullmatch(name)}
