"""The evaluation command: what it measures of each kind of model, and what it refuses."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from contract.labels import EMOTIONS
from contract.version_directory import CARD
from tests.support.committed import committed
from tests.support.triton_process import free_ports
from tests.training.support.rows import keyword_rows, write_brighter, write_lines
from tests.training.support.small_run import read_json, write_cedr, write_run
from training.common.command import TrainingError
from training.common.output import write_result
from training.data.rows.examples import measured_rows, targets
from training.data.rows.loading import load_source
from training.data.splits.folds import brighter_by_fold, held_out_fold
from training.evaluate import __main__ as command
from training.evaluate.evaluation import evaluate_model
from training.evaluate.predictions import checked_card, predict_checkpoint, predict_version
from training.evaluate.results import evaluate_and_write
from training.measuring.baseline import baseline_out_of_fold
from training.measuring.figures import card_metrics, measure, tuned_across_folds, tuned_without_dev
from training.measuring.out_of_fold import OutOfFold, out_of_fold_examples
from training.measuring.thresholds import decide, tune
from training.runs.directory import read_cross_validated, read_out_of_fold_sets, write_out_of_fold

COMMITTED = committed()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("evaluated")
    write_cedr(directory)
    return directory


@pytest.fixture(scope="module")
def run(data_dir: Path) -> Path:
    return write_run(data_dir / "run", data_dir, steps=60)


def mean_auc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    return float(sk.roc_auc_score(truth, probabilities, average="macro"))


def test_a_run_on_dev(run: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = evaluate_and_write(str(run), "dev", data_dir, tmp_path / "out")
    dev = held_out_fold(0, data_dir)
    truth, probabilities = targets(dev), predict_checkpoint(run, dev)
    assert measured.examples == dev
    figures = measured.figures
    assert figures["rows"] == len(dev) == 72
    assert figures["mean"]["roc_auc"] == pytest.approx(mean_auc(truth, probabilities), abs=5.1e-5)
    # Tuned on the other folds' predictions, and on nothing else.
    kept = read_cross_validated(run)[1]
    thresholds = tune("balanced", {"cedr": kept.without(0)})
    assert figures["profiles"]["balanced"]["thresholds"] == thresholds
    given = decide(probabilities, thresholds)
    expected = np.mean([sk.f1_score(truth[:, i], given[:, i], average="macro") for i in range(6)])
    assert figures["tuned"]["mean"]["f1_macro"] == pytest.approx(expected, abs=5.1e-5)
    assert figures["profiles"]["balanced"]["costs"]["joy"]["recall"] == figures["tuned"]["joy"]["recall"]

    written = read_json(tmp_path / "out" / "metrics.json")
    assert written["figures"] == json.loads(json.dumps(figures))
    assert written["rows"] == "dev (fold 0 of CEDR train)"
    assert {name: row["f1_macro"] for name, row in written["published"].items()} == {
        "rubert-tiny2, as published": 0.8135,
        "xlm-roberta-base, as published": 0.8423,
    }
    baseline = kept.probabilities[kept.fold == 0]
    assert written["baseline"]["figures"]["mean"]["roc_auc"] == pytest.approx(mean_auc(truth, baseline), abs=5.1e-5)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg ") == 5
    assert not re.search(r"""(src|href)=["'](?!#|data:)|url\((?!#)|@import""", page), "the page needs nothing else"
    for shown in (f"{figures['mean']['f1_macro']:.4f}", "0.8423", "xlm-roberta-base, as published", "TF-IDF"):
        assert shown in page
    distance = np.abs(truth - probabilities).max(axis=1)
    worst, best = dev[int(distance.argmax())], dev[int(distance.argmin())]
    assert page.rindex(worst.text) > page.index("The worst errors")
    assert best.text not in page
    assert f"{figures['fear']['recall']:.4f}" in capsys.readouterr().out


def test_a_run_out_of_fold(run: Path, data_dir: Path) -> None:
    measured = evaluate_model(str(run), "out-of-fold", data_dir)
    kept = read_cross_validated(run)[1]
    assert [example.text for example in measured.examples] != [e.text for e in load_source("cedr", "train", data_dir)]
    assert np.array_equal(targets(measured.examples), kept.truth)
    assert measured.figures["mean"]["roc_auc"] == pytest.approx(mean_auc(kept.truth, kept.probabilities), abs=5.1e-5)
    per_fold = [mean_auc(kept.truth[kept.fold == n], kept.probabilities[kept.fold == n]) for n in range(5)]
    five = measured.figures["five_folds"]
    assert five["mean"]["roc_auc"] == pytest.approx(np.mean(per_fold), abs=1e-4)
    assert five["standard_deviation"]["roc_auc"] == pytest.approx(np.std(per_fold, ddof=1), abs=1e-4)
    # Every fold is judged with thresholds that it had no part in.
    given = np.zeros(kept.truth.shape, dtype=bool)
    for fold in range(5):
        here = kept.fold == fold
        given[here] = decide(kept.probabilities[here], tune("balanced", {"cedr": kept.without(fold)}))
    assert measured.figures["tuned"]["mean"]["f1"] == pytest.approx(
        np.mean([sk.f1_score(kept.truth[:, i], given[:, i]) for i in range(6)]), abs=5.1e-5
    )
    assert "thresholds" not in measured.figures["profiles"]["balanced"], "each fold had its own"


def test_the_test_split(run: Path, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cedr/test\.jsonl does not exist: .*--data-dir"):
        evaluate_model(str(run), "test", data_dir)
    shutil.copytree(data_dir / "cedr", tmp_path / "cedr")
    rows = [json.loads(line) for line in (data_dir / "cedr/train.jsonl").read_text(encoding="utf-8").splitlines()]
    write_lines(tmp_path, "cedr", "test", [{**row, "text": f"{row['text']} вновь"} for row in rows[:90]])
    measured = evaluate_and_write(str(run), "test", tmp_path, tmp_path / "out")
    assert measured.figures["rows"] == 90
    kept = read_cross_validated(run)[1]
    assert measured.figures["profiles"]["balanced"]["thresholds"] == tune("balanced", {"cedr": kept})
    assert read_json(tmp_path / "out/metrics.json")["baseline"]["figures"]["rows"] == 90


def test_brighters_rows(run: Path, data_dir: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(run, both)
    shutil.copytree(data_dir / "cedr", tmp_path / "cedr")
    rows = keyword_rows(30)
    write_brighter(tmp_path, "rus", "train", rows[:150])
    write_brighter(tmp_path, "rus", "dev", rows[150:])
    with pytest.raises(TrainingError, match=r"brighter/rus_test\.jsonl does not exist"):
        evaluate_model(str(run), "brighter-test", tmp_path)
    write_brighter(tmp_path, "rus", "test", [{**row, "text": f"{row['text']} вновь"} for row in rows[:60]])
    examples, fold = brighter_by_fold(tmp_path)
    answers = predict_checkpoint(run, examples)
    write_out_of_fold(both, OutOfFold(targets(examples), answers, fold), "brighter_rus")

    measured = evaluate_and_write(str(both), "brighter", tmp_path, tmp_path / "out")
    assert measured.examples == [example for example, of in zip(examples, fold, strict=True) if of == 0]
    assert measured.figures["mean"]["roc_auc"] == pytest.approx(
        mean_auc(targets(examples)[fold == 0], answers[fold == 0]), abs=5.1e-5
    )
    sets = read_out_of_fold_sets(both)
    assert set(sets) == {"cedr", "brighter_rus"}
    thresholds = tune("balanced", {name: each.without(0) for name, each in sets.items()})
    assert measured.figures["profiles"]["balanced"]["thresholds"] == thresholds
    written = read_json(tmp_path / "out" / "metrics.json")
    assert written["rows"] == "fold 0 of brighter_rus"
    assert written["baseline"]["figures"]["rows"] == len(measured.examples)
    assert "tuned" not in written["baseline"]["figures"]
    last = evaluate_model(str(both), "brighter-test", tmp_path).figures
    assert last["rows"] == 60
    assert last["profiles"]["balanced"]["thresholds"] == tune("balanced", sets)


def test_a_run_without_cross_validation_has_no_tuned_figures(run: Path, data_dir: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(run, alone, ignore=shutil.ignore_patterns("metrics.json"))
    for metrics in (None, '{"recipe": {}, "dev": {}}'):
        # The predictions beside it are an earlier run's.
        if metrics is not None:
            (alone / "metrics.json").write_text(metrics)
        figures = evaluate_model(str(alone), "dev", data_dir).figures
        assert "tuned" not in figures
        assert "profiles" not in figures
    with pytest.raises(TrainingError, match="without --cross-validate"):
        evaluate_model(str(alone), "out-of-fold", data_dir)


def test_a_version_is_measured_with_its_cards_thresholds(data_dir: Path, tmp_path: Path) -> None:
    dev = held_out_fold(0, data_dir)
    card = checked_card(COMMITTED)
    probabilities = predict_version(COMMITTED, card, dev)
    kept = {"cedr": OutOfFold(targets(dev), probabilities, np.arange(len(dev)) % 5)}
    rows = {"dev": measured_rows("cedr", "dev", dev), "cedr": measured_rows("cedr", "all folds", dev)}
    metrics = card_metrics("model.cpu.onnx", targets(dev), probabilities, kept, rows)
    names = ["dev (fold 0 of CEDR train), model.cpu.onnx", "five folds of CEDR train, out of fold, PyTorch"]
    assert list(metrics) == names
    changed = tmp_path / "1"
    shutil.copytree(COMMITTED, changed)
    content = read_json(changed / CARD)
    (changed / CARD).write_text(json.dumps({**content, "metrics": metrics}), encoding="utf-8")
    # The command gives the very object that is on the card.
    evaluation = evaluate_model(str(changed), "dev", data_dir)
    figures, on_card = evaluation.figures, metrics[names[0]]
    assert evaluation.measured_on == on_card["measured_on"] == rows["dev"]
    assert figures["mean"] == on_card["mean"]
    assert figures["tuned"] == on_card["tuned"]
    assert figures["profiles"]["balanced"] == on_card["profiles"]["balanced"]
    # On the test split the profiles themselves are honest.
    write_lines(
        tmp_path, "cedr", "test", [{"text": e.text, "labels": sorted(n - 1 for n in e.labels if n)} for e in dev]
    )
    figures = evaluate_model(str(changed), "test", tmp_path).figures
    assert figures["profiles"]["moderation"]["thresholds"] == content["profiles"]["moderation"]["thresholds"]

    (changed / "tokenizer.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"tokenizer\.json is not the file its card describes"):
        evaluate_model(str(changed), "dev", data_dir)
    (changed / "model.cpu.onnx").unlink()
    with pytest.raises(TrainingError, match=r"model\.cpu\.onnx is missing; .*: publish the version again"):
        evaluate_model(str(changed), "dev", data_dir)


def test_a_profile_that_cannot_be_had_is_said_and_the_rest_measured(data_dir: Path) -> None:
    dev = targets(held_out_fold(0, data_dir))
    random = np.random.default_rng(0)
    truth, weak = np.tile(dev, (5, 1)), random.random((360, 6)).astype(np.float32)
    kept = {"cedr": OutOfFold(truth, weak, np.arange(360) // 72)}
    for tuned in (tuned_without_dev(kept, weak[:72]), tuned_across_folds(kept)):
        assert set(tuned.decisions) == {"balanced", "moderation"}
        assert "no threshold reaches a precision of 0.9: the model is too weak" in tuned.unreachable["marketing"]
    figures = measure(dev, weak[:72], tuned_without_dev(kept, weak[:72]))
    assert list(figures["profiles"]["marketing"]) == ["unreachable"]
    assert set(figures["profiles"]["balanced"]) == {"tuned_on", "thresholds", "costs"}


def test_predictions_of_other_data_are_noticed(run: Path, data_dir: Path, tmp_path: Path) -> None:
    lines = (data_dir / "cedr/train.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "cedr").mkdir()
    for changed in (lines[:-6], [*lines[1:], lines[0]]):
        (tmp_path / "cedr/train.jsonl").write_text("\n".join(changed) + "\n", encoding="utf-8")
        with pytest.raises(TrainingError, match="not of this CEDR train split: its rows or labels differ"):
            out_of_fold_examples(read_cross_validated(run)[1], tmp_path)


def test_wrong_sources_are_a_sentence(run: Path, data_dir: Path, tmp_path: Path) -> None:
    def refused(reason: str, source: Any, rows: str = "dev", **options: Any) -> None:
        with pytest.raises(TrainingError, match=reason):
            evaluate_model(str(source), rows, data_dir, **options)

    refused(r"is no directory, and no http:// address of a gateway", tmp_path / "none")
    refused("could not load the checkpoint", tmp_path)
    refused("--model and --version choose among what a gateway serves", run, model="rubert")
    refused("only a run trained with --cross-validate has out-of-fold predictions", COMMITTED, "out-of-fold")
    (port,) = free_ports(1)
    refused(r"no gateway answers at http://127\.0\.0\.1:\d+ .*make serve", f"http://127.0.0.1:{port}")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    config = read_json(other / "config.json")
    config["id2label"] = {"0": "LABEL_0", "1": "LABEL_1"}
    del config["label2id"]
    (other / "config.json").write_text(json.dumps(config))
    refused("the columns LABEL_0, LABEL_1 of .* have no names: name all 2 in the head's order, in id2label", other)
    with pytest.raises(TrainingError, match=r"holds the metrics\.json of a run: name another"):
        evaluate_and_write(str(run), "dev", data_dir, run)
    with pytest.raises(TrainingError, match=r"train\.jsonl is a file: name a directory with --output"):
        evaluate_and_write(str(run), "dev", data_dir, data_dir / "cedr/train.jsonl")
    with pytest.raises(TrainingError, match=r"could not write .*train\.jsonl/deeper"):
        write_result(data_dir / "cedr/train.jsonl/deeper", "metrics.json", b"{}")


def test_the_command(run: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--rows", "out-of-fold", "--data-dir", str(data_dir), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["evaluate", str(run), *flags])
    command.main()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"metrics.json", "report.html"}
    monkeypatch.setattr(sys, "argv", ["evaluate", str(run), "--row", "dev"])
    with pytest.raises(SystemExit, match="2"):
        command.main()


def test_the_baseline_is_fitted_without_the_fold_it_answers(data_dir: Path) -> None:
    kept = baseline_out_of_fold(data_dir)
    examples = out_of_fold_examples(kept, data_dir)
    assert len(examples) == 360
    assert mean_auc(kept.truth, kept.probabilities) > 0.95
    tuned = tuned_across_folds({"cedr": kept})
    assert set(tuned.decisions) | set(tuned.unreachable) == {"balanced", "moderation", "marketing"}
    # Mistakes planted in the labels are not learnt by heart: the predictions contradict them.
    anger = EMOTIONS.index("anger")
    wrong = [i for i, e in enumerate(examples) if kept.probabilities[i, anger] > 0.5 and anger not in e.labels]
    assert len(wrong) >= 3
