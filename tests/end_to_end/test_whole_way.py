"""From raw rows to a served model and back again, as the person who owns the models goes.

The first test takes an XLM-RoBERTa and the tests' own rows, for `make test`. The others take minutes:
`make end-to-end`, with DATA_DIR=… for real data.
"""

import os
from pathlib import Path

import pytest

from contract.version_directory import read_card
from tests.end_to_end.whole_way import (
    MODEL,
    check_figures,
    check_two_publishes_at_once,
    check_versions_change_under_load,
    command,
    figures_of,
    publish,
    serving_repository,
    train,
)
from tests.training.support.rows import keyword_rows, write_lines
from training.evaluate.evaluation import evaluate_model
from training.publish.checkpoint import Publication
from training.publish.checkpoint import publish as publish_checkpoint

DEV = "dev (fold 0 of CEDR train), model.cpu.onnx"


def test_xlm_roberta_is_served_as_it_was_measured(tmp_path: Path) -> None:
    data_dir, repository = tmp_path / "data", tmp_path / "models"
    write_lines(data_dir, "cedr", "train", keyword_rows(60))
    run = train(tmp_path, "xlm-roberta", data_dir, 7)
    version = publish_checkpoint(Publication(str(run), MODEL, repository, data_dir, None, "Apache-2.0", []))
    with serving_repository(tmp_path, repository) as serving:
        measured = [evaluate_model(f"{source}", "dev", data_dir) for source in (run, version, serving.url)]
        trained, published, served = (evaluation.figures for evaluation in measured)
        check_figures(trained, published, served, read_card(version).metrics[DEV])
        assert trained["mean"]["roc_auc"] > 0.9
        check_versions_change_under_load(serving, run, repository, data_dir)


@pytest.mark.drill
@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_the_whole_way(tmp_path: Path, family: str) -> None:
    repository, real = tmp_path / "models", os.environ.get("EMOTION_DATA_DIR")
    data_dir = Path(real).resolve() if real else tmp_path / "data"
    if not real:
        write_lines(data_dir, "cedr", "train", keyword_rows(130))
    run = train(tmp_path, family, data_dir, 5, vocabulary=4000 if real else 300, hidden=96)
    trained = figures_of(run, tmp_path / "evaluated-run", data_dir)
    command(
        "training.audit", "suspects", "--out-of-fold", run, "--data-dir", data_dir, "--output", tmp_path / "audit"
    )  # fmt: skip
    assert (tmp_path / "audit/suspects.csv").stat().st_size > 0
    publish(run, repository, data_dir)
    version = repository / MODEL / "1"
    published = figures_of(version, tmp_path / "evaluated-version", data_dir)
    with serving_repository(tmp_path, repository) as serving:
        served = figures_of(serving.url, tmp_path / "evaluated-served", data_dir, "--model", MODEL)
        check_figures(trained, published, served, read_card(version).metrics[DEV])
        check_versions_change_under_load(serving, run, repository, data_dir)
    check_two_publishes_at_once(run, repository, data_dir)
