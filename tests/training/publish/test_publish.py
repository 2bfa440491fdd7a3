"""Publish and make GPU weights as commands; and what a failing publish leaves: nothing."""

import json
import re
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification

from contract.canary import Trial, read_trials
from contract.labels import EMOTIONS
from contract.version_directory import (
    CARD,
    CPU_GRAPH,
    GPU_GRAPH,
    GPU_RECORD,
    TOKENIZER,
    Card,
    read_card,
    read_gpu_record,
    sha256,
)  # fmt: skip
from tests.support.committed import committed
from tests.support.triton_process import ROOT
from tests.training.support.commands import fails, succeeds
from tests.training.support.rows import keyword_rows, write_brighter, write_lines
from tests.training.support.version_directories import write_version
from training.behaviour.suite import HALVES
from training.common.command import TrainingError
from training.compare.models import Source, compare_models
from training.data.rows.examples import Example, targets
from training.data.splits.folds import by_fold
from training.encoder.classifier import TokenRows, collate, encode
from training.encoder.tokenizer import load_tokenizer, train_wordpiece
from training.encoder.unknown_signs import unknown_texts
from training.evaluate.behaviour import evaluate_behaviour
from training.evaluate.evaluation import evaluate_model
from training.evaluate.predictions import predict_checkpoint, predict_version
from training.export.checkpoint import export_checkpoint
from training.export.gate import checks as gate
from training.export.gpu_graph_files import make_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import run, session
from training.export.integrity import damage
from training.measuring.out_of_fold import OutOfFold
from training.measuring.thresholds import decide, tune
from training.publish.__main__ import publish_command
from training.publish.checkpoint import Publication, publish
from training.publish.followed.gate import followed_version
from training.publish.profiles import neutral_texts
from training.publish.versions import versions_of
from training.runs.directory import read_out_of_fold, read_out_of_fold_sets, write_metrics, write_out_of_fold
from training.runs.origin import ORIGIN, seal
from training.scratch import pretrain


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    write_lines(directory, "cedr", "train", keyword_rows(130))
    return directory


@pytest.fixture(scope="module")
def checkpoint(data_dir: Path) -> Path:
    """As `training.train --cross-validate` leaves it, but trained in seconds on six emotions' words."""
    output = data_dir / "tuned"
    rows, _ = by_fold("cedr", data_dir)
    unknown = [Example(text, frozenset({0}), "unknown") for text in unknown_texts()]
    tokenizer = train_wordpiece([row.text for row in rows], 300)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=128, num_labels=6, initializer_range=0.1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, problem_type="multi_label_classification",
        id2label=dict(enumerate(EMOTIONS)),
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    trained = [*rows, *unknown]
    encoded = TokenRows(encode([row.text for row in trained], tokenizer), targets(trained))
    for _ in range(80):
        batch = collate([encoded[int(index)] for index in torch.randint(len(trained), (64,))], 0)
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(output)
    tokenizer.save(str(output / TOKENIZER))
    keep_predictions(output, data_dir)
    return output


def keep_predictions(run: Path, data_dir: Path) -> None:
    """What a cross-validated run leaves beside its checkpoint; here one checkpoint has answered for all folds."""
    rows, fold = by_fold("cedr", data_dir)
    write_out_of_fold(run, OutOfFold(targets(rows), predict_checkpoint(run, rows), fold))
    write_metrics(run, {"recipe": {"base_model": "tests"}, "five_folds": {"roc_auc": 1.0}})
    seal(run)


def arguments(checkpoint: Path, data_dir: Path, repository: Path, **changes: Any) -> list[Any]:
    flags = {"model": "emotion_test", "repository": repository, "data-dir": data_dir, **changes}
    return [checkpoint, *(part for name, value in flags.items() for part in (f"--{name}", value))]


def publish_here(
    checkpoint: Path, data_dir: Path, repository: Path, model: str = "emotion_test", *, on_oldest_runtime: bool = False
) -> Path:
    """Publish; on the oldest runtime, which takes a second, only where that is asked about."""
    publication = Publication(str(checkpoint), model, repository, data_dir, None, "Apache-2.0", [])
    return publish(replace(publication, on_oldest_runtime=on_oldest_runtime))


def test_two_versions_and_their_gpu_weights(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    flags = arguments(checkpoint, data_dir, repository, limit="Knows six words.", licence="CC0-1.0")
    first = publish_here(checkpoint, data_dir, repository, on_oldest_runtime=True)
    assert first == repository / "emotion_test" / "1"
    directory = repository / "emotion_test" / "2"
    flags += ["--without-oldest-runtime", "--canary", "5%"]
    assert f"published {directory}" in succeeds("training.publish", *flags)
    assert read_trials(repository, "emotion_test") == {"2": Trial("share", 0.05)}
    assert list(tmp_path.iterdir()) == [repository]
    names = {"1", "2", "config.pbtxt", "configs", "labels.txt"}
    assert {path.name for path in (repository / "emotion_test").iterdir()} == names

    card = read_card(directory)
    assert (card.limits, card.licence, card.model) == (["Knows six words."], "CC0-1.0", "emotion_test")
    assert card.files == {name: sha256(directory / name) for name in (CPU_GRAPH, TOKENIZER)}
    assert {path.name for path in directory.iterdir()} == {*card.files, GPU_GRAPH, GPU_RECORD, CARD}
    assert card.published is not None
    assert not noisy_numbers(json.loads((directory / CARD).read_text(encoding="utf-8")))
    record = read_gpu_record(directory)
    assert (record.sha256, record.made_from) == (sha256(directory / GPU_GRAPH), "the checkpoint")
    assert record.cpu_graph == card.files[CPU_GRAPH]
    assert 0 < record.mean_difference < 0.02
    checked, unchecked = (read_card(directory.with_name(version)) for version in ("1", "2"))
    assert checked.metrics["gate"]["onnxruntime_1.24.4"]["largest_difference"] <= 5e-3
    # The same model twice.
    assert unchecked.metrics["follows"]["verdict"] == "no difference"
    assert unchecked.metrics["follows"]["differences"]["mean"]["roc_auc"]["interval_95"] == [0.0, 0.0]
    assert "follows" not in checked.metrics
    assert unchecked.metrics["gate"]["onnxruntime_1.24.4"] == "not checked, as was asked for"
    assert card.sample is not None
    check_reference(card, checkpoint, data_dir, directory)
    lengths = {len(row) for row in card.sample.rows}
    assert 1 in lengths
    assert max(lengths) > card.max_length
    assert 0 not in lengths
    assert directory.stat().st_mode & 0o777 == 0o755
    # What was published answers as its words say, with the card's own thresholds.
    tokenizer, graph = load_tokenizer(str(directory)), session(directory / CPU_GRAPH)
    examples = keyword_rows(2)[:6]
    answers = run(graph, [tokenizer.encode(row["text"]).ids for row in examples])
    expected = ["joy", "sadness", "surprise", "fear", "anger", "no_emotion"]
    assert [EMOTIONS[index] for index in answers.argmax(axis=1)] == expected

    first = (directory / GPU_GRAPH).read_bytes()
    (directory / GPU_GRAPH).unlink()
    printed = succeeds("training.export.gpu_weights", "--repository", repository)
    assert f"made {directory / GPU_GRAPH}" in printed
    assert f"{repository / 'emotion_test' / '1' / GPU_GRAPH} is there already" in printed
    assert (directory / GPU_GRAPH).read_bytes() != first, "made from int8 weights, not a copy"
    remade = onnx.load(directory / GPU_GRAPH)
    again = run(session(portable(remade)), [tokenizer.encode(row["text"]).ids for row in examples])
    assert np.abs(again - answers).max() < 0.05
    gate.check_format(remade, {"PackedAttention": 2, "BiasGelu": 2, "SkipLayerNormalization": 5})
    assert {path.name for path in directory.iterdir()} == {*card.files, GPU_GRAPH, GPU_RECORD, CARD}
    record = read_gpu_record(directory)
    assert (record.sha256, record.made_from) == (sha256(directory / GPU_GRAPH), "the int8 weights of model.cpu.onnx")
    assert damage(directory) == []

    # A graph that its record doesn't describe, such as the one that was there before, is told.
    (directory / GPU_GRAPH).write_bytes(first)
    error = fails("training.export.gpu_weights", "--repository", repository)
    assert f"{directory / GPU_GRAPH} is not the file model.gpu.json describes; remove" in error


def test_a_version_that_behaves_worse_than_the_one_it_follows(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    first = repository / "emotion_test" / "1"
    shutil.copytree(committed(), first)
    flags = [*map(str, arguments(checkpoint, data_dir, repository)), "--without-oldest-runtime"]
    # The checkpoint knows a handful of words.
    with pytest.raises(TrainingError, match=r"behaves worse than version 1, beyond chance: right .* with --insist$"):
        publish_command(flags)
    assert list((repository / "emotion_test").iterdir()) == [first]

    # A damaged version is not followed.
    shutil.copytree(first, first.with_name("2"))
    (first.with_name("2") / CPU_GRAPH).write_bytes(b"")
    assert followed_version(repository, "emotion_test") == first
    shutil.rmtree(first.with_name("2"))

    publish_command([*flags, "--insist"])
    card = read_card(first.with_name("2"))
    assert card.limits[-1].startswith("Published though it behaves worse than version 1, beyond chance: right labels")
    behaviour, followed = card.metrics["behaviour"], card.metrics["behaviour"]["follows"]
    assert followed["version"] == "1"
    assert behaviour["suite"]["open"]["right"] < followed["suite"]["open"]["right"]
    assert set(behaviour["suite"]) == {"open", "hidden"}
    # The card's figures are the command's.
    measured = evaluate_behaviour(f"{first.with_name('2')}", None, halves=HALVES).figures
    assert {name: behaviour[name] for name in measured} == measured


def test_a_version_with_worse_figures_than_the_one_it_follows(
    checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, repository = tmp_path / "worse", tmp_path / "models"
    shutil.copytree(checkpoint, worse)
    weights = load_file(worse / "model.safetensors")
    fear, anger = EMOTIONS.index("fear"), EMOTIONS.index("anger")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name][[fear, anger]] = weights[name][[anger, fear]].clone()
    save_file(weights, worse / "model.safetensors", {"format": "pt"})
    keep_predictions(worse, data_dir)
    flags = [*map(str, arguments(worse, data_dir, repository)), "--without-oldest-runtime"]
    first = publish_here(checkpoint, data_dir, repository)

    with pytest.raises(TrainingError, match=r"Publish it all the same with --insist$") as refused:
        publish_command(flags)
    dev = r"on dev \(fold 0 of CEDR train\), 156 rows, beyond chance"
    figure = r"0\.\d{4} against \d\.\d{4}, (-0\.\d{4}) \(95 % interval (-0\.\d{4}) to (-0\.\d{4})\)"
    found = re.search(rf"is worse than version 1 {dev}: mean ROC AUC {figure}; mean F1 {figure}", str(refused.value))
    assert found is not None
    auc, low_auc, high_auc, f1, low, high = map(float, found.groups())
    assert low_auc <= auc <= high_auc < 0
    assert low < f1 < high < 0
    assert "version 1 has the profile moderation" in str(refused.value), "all that speaks against it, at once"
    assert versions_of(first.parent) == [first]

    capsys.readouterr()
    publish_command([*flags, "--insist"])
    printed = capsys.readouterr().out
    assert f"{f1:+.4f} (95 % interval {low:+.4f} to {high:+.4f}): worse (so far down by chance: 0.0005)\n" in printed
    card = read_card(first.with_name("2"))
    # Of the suite's hidden half only the card speaks.
    assert "suite, open half: right" in printed
    assert "hidden" not in printed
    assert card.metrics["behaviour"]["suite"]["hidden"]["texts"] > 400
    assert any(limit.startswith("Published though it is worse than version 1 on dev") for limit in card.limits)
    follows = card.metrics["follows"]
    assert (follows["version"], follows["verdict"]) == ("1", "worse")
    assert follows["labels_at"] == "each version's own thresholds, tuned without these rows"
    assert follows["differences"]["mean"]["f1_macro"]["interval_95"] == [low, high]
    assert follows["differences"]["joy"]["roc_auc"]["verdict"] == "no difference"
    # The command that compares two versions says the same.
    compared = compare_models(Source(f"{first}"), Source(f"{first.with_name('2')}"), "dev", data_dir, behaviour=False)
    assert compared.digest == follows["measured_on"]["sha256"]
    leading = compared.differences["mean"]["f1_macro"]
    assert follows["differences"]["mean"]["f1_macro"]["rise"] == pytest.approx(leading.rise, abs=1e-3)


def test_gpu_weights_are_made_of_whole_versions_only(tmp_path: Path) -> None:
    write_version(tmp_path, b"no graph")
    (tmp_path / CPU_GRAPH).write_bytes(b"another")
    with pytest.raises(TrainingError, match="is not the file its card describes"):
        make_gpu_graph(tmp_path)
    (tmp_path / CPU_GRAPH).unlink()
    with pytest.raises(TrainingError, match=r"model\.cpu\.onnx is missing"):
        make_gpu_graph(tmp_path)
    (tmp_path / CARD).unlink()
    with pytest.raises(TrainingError, match=r"card\.json does not exist"):
        make_gpu_graph(tmp_path)
    assert not (tmp_path / GPU_GRAPH).exists()


def check_reference(card: Card, checkpoint: Path, data_dir: Path, directory: Path) -> None:
    """Counted once more: from the run's predictions, and with the tokenizers library alone."""
    reference, rows = card.reference, by_fold("cedr", data_dir)[0]
    assert reference is not None
    assert (reference.rows, reference.texts) == ("CEDR train, out of fold", len(rows))
    named = [EMOTIONS[row.argmax()] for row in read_out_of_fold(checkpoint).probabilities]
    assert reference.predicted == {emotion: round(named.count(emotion) / len(rows), 4) for emotion in EMOTIONS}
    assert len(set(named)) == len(EMOTIONS)
    tokens = [row.ids for row in Tokenizer.from_file(str(directory / TOKENIZER)).encode_batch([r.text for r in rows])]
    assert max(map(len, tokens)) < card.max_length
    assert reference.tokens == pytest.approx(sum(map(len, tokens)) / len(rows), abs=0.01)
    unknown = sum(row.count(card.unk_id) for row in tokens) / sum(map(len, tokens))
    assert reference.unknown_share == pytest.approx(unknown, abs=1e-5)


def noisy_numbers(card: Any) -> list[float]:
    """Numbers with more than six significant digits."""
    if isinstance(card, dict | list):
        return [
            number for part in (card.values() if isinstance(card, dict) else card) for number in noisy_numbers(part)
        ]
    return [card] if isinstance(card, float) and float(f"{card:.6g}") != card else []


@pytest.mark.parametrize(
    ("bound", "value", "reason"),
    [
        ("PARITY", {"fp32": -1.0, "fp16": -1.0}, "CPU graph in fp32 differs from PyTorch"),
        ("PARITY", {"fp32": 1e-4, "fp16": 0.0}, "GPU graph in fp16 differs from PyTorch"),
        ("COMPOSITION", {"fp32": 1e-5, "int8": -1.0}, "CPU graph in int8: neighbours move"),
        ("WORST_BATCH_MEGABYTES", 1, "the worst batch took"),
        ("F1_LOSS", -1.0, "int8 costs"),
    ],
)
def test_the_gate_stops_a_publish_and_nothing_is_left(
    checkpoint: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: Any,
    reason: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(gate, bound, value)
    with pytest.raises(TrainingError, match=reason):
        publish_here(checkpoint, data_dir, tmp_path / "models")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out_of_fold.npz", "metrics.json", "tokenizer.json", "model.safetensors"])
def test_a_checkpoint_without_one_of_its_files(checkpoint: Path, data_dir: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "tuned"
    shutil.copytree(checkpoint, damaged, ignore=shutil.ignore_patterns("fold*", name))
    with pytest.raises(TrainingError, match=f"has no {name}"):
        publish_here(damaged, data_dir, tmp_path / "models")
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]


@pytest.mark.parametrize(
    "name", ["out_of_fold.npz", "metrics.json", "tokenizer.json", "model.safetensors", "config.json"]
)
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_checkpoint_with_a_file_cut_short(
    checkpoint: Path, data_dir: Path, tmp_path: Path, name: str, share: float
) -> None:
    damaged = tmp_path / "tuned"
    shutil.copytree(checkpoint, damaged, ignore=shutil.ignore_patterns("fold*"))
    whole = (damaged / name).read_bytes()
    (damaged / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(TrainingError, match=r"damaged|could not load the checkpoint"):
        publish_here(damaged, data_dir, tmp_path / "models")
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]


def test_a_run_that_does_not_say_what_it_was_made_from(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "tuned"
    shutil.copytree(checkpoint, damaged, ignore=shutil.ignore_patterns("fold*"))
    figures = json.loads((damaged / "metrics.json").read_text())
    (damaged / "metrics.json").write_text(json.dumps({**figures, "recipe": {"seeds": 5}}))
    seal(damaged)
    with pytest.raises(TrainingError, match="does not say what it was made from: name it with --base-model"):
        publish_here(damaged, data_dir, tmp_path / "models")


def test_a_model_too_weak_for_a_promise_has_no_such_profile(
    checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = tmp_path / "weak"
    shutil.copytree(checkpoint, weak)
    kept = read_out_of_fold(weak)
    assert kept is not None
    chance = np.random.default_rng(0).random(kept.truth.shape, dtype=np.float32)
    write_out_of_fold(weak, replace(kept, probabilities=chance))
    seal(weak)
    card = read_card(publish_here(weak, data_dir, tmp_path / "models"))
    assert list(card.profiles) == ["balanced"]
    marketing, moderation = card.limits
    assert marketing == "There is no profile marketing: no threshold reaches a precision of 0.9: the model is too weak."
    # Nine of ten angry texts are found where nearly everything is flagged.
    assert re.fullmatch(
        r"There is no profile moderation: for its promise it would flag 9\d% of \d+ neutral texts \(CEDR train, rows"
        r" without an emotion\) and \d+% of 49 neutral texts \(the behaviour suite's open half: .*\) as anger\.",
        moderation,
    )
    printed = capsys.readouterr().out
    assert marketing in printed
    assert moderation in printed
    # Clients may have asked the version before it for these profiles by name.
    publish_here(checkpoint, data_dir, tmp_path / "others")
    with pytest.raises(TrainingError, match="version 1 has the profile moderation and marketing, and this one would"):
        publish_here(weak, data_dir, tmp_path / "others")
    assert [path.name for path in versions_of(tmp_path / "others/emotion_test")] == ["1"]


def test_thresholds_of_two_data_sets(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(checkpoint, run)
    cedr = read_out_of_fold(run)
    assert cedr is not None
    write_out_of_fold(run, replace(cedr, probabilities=cedr.probabilities * 0.9), "brighter_rus")
    seal(run)
    # Other texts with the same labels in the same order, so that the folds are the same too.
    data = tmp_path / "data"
    shutil.copytree(data_dir / "cedr", data / "cedr")
    write_brighter(data, "rus", "train", [row | {"text": row["text"][::-1]} for row in keyword_rows(130)])
    directory = publish_here(run, data, tmp_path / "models")
    card = read_card(directory)
    sets = read_out_of_fold_sets(run)
    balanced = card.profiles["balanced"]
    assert balanced.thresholds == tune("balanced", sets)
    assert balanced.thresholds != tune("balanced", {"cedr": cedr})
    assert balanced.tuned_on == "CEDR train and brighter_rus train and dev, out of fold"
    assert [name.partition(",")[0] for name in balanced.elsewhere] == [
        "out-of-fold predictions over brighter_rus train and dev"
    ]
    suite = "the behaviour suite's open half: news, business, questions, support, short"
    assert list(balanced.neutral) == [
        "CEDR train, rows without an emotion", "brighter_rus train and dev, rows without an emotion", suite,
    ]  # fmt: skip
    # On the suite's texts with the very graph that is served.
    answers = predict_version(directory, card, [Example(text, frozenset(), "") for text in neutral_texts()])
    flagged = decide(answers, balanced.thresholds)[:, 1:].any(axis=1)
    assert balanced.neutral[suite].flagged == pytest.approx(flagged.mean(), abs=5.1e-5)
    assert "five folds of brighter_rus train and dev, out of fold, PyTorch" in card.metrics
    dev = evaluate_model(str(directory), "dev", data_dir).figures
    assert dev["tuned"]["tuned_on"] == "folds 1 to 4 of CEDR train and brighter_rus train and dev"


def test_predictions_of_an_earlier_run_are_not_used(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "tuned"
    shutil.copytree(checkpoint, damaged, ignore=shutil.ignore_patterns("fold*"))
    figures = json.loads((damaged / "metrics.json").read_text())
    del figures["five_folds"]
    (damaged / "metrics.json").write_text(json.dumps(figures))
    with pytest.raises(TrainingError, match="was trained again without --cross-validate: train it with it"):
        publish_here(damaged, data_dir, tmp_path / "models")


def test_predictions_of_another_run_are_not_used(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    weights = load_file(other / "model.safetensors")
    weights["classifier.weight"] = weights["classifier.weight"].flip(0)
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    # All files of a good run but its weights.
    with pytest.raises(TrainingError, match=r"out_of_fold\.npz did not come from the weights in model\.safe"):
        publish_here(other, data_dir, tmp_path / "models")
    keep_predictions(other, data_dir)
    # Of a run that was finished, one file each.
    for name in ("out_of_fold.npz", "metrics.json"):
        mixed = tmp_path / name
        shutil.copytree(other, mixed)
        shutil.copyfile(checkpoint / name, mixed / name)
        if name == "metrics.json":
            (mixed / name).write_text('{"recipe": {"base_model": "better"}, "five_folds": {"roc_auc": 1.0}}')
        with pytest.raises(TrainingError, match=f"{name} did not come from the weights .* or was copied here"):
            publish_here(mixed, data_dir, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_run_without_digests_is_asked_again(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(checkpoint, old, ignore=shutil.ignore_patterns(ORIGIN))
    assert read_card(publish_here(old, data_dir, tmp_path / "models")).limits == []
    kept = read_out_of_fold(old)
    assert kept is not None
    write_out_of_fold(old, replace(kept, probabilities=kept.probabilities[:, ::-1]))
    with pytest.raises(TrainingError, match=r"these answer 0\.\d+ away in the mean\. .* with --insist$"):
        publish_here(old, data_dir, tmp_path / "models")
    publication = Publication(
        str(old), "emotion_other", tmp_path / "models", data_dir, None, None, [], on_oldest_runtime=False, insisted=True
    )
    card = read_card(publish(publication))
    assert "its out-of-fold predictions did not come from its weights" in card.limits[0]


@pytest.mark.parametrize("name", ["Emotion", "a/b", "../up", "", "1st"])
def test_model_names(data_dir: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match="is no model name"):
        publish_here(tmp_path, data_dir, tmp_path / "models", name)


def test_a_killed_publish_is_cleared_up_by_the_next(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "training.publish", *map(str, arguments(checkpoint, data_dir, tmp_path / "models"))]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob(f".unfinished-*/new/{GPU_GRAPH}")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert [path.name.startswith(".unfinished-") for path in tmp_path.iterdir()] == [True]
    directory = publish_here(checkpoint, data_dir, tmp_path / "models")
    assert directory == tmp_path / "models/emotion_test/1"
    assert damage(directory) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "models"]


def test_a_disk_that_takes_no_more_stops_a_publish(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    line = [sys.executable, "-m", "training.publish", *map(str, arguments(checkpoint, data_dir, tmp_path / "models"))]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"(model\.cpu\.onnx|tokenizer\.json): File too large; make room there", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_export_replaces_an_export_and_nothing_else(
    checkpoint: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "tuned_onnx"
    exported = export_checkpoint(checkpoint, output, data_dir)
    assert exported.dev["mean"]["roc_auc"] > 0.9
    names = {CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER}
    assert {path.name for path in output.iterdir()} == names
    before = output.stat().st_ino
    with monkeypatch.context() as patch:
        patch.setattr(gate, "F1_LOSS", -1.0)
        with pytest.raises(TrainingError, match="int8 costs"):
            export_checkpoint(checkpoint, output, data_dir)
    assert output.stat().st_ino == before
    export_checkpoint(checkpoint, output, data_dir, on_oldest_runtime=False)
    assert output.stat().st_ino != before
    assert {path.name for path in output.iterdir()} == names
    assert list(tmp_path.iterdir()) == [output]
    (output / "thesis.txt").touch()
    with pytest.raises(TrainingError, match="holds something that is no export: name another directory"):
        export_checkpoint(checkpoint, output, data_dir)


def test_weights_that_are_not_the_configurations(checkpoint: Path, data_dir: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "tuned"
    shutil.copytree(checkpoint, damaged, ignore=shutil.ignore_patterns("fold*"))
    weights = load_file(damaged / "model.safetensors")
    classifier = {name: weights.pop(name) for name in ("classifier.weight", "classifier.bias")}
    save_file(weights, damaged / "model.safetensors", {"format": "pt"})
    seal(damaged)
    with pytest.raises(TrainingError, match=r"lacks classifier\.bias, classifier\.weight \(2 in all\): fine-tune it"):
        publish_here(damaged, data_dir, tmp_path / "models")
    weights |= {**classifier, "bert.relative": weights["bert.pooler.dense.bias"].clone()}
    save_file(weights, damaged / "model.safetensors", {"format": "pt"})
    seal(damaged)
    with pytest.raises(TrainingError, match=r"has no place for, bert\.relative \(1 in all\)"):
        publish_here(damaged, data_dir, tmp_path / "models")


def test_wrong_inputs_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "passages.txt").write_text("Одна строка.\n", encoding="utf-8")
    # In this process, where PyTorch, which takes seconds to load, is loaded.
    few = ["pretrain", "--texts", str(tmp_path / "few"), "--output", str(tmp_path / "base")]
    monkeypatch.setattr(sys, "argv", few)
    with pytest.raises(TrainingError, match="1 passages are too few"):
        pretrain.main()
    (tmp_path / "none").mkdir()
    assert "holds no .txt" in fails(
        "training.scratch.pretrain", "--texts", tmp_path / "none", "--output", tmp_path / "base"
    )
    assert "holds no version directories" in fails("training.export.gpu_weights", "--repository", tmp_path)
    assert not (tmp_path / "base").exists()
