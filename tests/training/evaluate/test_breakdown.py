"""What an evaluation is broken down into: slices, curves, groups of errors; a second model; several sets of rows."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn import metrics as sk

from contract.labels import EMOTIONS
from tests.training.support.rows import keyword_rows, write_brighter
from tests.training.support.small_run import read_json, train_classifier, write_cedr, write_run
from training.common.command import TrainingError
from training.data.rows.examples import Example, targets
from training.data.splits.folds import held_out_fold
from training.data.splits.training_rows import train_and_held_out
from training.evaluate import __main__ as command
from training.evaluate.beside import side_by_side
from training.evaluate.breakdown.curves import calibration, confusion_counts, threshold_curves
from training.evaluate.breakdown.errors import CUES, error_groups, worst_errors
from training.evaluate.breakdown.slices import slices
from training.evaluate.evaluation import Evaluation, evaluate_model
from training.evaluate.report.plots import precision_recall_curves, roc_curves, threshold_plot
from training.measuring.metrics import Matrix
from training.measuring.slices import length_of

NO, JOY, SADNESS, ANGER = (EMOTIONS.index(name) for name in ("no_emotion", "joy", "sadness", "anger"))


def rows_and_answers(count: int = 240) -> tuple[list[Example], Matrix]:
    """Rows of two sources and several lengths, and answers that are mostly right."""
    random = np.random.default_rng(0)
    examples = [
        Example(
            " ".join(["слово"] * (1 + number % 30)), frozenset({number % 6}), "cedr",
            domain=("lj", "twitter")[number % 5 == 0],
        )
        for number in range(count)
    ]  # fmt: skip
    noise = random.random((count, 6))
    return examples, (0.6 * targets(examples) + 0.5 * noise).clip(0, 1).astype(np.float32)


def test_slices_are_the_figures_of_their_rows() -> None:
    examples, probabilities = rows_and_answers()
    truth, decisions = targets(examples), probabilities >= 0.5
    found = slices(examples, probabilities, decisions)
    assert [(each["by"], each["slice"]) for each in found] == [
        ("rows", "all rows"), ("source", "cedr/lj"), ("source", "cedr/twitter"), ("length", "up to 5 words"),
        ("length", "6 to 10 words"), ("length", "11 to 20 words"), ("length", "21 to 40 words"),
    ]  # fmt: skip
    for by in ("source", "length"):
        assert sum(each["rows"] for each in found if each["by"] == by) == len(examples)
    here = np.array([example.domain == "twitter" for example in examples])
    twitter = found[2]
    assert twitter["rows"] == here.sum() == 48
    assert twitter["undefined"] == []
    assert twitter["roc_auc"] == pytest.approx(sk.roc_auc_score(truth[here], probabilities[here]), abs=5.1e-5)
    f1 = [sk.f1_score(truth[here, i], decisions[here, i], average="macro") for i in range(6)]
    assert twitter["f1_macro"] == pytest.approx(np.mean(f1), abs=5.1e-5)
    assert twitter["flagged"] == pytest.approx(decisions[here, 1:].any(axis=1).mean(), abs=5.1e-5)


def test_a_slice_says_which_classes_have_no_figure() -> None:
    examples = [Example("да", frozenset({label}), "cedr") for label in (NO, JOY, JOY)]
    answers = np.full((3, 6), 0.1, np.float32)
    answers[1:, JOY] = 0.9
    (every, short) = slices(examples, answers, answers >= 0.5)
    assert (every["by"], short["by"]) == ("rows", "length"), "one source is no slice"
    assert short["undefined"] == ["sadness", "surprise", "fear", "anger"]
    assert (short["roc_auc"], short["f1"]) == (0.75, 0.5), "the mean of joy's and of no_emotion's"
    alone = slices(examples[1:], answers[1:], answers[1:] >= 0.5)[0]
    assert (alone["roc_auc"], alone["f1_macro"], len(alone["undefined"])) == (None, None, 6)


@pytest.mark.parametrize(("words", "name"), [(1, "up to 5 words"), (5, "up to 5 words"), (6, "6 to 10 words"),
                                             (40, "21 to 40 words"), (41, "over 40 words")])  # fmt: skip
def test_lengths(words: int, name: str) -> None:
    assert length_of(Example(" ".join("а" * words), frozenset(), "")) == name


def test_curves_are_scikit_learns_at_every_threshold() -> None:
    examples, probabilities = rows_and_answers()
    probabilities[:20, JOY] = np.float32(0.7)  # An edge: a label is given at its threshold.
    truth = targets(examples)
    curves = threshold_curves(truth, probabilities)
    assert curves["threshold"] == [round(step / 100, 2) for step in range(101)]
    for step in (0, 30, 70, 100):
        given = probabilities[:, JOY] >= np.float32(step / 100)
        curve = {name: values[step] for name, values in curves["joy"].items()}
        assert curve["flagged"] == pytest.approx(given.mean(), abs=5.1e-5)
        assert curve["recall"] == pytest.approx(sk.recall_score(truth[:, JOY], given), abs=5.1e-5)
        if given.any():
            assert curve["precision"] == pytest.approx(sk.precision_score(truth[:, JOY], given), abs=5.1e-5)
        assert curve["false_positive_rate"] == pytest.approx(given[truth[:, JOY] == 0].mean(), abs=5.1e-5)
    nothing = threshold_curves(truth, np.full_like(probabilities, 0.2))["fear"]
    assert (nothing["precision"][20], nothing["precision"][21]) == (pytest.approx(1 / 6, abs=1e-4), None)
    confusion = confusion_counts(truth, probabilities)
    assert sum(confusion["anger"].values()) == 40
    assert confusion["anger"]["anger"] == (probabilities[truth[:, ANGER] == 1].argmax(axis=1) == ANGER).sum()
    assert sum(each["rows"] for each in calibration(truth, probabilities)["joy"]) == len(truth)


def test_errors_are_grouped_by_what_they_share() -> None:
    # 100 rows: every joyful text with a negation is called sad, and one of the others.
    texts = ["не рад"] * 10 + ["рад"] * 40 + ["дом"] * 50
    labels = [JOY] * 50 + [NO] * 50
    examples = [Example(text, frozenset({label}), "cedr") for text, label in zip(texts, labels, strict=True)]
    answers = np.full((100, 6), 0.1, np.float32)
    answers[np.arange(100), labels] = 0.9
    for row in (*range(10), 20):
        answers[row, [JOY, SADNESS]] = (0.1, 0.8 if row else 0.95)
    decisions = answers >= 0.5
    found = error_groups(examples, answers, decisions)
    assert (found["errors"], found["share"]) == (11, 0.11)
    groups = {(group["by"], group["name"]): group for group in found["groups"]}
    negation = groups["text", "negation"]
    assert (negation["rows"], negation["errors"], negation["lift"]) == (10, 10, round(1 / 0.11, 2))
    assert negation["stands_out"]
    assert negation["examples"][0] == {
        "text": "не рад", "source": "cedr", "given": "joy", "given_probability": 0.1, "answered": "sadness",
        "most_probable": "sadness", "probability": 0.95,
    }  # fmt: skip
    assert len(negation["examples"]) == 4
    pair = groups["answer", "joy → sadness"]
    assert (pair["rows"], pair["errors"], pair["lift"]) == (50, 11, 2.0)
    assert groups["length", "up to 5 words"]["lift"] == 1
    assert not groups["length", "up to 5 words"]["stands_out"]
    assert ("given", "no_emotion") not in groups, "no error, no group"
    sizes = [group["errors"] for group in found["groups"]]
    assert sizes == sorted(sizes, reverse=True)
    assert worst_errors(examples, answers, decisions)[0]["answered"] == "sadness"
    right = error_groups(examples[50:], answers[50:], decisions[50:])
    assert right == {"errors": 0, "share": 0.0, "groups": []}


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("Я не рад", {"negation"}),
        ("Небо синее", set()),
        ("Привет, ты как?", {"greeting", "question"}),
        ("Добрый вечер", {"greeting"}),
        ("Спасибо!", {"thanks", "exclamation"}),
        ("ура 😀", {"emoji"}),
        ("ура :)", {"smile or frown in brackets"}),
        ("кот умер(((", {"smile or frown in brackets"}),
        ("Дом (новый) стоит", set()),
        ("«Мир»", {"quotation"}),
        ("ВЕРНИТЕ деньги", {"a word in capitals"}),
        ("Face ID", {"Latin letters"}),
        ("Но 5 лет...", {"contrast (но, однако, хотя)", "digits", "unfinished (…)"}),
        ("Да. Нет.", {"negation", "several sentences"}),
    ],
)
def test_cues(text: str, cues: set[str]) -> None:
    assert {name for name, cue in CUES.items() if cue.search(text)} == cues


def test_no_legend_covers_a_curve() -> None:
    examples, probabilities = rows_and_answers()
    truth = targets(examples)
    marks = {"balanced": [dict.fromkeys(EMOTIONS, 0.4)], "marketing": [dict.fromkeys(EMOTIONS, 0.6)]}
    curves = threshold_curves(truth, probabilities)
    figures: list[Figure] = [roc_curves(truth, probabilities), precision_recall_curves(truth, probabilities)]
    for figure in (*figures, threshold_plot(curves, marks)):
        figure.draw_without_rendering()
        (legend,) = figure.legends
        for axes in figure.axes:
            assert axes.get_legend() is None
            assert not legend.get_window_extent().overlaps(axes.get_tightbbox())
    names = [text.get_text() for text in legend.get_texts()]
    assert names[-2:] == ["threshold of balanced", "threshold of marketing"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("broken-down")
    write_cedr(directory)
    rows = keyword_rows(30)
    write_brighter(directory, "rus", "train", rows[:150])
    write_brighter(directory, "rus", "dev", rows[150:])
    return directory


@pytest.fixture(scope="module")
def run(data_dir: Path) -> Path:
    return write_run(data_dir / "run", data_dir, steps=60)


@pytest.fixture(scope="module")
def weaker(data_dir: Path) -> Path:
    """The same, trained for less long and not cross-validated."""
    path = data_dir / "weaker"
    train_classifier(path, train_and_held_out("cedr", 0, data_dir).train, steps=15)
    return path


def test_out_of_fold_every_fold_has_its_thresholds(run: Path, data_dir: Path) -> None:
    measured = evaluate_model(str(run), "out-of-fold", data_dir)
    assert [len(sets) for sets in measured.thresholds.values()] == [5] * len(measured.thresholds)
    assert measured.decided_by == ("by the profile balanced, with thresholds from the other four folds of CEDR train")
    f1 = np.mean([sk.f1_score(targets(measured.examples)[:, i], measured.decisions[:, i]) for i in range(6)])
    assert measured.figures["tuned"]["mean"]["f1"] == pytest.approx(f1, abs=5.1e-5)


def test_two_models_on_several_sets_of_rows(
    run: Path, weaker: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    flags = ["--beside", weaker, "--rows", "dev", "brighter", "--data-dir", data_dir, "--output", out]
    monkeypatch.setattr(sys, "argv", ["evaluate", str(run), *map(str, flags)])
    command.main()
    assert {str(path.relative_to(out)) for path in out.rglob("*.*")} == {
        f"{folder}{name}" for folder in ("", "dev/", "brighter/") for name in ("metrics.json", "report.html")
    }
    dev = read_json(out / "dev/metrics.json")
    second = evaluate_model(str(weaker), "dev", data_dir).figures
    beside = dev["beside"]
    assert beside["figures"] == json.loads(json.dumps(second))
    assert beside["difference"]["mean"]["roc_auc"] == pytest.approx(
        second["mean"]["roc_auc"] - dev["figures"]["mean"]["roc_auc"], abs=1e-6
    )
    assert beside["difference"]["mean"]["roc_auc"] < 0
    assert beside["tuned_difference"] is None
    assert beside["decided_by"]["second"] == "at 0.5"
    every = beside["slices"][0]
    assert every["first"] == {name: dev["slices"][0][name] for name in every["first"]}
    assert every["second"]["f1"] == pytest.approx(second["mean"]["f1"], abs=5.1e-5)
    page = (out / "dev/report.html").read_text(encoding="utf-8")
    for shown in ("Two models side by side", f"{beside['difference']['mean']['roc_auc']:+.4f}", "6 to 10 words"):
        assert shown in page
    overview = read_json(out / "metrics.json")["sets"]
    assert list(overview) == ["dev", "brighter"]
    assert overview["dev"]["slices"] == dev["slices"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'href="dev/report.html"' in page
    assert f"{overview['brighter']['slices'][0]['roc_auc']:.4f}" in page


def test_the_same_rows_or_none(data_dir: Path) -> None:
    dev = held_out_fold(0, data_dir)
    answers = np.full((len(dev), 6), 0.5, np.float32)
    one, other = (Evaluation(name, "dev", rows, answers, {}, {}) for name, rows in (("a", dev), ("b", dev[1:])))
    with pytest.raises(TrainingError, match="a and b were measured on different rows"):
        side_by_side(one, other)


@pytest.mark.parametrize(
    "flags",
    [
        ["--beside", "b", "--behaviour"],
        ["--beside-model", "xlm"],
        ["--rows", "dev", "dev"],
    ],
)
def test_flags_that_do_not_go_together(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", "a", "--output", "o", *flags])
    with pytest.raises(SystemExit, match="2"):
        command.main()
