"""The tuned configuration: the default one with other settings, under a head that says how it was made and measured."""

import contextlib
import hashlib
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf import text_format

from benchmarks.tuning.servers import Model
from benchmarks.tuning.settings import Settings, with_settings
from server.repository.configurations import CONFIGS, graph_name
from server.repository.tuned import Head
from training.common.command import TrainingError
from training.common.staging import explained, write_file

NAME: Final = "tuned"
_WIDTH: Final = 116


def tuned_path(model: Model) -> Path:
    """Where Triton looks for it with `--model-config-name=tuned`."""
    return model.repository / model.name / CONFIGS / f"{NAME}.pbtxt"


def check_writable(model: Model) -> None:
    """Refuse before anything is measured what `write_tuned` would refuse at the end.

    Raises:
        TrainingError: it can't be written there.
    """
    path = tuned_path(model)
    with _unfinished(path) as unfinished:
        write_file(unfinished, b"")
    if path.is_dir():
        raise TrainingError(f"could not write {path}: it is a directory; remove it")


def write_tuned(model: Model, settings: Settings, cores: int, remarks: list[str]) -> Path:
    """Write it, in one rename; one of an earlier run is replaced.

    Args:
        model: as it was measured.
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
        graph_bytes=(model.version / graph_name(config)).stat().st_size,
        made_from=hashlib.sha256(model.content).hexdigest(),
    )
    said = [line.encode(errors="replace").decode() for line in remarks]  # a file's name may be no UTF-8
    lines = [part for line in said for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ") or [""]]
    text = head.over(lines, text_format.MessageToString(with_settings(config, settings)))
    path = tuned_path(model)
    with _unfinished(path) as unfinished:
        write_file(unfinished, text.encode())
        unfinished.rename(path)
    return path


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A name beside a file to write it under first; what is left there goes."""
    unfinished = path.with_name(f".unfinished-{path.name}")
    with explained(path):
        path.parent.mkdir(exist_ok=True)
        try:
            yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)
