"""The tuned configuration: the default one with other settings, under a head that says how it was made and measured."""

import hashlib
import textwrap
from pathlib import Path
from typing import Final

from google.protobuf import text_format

from benchmarks.tuning.servers import Model
from benchmarks.tuning.settings import Settings, with_settings
from server.repository.configurations import CONFIGS
from server.repository.tuned import Head
from training.common.staging import write_file

NAME: Final = "tuned"
_WIDTH: Final = 116


def tuned_path(model: Model) -> Path:
    """Where Triton looks for it with `--model-config-name=tuned`."""
    return model.repository / model.name / CONFIGS / f"{NAME}.pbtxt"


def write_tuned(model: Model, settings: Settings, cores: int, remarks: list[str]) -> Path:
    """Write it, in one rename; one of an earlier run is replaced.

    Args:
        model: as it is served by default.
        settings: those that did better.
        cores: of this machine.
        remarks: what people are to read over it.

    Raises:
        TrainingError: it can't be written there.
    """
    config = model.configuration()
    head = Head(
        device=model.device,
        cores=cores,
        version=int(model.version.name),
        graph_bytes=(model.version / config.default_model_filename).stat().st_size,
        made_from=hashlib.sha256(model.path.read_bytes()).hexdigest(),
    )
    lines = [part for line in remarks for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ") or [""]]
    text = head.over(lines, text_format.MessageToString(with_settings(config, settings)))
    path = tuned_path(model)
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    write_file(unfinished, text.encode())
    unfinished.rename(path)
    return path
