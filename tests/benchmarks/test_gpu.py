"""The GPU part: what it would measure, without a GPU; and that it needs no more than it says."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.command import BenchmarkError
from benchmarks.load.perf_analyzer import PerfAnalyzer
from benchmarks.parts import gpu
from benchmarks.setup.texts import models, newest_version, workload
from contract.version_directory import GPU_GRAPH
from server.environment.triton_environment import read_environment
from tests.support.triton_process import ROOT, triton_environment

REPOSITORY = ROOT / "model_repository"
NEWEST = newest_version(REPOSITORY, gpu.SHIPPED[0])
TEXTS = workload(["Спасибо, очень рада", "Опять всё сломалось"], NEWEST)


def settings(repository: Path, *models: str, device: gpu.Device = "cpu") -> gpu.GpuSettings:
    environment = read_environment(triton_environment())
    return gpu.GpuSettings(environment, PerfAnalyzer(Path("none"), ""), repository, models, device, instances=(1, 4))


def test_each_number_of_instances_has_the_graph_that_computes_nothing_beside_the_models() -> None:
    names = [one.name for one in gpu.subjects(TEXTS, settings(REPOSITORY, *gpu.MODELS))]
    served = [gpu.served(model, count) for count in (1, 4) for model in (gpu.NOTHING, *gpu.MODELS)]
    assert names == [*served, *map(gpu.in_process, gpu.MODELS)]
    for model in gpu.MODELS:
        assert sum(gpu.is_served(name, model) for name in names) == 2


def test_the_shipped_models_are_those_of_the_repository() -> None:
    assert list(gpu.SHIPPED) == models(REPOSITORY)


def test_a_missing_gpu_graph_is_told_before_anything_starts(tmp_path: Path) -> None:
    name = gpu.SHIPPED[0]
    (tmp_path / name / NEWEST.name).mkdir(parents=True)
    with pytest.raises(BenchmarkError, match=f"{GPU_GRAPH} is not there: make gpu-weights"):
        gpu.subjects(TEXTS, settings(tmp_path, name, device="gpu"))


def test_remarks_and_descriptions() -> None:
    random = "rubert_tiny2"
    assert gpu.remarks(gpu.SHIPPED, "gpu") == []
    (said,) = gpu.remarks([random, *gpu.SHIPPED], "gpu")
    assert said.startswith(f"Of {random} the shape is real")
    assert gpu.remarks(gpu.SHIPPED, "cpu")[0].startswith("This was a rehearsal")
    assert gpu.description(REPOSITORY, gpu.SHIPPED[0]).startswith(f"version {NEWEST.name}, ")
    assert "12 layers of 768" in gpu.description(REPOSITORY, "xlm_roberta_base")


def test_the_command_is_there_without_what_makes_graphs_and_without_the_gateway() -> None:
    """A GPU machine measures with graphs that were made elsewhere."""
    heavy = ["onnx", "onnxruntime", "torch", "transformers", "fastapi", "pydantic_settings", "sklearn", "datasets"]
    program = f"import sys; sys.modules.update(dict.fromkeys({heavy})); import benchmarks.__main__"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
