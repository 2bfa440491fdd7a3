"""MLflow beside TensorBoard, for those who ask for it (`--track mlflow`): parameters, figures, small files.

A run must not be lost to its own bookkeeping: what can't be sent while it trains is kept and tried again, ever less
often, and said once. Only a run that has not begun yet is refused. `mlflow.json` in the run's folder names the run in
MLflow, which a resumed run goes on with.
"""

import contextlib
import importlib.util
import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from training.common.command import TrainingError, main_process
from training.common.files import write_whole
from training.runs.directory import METRICS
from training.runs.settings import FoldSettings, RunSettings

EXPERIMENT: Final = "ru-emotions"
SEND_SECONDS: Final = 15.0
"""Between two times that figures are sent."""
_LONGEST_WAIT: Final = 900.0
_MOST_AT_ONCE: Final = 1000  # MLflow takes no more.
_MOST_FILE_BYTES: Final = 1 << 20
_MOST_PARAMETER: Final = 500
_NEEDED: Final = ("mlflow", "sqlalchemy", "alembic")
# Before MLflow is imported. Its own waits are for minutes, and it reports its use to its makers.
_ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def check_tracking(settings: RunSettings) -> None:
    """Whether the run can be tracked as was asked for, told before anything heavy; nothing is written.

    Raises:
        TrainingError: MLflow is not installed, or its server does not answer.
    """
    if settings.track is None:
        return
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise TrainingError(
            f"--track mlflow needs {' and '.join(missing)}, which this environment lacks: run"
            f" {sys.executable} -m pip install --no-deps --require-hashes --requirement locks/tracking.txt"
        )
    uri = _uri(settings)
    if urlsplit(uri).scheme in ("http", "https"):
        with _refused(uri):
            _client(uri).search_experiments(max_results=1)


def _uri(settings: RunSettings) -> str:
    """Where MLFLOW_TRACKING_URI says, or a file beside the run's folder, one for all runs there."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{settings.folder.resolve().parent}/mlflow.db"


def _client(uri: str) -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _reason(uri: str, error: Exception) -> str:
    """What an error says, on one line, without a password that the address may have."""
    return _without_user(uri, " ".join(str(error).split()) or type(error).__name__)[:300]


def _without_user(uri: str, text: str) -> str:
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    return text.replace(user, "***") if at else text


@contextlib.contextmanager
def _refused(uri: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # MLflow's, SQLAlchemy's, the operating system's.
        raise TrainingError(
            f"MLflow can't be used ({_reason(uri, error)}): check MLFLOW_TRACKING_URI and its server, or leave"
            " --track mlflow out"
        ) from error


class Tracker:
    """One run in MLflow. Nothing that it does ends the training."""

    def __init__(self, client: Any, run_id: str, uri: str) -> None:
        self._client, self._run_id, self._uri = client, run_id, uri
        self._pending: list[tuple[str, float, int, int]] = []
        self._wait, self._next, self._said = SEND_SECONDS, time.monotonic() + SEND_SECONDS, False

    def log(self, figures: Mapping[str, Any], step: int) -> None:
        """Figures at a step; what is no finite number is left out."""
        now = round(time.time() * 1000)
        for name, value in figures.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                self._pending.append((name, float(value), now, step))
        if time.monotonic() >= self._next:
            self._send()

    def end(self, status: str, folder: Path) -> None:
        """Send what is left, the figures and the small files of the folder; the run is over.

        Args:
            status: MLflow's word: FINISHED, FAILED or KILLED.
            folder: the run's.
        """
        if (folder / METRICS).is_file():
            figures = json.loads((folder / METRICS).read_text(encoding="utf-8"))
            self.log({name: value for name, value in _flat(figures).items() if not name.startswith("recipe.")}, 0)
        if not self._send():
            return
        with self._excused("its files"):
            for path in sorted(folder.glob("*.json")):
                if path.stat().st_size <= _MOST_FILE_BYTES:
                    self._client.log_artifact(self._run_id, str(path))
            self._client.set_terminated(self._run_id, status)

    def _send(self) -> bool:
        """Send what is pending; False if that failed, and it is kept."""
        with self._excused("figures") as sent:
            from mlflow.entities import Metric

            while self._pending:
                batch = self._pending[:_MOST_AT_ONCE]
                self._client.log_batch(self._run_id, metrics=[Metric(*each) for each in batch])
                del self._pending[: len(batch)]
            sent.append(True)
        self._wait = SEND_SECONDS if sent else min(4 * self._wait, _LONGEST_WAIT)
        self._next = time.monotonic() + self._wait
        return bool(sent)

    @contextlib.contextmanager
    def _excused(self, what: str) -> Iterator[list[bool]]:
        try:
            yield []
        except Exception as error:  # Whatever it is, the training is worth more.
            if not self._said:
                print(
                    f"MLflow does not take {what} ({_reason(self._uri, error)}). Training goes on, and tries again. If"
                    " some are missing there in the end: the folder has them all, and the same command with --resume"
                    " sends the final ones",
                    file=sys.stderr,
                    flush=True,
                )
            self._said = True


@contextlib.contextmanager
def tracked(settings: RunSettings, record: Mapping[str, Any]) -> Iterator[Tracker | None]:
    """The run in MLflow, begun or gone on with; None where nobody asked for one.

    Args:
        settings: of the run, whose folder is there.
        record: how it is made; its parameters.

    Raises:
        TrainingError: it can't be begun.
    """
    if settings.track is None or not main_process():
        yield None
        return
    uri, folder = _uri(settings), settings.folder
    with _refused(uri):
        client = _client(uri)
        run_id = _begun_before(client, _note(settings)) or _begin(client, settings, record)
    tracker = Tracker(client, run_id, uri)
    print(f"MLflow has this as run {run_id} in {_without_user(uri, uri)}", flush=True)
    try:
        yield tracker
    except KeyboardInterrupt:
        tracker.end("KILLED", folder)
        raise
    except BaseException:
        tracker.end("FAILED", folder)
        raise
    tracker.end("FINISHED", folder)


def _note(settings: RunSettings) -> Path:
    """Which file of the folder names the run in MLflow; processes that share a folder have one each."""
    of = f"_fold{settings.folds[0]}" if settings.shared and isinstance(settings, FoldSettings) else ""
    return settings.folder / f"mlflow{of}.json"


def _begun_before(client: Any, note: Path) -> str | None:
    from mlflow.exceptions import MlflowException

    if not note.is_file():
        return None
    run_id = str(json.loads(note.read_bytes())["run_id"])
    try:
        client.update_run(run_id, status="RUNNING")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None  # Of another store, or deleted there: it begins anew.
    return run_id


def _begin(client: Any, settings: RunSettings, record: Mapping[str, Any]) -> str:
    note = _note(settings)
    tags = {"folder": str(settings.folder), "command": " ".join(sys.orig_argv[1:])[:_MOST_PARAMETER]}
    name = settings.folder.name + note.stem.removeprefix("mlflow")
    run_id = str(client.create_run(_experiment(client, settings), tags=tags, run_name=name).info.run_id)
    for key, value in _flat(record).items():
        client.log_param(run_id, key, str(value)[:_MOST_PARAMETER])
    write_whole(note, json.dumps({"run_id": run_id}).encode())
    return run_id


def _experiment(client: Any, settings: RunSettings) -> str:
    from mlflow.exceptions import MlflowException

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    if (found := client.get_experiment_by_name(name)) is None:
        own = not os.environ.get("MLFLOW_TRACKING_URI")  # Otherwise its server knows where files go.
        place = (settings.folder.resolve().parent / "mlflow_files").as_uri() if own else None
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # Another run has made it meanwhile.
            if found is None:
                raise
    return str(found.experiment_id)


def _flat(nested: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """One level of names, such as `recipe.lr`, in the characters that MLflow takes."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        key = within + "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in str(name))
        flat |= _flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat
