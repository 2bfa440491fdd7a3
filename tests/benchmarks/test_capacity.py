"""How many replicas a load needs; the page's figures are the report's."""

import re
from dataclasses import replace

import pytest

from benchmarks import capacity
from benchmarks.report.results import Results
from benchmarks.setup.repositories import SHAPES
from tests.support.triton_process import ROOT


@pytest.fixture(scope="module")
def reports() -> tuple[Results, Results]:
    return Results.load(capacity._CPU), Results.load(capacity._GPU)


def test_the_page_has_the_figures_of_the_reports(reports: tuple[Results, Results]) -> None:
    page = capacity.PAGE.read_text("utf-8")
    assert capacity.written(page, *reports) == page, "a new report? python -m benchmarks.capacity --write"
    assert page.count("<!-- end -->") == 2
    # And without the code that wrote them: Triton's first line, from the report as people read it.
    row = re.search(
        r"^\| Triton \| 16 rows a request, 16 at once \| ([\d,]+)",
        (ROOT / "benchmarks/results/REPORT.md").read_text(),
        re.M,
    )
    cores = re.search(r"^- Machine: .*?, (\d+) cores", (ROOT / "benchmarks/results/REPORT.md").read_text(), re.M)
    shown = re.search(r"^\| Triton, a core, asked by gateways \| ([\d,]+)", page, re.M)
    assert row is not None
    assert cores is not None
    assert shown is not None
    a_core = int(row[1].replace(",", "")) / int(cores[1])
    assert int(shown[1].replace(",", "")) == pytest.approx(a_core, rel=0.05)


def test_figures_that_are_not_the_reports_are_noticed(reports: tuple[Results, Results]) -> None:
    page = capacity.PAGE.read_text("utf-8")
    damaged = re.sub(r"(asked by gateways \| )[\d,]+", r"\g<1>9,999", page, count=1)
    assert damaged != page
    assert capacity.written(damaged, *reports) == page


def test_only_models_are_named_as_such(reports: tuple[Results, Results]) -> None:
    named = {name.removeprefix("a GPU, ").removeprefix("the shape of ") for name in capacity.rates(*reports)}
    others = {"triton", "triton, rows", "gateway", "gateway, many", "together"}
    assert named - others <= {path.name for path in (ROOT / "model_repository").iterdir()} | SHAPES.keys()


@pytest.mark.parametrize(
    ("texts", "rate", "busy", "needed"),
    [(5000, 3000, 0.6, 4), (1800, 3000, 0.6, 2), (1801, 3000, 0.6, 3), (1, 3000, 0.6, 2), (3000, 3000, 1.0, 2)],
)
def test_enough_for_the_load_and_one_that_may_be_away(texts: float, rate: float, busy: float, needed: int) -> None:
    assert capacity.replicas(texts, rate, busy) == needed


def test_a_larger_triton_needs_fewer(reports: tuple[Results, Results]) -> None:
    found = capacity.rates(*reports)
    found["triton"] = replace(found["triton"], texts=1000.0)
    (two,) = [line for line in capacity.answer(6000, found, busy=0.5, cores=2) if "2 cores" in line]
    (four,) = [line for line in capacity.answer(6000, found, busy=0.5, cores=4) if "4 cores" in line]
    assert two.startswith("Triton on CPU, 2 cores each: 7 ")
    assert four.startswith("Triton on CPU, 4 cores each: 4 ")


def test_what_was_measured_takes_the_place_of_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    capacity.main(["6000", "--triton", "4000", "--busy", "0.5"])
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "Triton as you measured it: 4 (one of them may be away)"
    assert [line for line in others if "gateways" in line] == others


def test_the_charts_triton_has_the_cores_of_the_example() -> None:
    values = (ROOT / "deploy/chart/values.yaml").read_text("utf-8")
    assert f'cpu: "{capacity._CORES}"' in values.split("\ntriton:")[1].split("\ngateway:")[0]


@pytest.mark.parametrize(
    "wrong", [[], ["0"], ["-1"], ["many"], ["5", "--busy", "2"], ["5", "--cores", "0"], ["5", "--triton", "0"]]
)
def test_nonsense_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        capacity.main(wrong)
    assert refused.value.code == 2
    assert "error" in capsys.readouterr().err


def test_a_model_measured_on_cpu_and_gpu_has_both_rates(reports: tuple[Results, Results]) -> None:
    cpu, gpu = reports
    (shipped,) = capacity.rates(*reports).keys() & {"emotion_xlm"}
    shape = next(iter(gpu.model))
    renamed = [
        one.model_copy(update={"subject": one.subject.replace(shape, shipped)})
        for one in gpu.measurements
        if shape in one.subject
    ]
    found = capacity.rates(cpu, gpu.model_copy(update={"model": {shipped: "measured"}, "measurements": renamed}))
    assert found[shipped] == capacity.rates(*reports)[shipped]
    assert found[f"a GPU, {shipped}"].texts > found[shipped].texts
    assert any(
        line.startswith(f"or Triton on a GPU, {shipped}: ") for line in capacity.answer(9, found, busy=1, cores=2)
    )
