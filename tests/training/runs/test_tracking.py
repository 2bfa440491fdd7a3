"""Runs in MLflow: in a file beside them, and on a server that dies. The server is a stand-in for MLflow's own."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from mlflow.tracking import MlflowClient
from pydantic import Field

from tests.support.triton_process import free_ports
from training.common.command import TrainingError
from training.runs import tracking
from training.runs.directory import write_metrics
from training.runs.record import begun
from training.runs.settings import RunSettings
from training.runs.tracking import check_tracking, tracked


class Settings(RunSettings):
    """The least a run needs."""

    ELSEWHERE: ClassVar[str] = "--output"

    output: Path = Field(exclude=True)
    lr: float = 0.1

    @property
    def folder(self) -> Path:
        return self.output


class Server:
    """What of MLflow's REST interface a client needs for one run; can be stopped and started again at its address."""

    def __init__(self, artifacts: Path) -> None:
        self._artifacts = artifacts.as_uri()
        self.metrics: list[dict[str, Any]] = []
        self.parameters: dict[str, str] = {}
        self.statuses: list[str] = []
        (self.port,) = free_ports(1)
        self.start()

    def start(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), type("Handler", (_Handler,), {"server_of": self}))
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        run = {"info": {"run_id": "r1", "experiment_id": "7", "status": "RUNNING", "artifact_uri": self._artifacts}}
        if path == "experiments/search":
            return {"experiments": []}
        if path == "experiments/create":
            return {"experiment_id": "7"}
        if path == "runs/create":
            assert asked["experiment_id"] == "7"
            return {"run": run}
        if path == "runs/get":
            return {"run": run}
        if path == "runs/log-parameter":
            self.parameters[asked["key"]] = asked["value"]
        elif path == "runs/log-batch":
            self.metrics += asked["metrics"]
        elif path == "runs/update":
            self.statuses.append(asked["status"])
        else:
            return None
        return {"run_info": run["info"]}


class _Handler(BaseHTTPRequestHandler):
    server_of: Server

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
        answer = self.server_of.answer(path, json.loads(body or "{}"))
        said = {"error_code": "RESOURCE_DOES_NOT_EXIST"} if answer is None else answer
        content = json.dumps(said).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve  # noqa: N815 - http.server's names


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("artifacts"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.port}")
    monkeypatch.setattr(tracking, "SEND_SECONDS", 0.0)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_of_the_person_who_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


def asked_for(tmp_path: Path, **more: Any) -> Settings:
    return Settings(output=tmp_path / "weights/run", track="mlflow", resume=True, **more)


def test_a_run_is_in_a_file_beside_it_and_goes_on_there(tmp_path: Path) -> None:
    settings = asked_for(tmp_path)
    record = {"recipe": settings.recipe}
    check_tracking(settings)
    assert list(tmp_path.iterdir()) == []

    def interrupted() -> None:
        with begun(settings, record), tracked(settings, record) as tracker:
            assert tracker is not None
            tracker.log({"fold0.loss": 0.5, "epoch": "none", "gone": float("nan")}, 10)
            (settings.folder / "model.safetensors").write_bytes(b"kept")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    client = MlflowClient(f"sqlite:///{tmp_path}/weights/mlflow.db")
    run_id = json.loads((settings.folder / "mlflow.json").read_bytes())["run_id"]
    assert client.get_run(run_id).info.status == "KILLED"
    with begun(settings, record), tracked(settings, record) as tracker:
        assert tracker is not None
        tracker.log({"fold0.loss": 0.25}, 20)
        write_metrics(settings.folder, {"recipe": {"epochs": 3}, "dev": {"mean": {"roc_auc": 0.9}}})
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    assert run.data.params == {"recipe.lr": "0.1"}
    assert run.data.metrics == {"fold0.loss": 0.25, "dev.mean.roc_auc": 0.9}
    assert [(each.step, each.value) for each in client.get_metric_history(run_id, "fold0.loss")] == [
        (10, 0.5), (20, 0.25),
    ]  # fmt: skip
    assert {file.path for file in client.list_artifacts(run_id)} == {"metrics.json", "mlflow.json", "run.json"}
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {"run", "mlflow.db", "mlflow_files"}


def test_a_run_that_failed_before_anything_leaves_no_folder(tmp_path: Path, server: Server) -> None:
    settings = asked_for(tmp_path)
    record = {"recipe": settings.recipe}
    with pytest.raises(TrainingError, match="no rows"), begun(settings, record), tracked(settings, record):
        raise TrainingError("no rows")
    assert list(tmp_path.iterdir()) == []
    assert (server.statuses, server.parameters) == (["FAILED"], {"recipe.lr": "0.1"})


def test_a_server_that_dies_costs_the_run_nothing(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = asked_for(tmp_path)
    record = {"recipe": settings.recipe}
    with begun(settings, record), tracked(settings, record) as tracker:
        assert tracker is not None
        tracker.log({"loss": 3.0}, 1)
        server.stop()
        began = time.monotonic()
        for step in range(2, 40):
            tracker.log({"loss": 3.0 / step}, step)
        assert time.monotonic() - began < 30
        server.start()
    said = capsys.readouterr().err
    assert said.count("MLflow does not take figures") == 1
    assert "Training goes on, and tries again" in said
    assert [each["step"] for each in server.metrics] == list(range(1, 40))
    with begun(settings, record), tracked(settings, record) as tracker:
        server.stop()
    assert "MLflow does not take" in capsys.readouterr().err
    server.start()


def test_what_cannot_be_tracked_is_told_before_the_run(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asked_for(tmp_path)
    check_tracking(settings)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{server.port}/elsewhere")
    with pytest.raises(TrainingError, match=r"MLflow can't be used .*: check MLFLOW_TRACKING_URI") as error:
        check_tracking(settings)
    assert "secret" not in str(error.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrainingError, match="or leave --track mlflow out"):
        check_tracking(settings)
    monkeypatch.setattr(tracking, "_NEEDED", ("mlflow", "nothing_of_this_name"))
    with pytest.raises(TrainingError, match=r"needs nothing_of_this_name, .* --requirement locks/tracking\.txt"):
        check_tracking(settings)
    check_tracking(Settings(output=tmp_path))
