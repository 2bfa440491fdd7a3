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
from server.repository.check import model_directories
from server.repository.tuned import Head

CONFIGS: Final = "configs"
_MOST_BYTES: Final = 1 << 20
_REMEDY: Final = (
    "Run make tune again or remove the file. A configuration of your own goes into a file with another name: "
    "configs/mine.pbtxt, --config mine."
)
_DEFAULTS_REMEDY: Final = "Mend it: it is the model's default, and Triton can't read it either."


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
        """Refuse a start with a configuration that is damaged, changed, or another model's or device's.

        Raises:
            ConfigurationFileError: says which file, and what to do.
        """
        named = (model / CONFIGS / f"{self.name}.pbtxt" for model in model_directories(repository))
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
        config, text = _parsed(path, _REMEDY)
        try:
            head = Head.read(text)
        except ConfigurationFileError as error:
            raise ConfigurationFileError(f"{path} can't be used: {error}. {_REMEDY}") from None
        if config.name not in ("", model.name):  # Triton would not serve the model at all
            raise ConfigurationFileError(f"{path} is for another model: its name is {config.name}. {_REMEDY}")
        self._check_device(path, _kinds(config), model)
        return [] if head is None else self._warnings(path, head, model, graph_name(config))

    def _check_device(self, path: Path, kinds: str, model: Path) -> None:
        """Refuse instances that belong on another device.

        Those of the default's kind belong here too: a text model's are KIND_CPU beside a GPU as well.

        Raises:
            ConfigurationFileError: they do, or the default can't be read and they are not of the device's kind.
        """
        usual, default = f"KIND_{self._device.upper()}", self._default(model)
        if kinds != usual and kinds != _kinds(_parsed(default, _DEFAULTS_REMEDY)[0]):
            raise ConfigurationFileError(
                f"{path} is for another device: its instances are {kinds}, and on a {self._device.upper()} they are "
                f"{usual}, or as in {default.relative_to(model)}. Leave out --config {self.name} here, or tune on this "
                f"machine (make tune DEVICE={self._device})."
            )

    def _warnings(self, path: Path, head: Head, model: Path, graph: str) -> list[str]:
        """What has changed since a file was tuned."""
        changes = []
        newest, size = _newest(model, graph)
        if size != head.graph_bytes:
            changes.append(
                f"with version {head.version} ({head.graph_bytes:,} bytes), and version {newest} ({size:,} bytes) is "
                f"the newest now"
            )
        cores = len(os.sched_getaffinity(0))
        if cores != head.cores:
            changes.append(f"with {head.cores} cores, and here are {cores}")
        default = self._default(model)
        if _sha256(default) != head.made_from:
            changes.append(f"from another {default.relative_to(model)} than today's")
        return [f"warning: {path} was tuned {change}: run make tune again." for change in changes]

    def _say(self, model: Path, sentences: list[str]) -> None:
        """Report what was not said of a model before."""
        for sentence in sentences:
            if sentence not in self._said.get(model.name, []):
                report(sentence)
        self._said[model.name] = sentences


def _parsed(path: Path, remedy: str) -> tuple[Any, str]:
    """A configuration, and its text.

    Args:
        path: of the configuration.
        remedy: what to do if it can't be read, a sentence.

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
            raise ConfigurationFileError(f"{path} can't be used: it is no file of a sensible size. {remedy}")
        text = path.read_text(encoding="utf-8")
        return text_format.Parse(text, model_config_pb2.ModelConfig()), text
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigurationFileError(f"{path} can't be read as Triton's configuration ({error}). {remedy}") from None


def _kinds(config: Any) -> str:
    """Of a model's instances, such as `KIND_CPU`."""
    kind = type(config).DESCRIPTOR.fields_by_name["instance_group"].message_type.enum_types_by_name["Kind"]
    known = {number: value.name for number, value in kind.values_by_number.items()}
    # A number that stands for no kind passes the parser.
    names = {known.get(group.kind, str(group.kind)) for group in config.instance_group}
    return " and ".join(sorted(names)) or "chosen by Triton"


def _sha256(path: Path) -> str | None:
    """Of a file's bytes; None of one that is not there or can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    except OSError:
        return None


def graph_name(config: Any) -> str:
    """The file of a version that holds the graph; Triton has a name for it if the configuration has none."""
    return str(config.default_model_filename) or "model.onnx"


def _newest(model: Path, graph: str) -> tuple[int, int]:
    """The newest version, and the size of its graph; 0 for what is not there."""
    newest = max(
        (path for path in model.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name), default=None
    )
    if newest is None:
        return 0, 0
    path = newest / graph
    return int(newest.name), path.stat().st_size if path.is_file() else 0
