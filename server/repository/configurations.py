"""Which configuration Triton reads of each model where one is chosen by name (`--config tuned`).

With `--model-config-name=tuned` Triton reads `<model>/configs/tuned.pbtxt`. Of a model that has none it reads
`config.pbtxt` without a word, and here that is the GPU's. So under the name that is asked for, the view shows Triton
the device's default instead, and this says so.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Any, Final

from server.errors import ConfigurationFileError, MissingGrpcError
from server.messages import report
from server.repository.tuned import Head

CONFIGS: Final = "configs"
_MOST_BYTES: Final = 1 << 20
_REMEDY: Final = (
    "Run make tune again or remove the file. A configuration of your own goes into a file with another name: "
    "configs/mine.pbtxt, --config mine."
)


class ConfigurationChoice:
    """The configurations with one name, on one device."""

    def __init__(self, device: str, name: str) -> None:
        """Nothing is read yet.

        Args:
            device: `cpu` or `gpu`.
            name: of files `<model>/configs/<name>.pbtxt`.
        """
        self.name = name
        self._device = device
        self._said: dict[str, list[str]] = {}

    def check(self, repository: Path) -> None:
        """Refuse a start with a configuration that is damaged, changed, or another device's.

        Raises:
            ConfigurationFileError: says which file, and what to do.
        """
        named = (model / CONFIGS / f"{self.name}.pbtxt" for model in sorted(repository.iterdir()))
        files = [path for path in named if os.path.lexists(path)]
        if not files:
            raise ConfigurationFileError(
                f"no model in {repository} has a {CONFIGS}/{self.name}.pbtxt: make tune writes {CONFIGS}/tuned.pbtxt; "
                f"without --config {self.name} the defaults are used."
            )
        for path in files:
            self._inspect(path, path.parents[1])

    def of(self, model: Path) -> Path | None:
        """The file that Triton is to take for the one with the name; None: the model's `config.pbtxt`.

        A file that has become wrong since the start, or a model without one, gets the device's default; says so once.
        """
        own, default = model / CONFIGS / f"{self.name}.pbtxt", self._default(model)
        instead = f"{default.relative_to(model)}, the default for a {self._device.upper()}"
        if not os.path.lexists(own):
            self._say(model, [f"{model.name} has no {CONFIGS}/{self.name}.pbtxt and runs with {instead}."])
        else:
            try:
                warnings = self._inspect(own, model)
            except ConfigurationFileError as error:
                self._say(model, [f"warning: {error} Until then {model.name} runs with {instead}."])
            else:
                self._say(model, [f"{model.name} runs with {CONFIGS}/{self.name}.pbtxt.", *warnings])
                return own
        return None if default.parent == model else default

    def _default(self, model: Path) -> Path:
        cpu = model / CONFIGS / "cpu.pbtxt"
        return cpu if self._device == "cpu" and cpu.exists() else model / "config.pbtxt"

    def _inspect(self, path: Path, model: Path) -> list[str]:
        """What to say of a file that can be used.

        Raises:
            ConfigurationFileError: it can't.
        """
        config, text = _parsed(path)
        try:
            head = Head.read(text)
        except ConfigurationFileError as error:
            raise ConfigurationFileError(f"{path} can't be used: {error}. {_REMEDY}") from None
        default = self._default(model)
        kinds = _kinds(config)
        if kinds != (wanted := _kinds(_parsed(default)[0])):
            raise ConfigurationFileError(
                f"{path} is for another device: its instances are {kinds}, and on a {self._device.upper()} they are "
                f"{wanted}. Leave out --config {self.name} here, or tune on this machine "
                f"(make tune DEVICE={self._device})."
            )
        return [] if head is None else self._warnings(path, head, model, config.default_model_filename)

    def _warnings(self, path: Path, head: Head, model: Path, graph: str) -> list[str]:
        """What has changed since a file was tuned."""
        changes = []
        newest, size = _newest(model, graph)
        if (newest, size) != (head.version, head.graph_bytes):
            changes.append(
                f"with version {head.version} ({head.graph_bytes:,} bytes), and version {newest} ({size:,} bytes) is "
                f"the newest now"
            )
        cores = len(os.sched_getaffinity(0))
        if cores != head.cores:
            changes.append(f"with {head.cores} cores, and here are {cores}")
        default = self._default(model)
        if hashlib.sha256(default.read_bytes()).hexdigest() != head.made_from:
            changes.append(f"from another {default.relative_to(model)} than today's")
        return [f"warning: {path} was tuned {change}: run make tune again." for change in changes]

    def _say(self, model: Path, sentences: list[str]) -> None:
        """Report what was not said of a model before."""
        for sentence in sentences:
            if sentence not in self._said.get(model.name, []):
                report(sentence)
        self._said[model.name] = sentences


def _parsed(path: Path) -> tuple[Any, str]:
    """A configuration, and its text.

    Raises:
        ConfigurationFileError: it can't be read.
    """
    try:
        from google.protobuf import text_format
        from tritonclient.grpc import model_config_pb2
    except ImportError as error:
        raise MissingGrpcError(
            f"--config reads Triton's configurations, and this Python lacks {error.name}: run it with the project's "
            f"own, .venv/bin/python (make serve makes it)."
        ) from None
    try:
        status = path.stat()
        # Whoever opened a FIFO might wait for ever.
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            raise ConfigurationFileError(f"{path} can't be used: it is no file of a sensible size. {_REMEDY}")
        text = path.read_text(encoding="utf-8")
        return text_format.Parse(text, model_config_pb2.ModelConfig()), text
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigurationFileError(f"{path} can't be read as Triton's configuration ({error}). {_REMEDY}") from None


def _kinds(config: Any) -> str:
    """Of a model's instances, such as `KIND_CPU`."""
    kind = type(config).DESCRIPTOR.fields_by_name["instance_group"].message_type.enum_types_by_name["Kind"]
    names = {kind.values_by_number[group.kind].name for group in config.instance_group}
    return " and ".join(sorted(names)) or "chosen by Triton"


def _newest(model: Path, graph: str) -> tuple[int, int]:
    """The newest version, and the size of its graph; 0 for what is not there."""
    newest = max(
        (path for path in model.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name), default=None
    )
    if newest is None:
        return 0, 0
    path = newest / (graph or "model.onnx")
    return int(newest.name), path.stat().st_size if path.is_file() else 0
