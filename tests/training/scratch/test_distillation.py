"""From several data sets and plain text to a distilled student, on words that a tiny encoder learns in seconds."""

import contextlib
import importlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForSequenceClassification

from contract.version_directory import TOKENIZER
from tests.training.support.rows import CEDR_CLASSES, keyword_rows, write_brighter, write_lines
from training.common.command import TrainingError
from training.data.cleaning.texts import comparison_key
from training.data.rows.loading import load_source
from training.data.rows.sources import SOURCES
from training.data.splits.folds import brighter_by_fold, held_out_fold
from training.encoder.classifier import load_base_classifier
from training.encoder.normalization.characters import kept_emoji
from training.encoder.tokenizer import SPECIAL_TOKENS, load_tokenizer, train_wordpiece
from training.encoder.unknown_signs import unknown_texts
from training.runs.directory import read_cross_validated
from training.runs.life import Fold
from training.scratch.fast_training.prediction import predict_logits
from training.scratch.fast_training.token_table import TokenTable, epoch_batches
from training.scratch.student import distillation_loss
from training.scratch.teachers.ensemble import Ensemble, sample_emotional
from training.scratch.teachers.multitask import first_outputs
from training.scratch.teachers.settings import EnsembleSettings
from training.scratch.teachers.soft_targets import SoftTargets
from training.scratch.teachers.tasks import gather_tasks, masked_loss
from training.scratch.teachers.unlabelled_texts import (
    UnlabelledTexts,
    Variant,
    make_variants,
    sample_sentences,
    with_emoji,
)

CPU = torch.device("cpu")
AUXILIARY = ("ru_izard_emotions", "ru_go_emotions")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    rows = keyword_rows(40)
    write_lines(directory, "cedr", "train", rows)
    izard = []
    for row in keyword_rows(60)[240:]:
        own = {CEDR_CLASSES[label] for label in row["labels"]} or {"neutral"}
        izard.append({"text": row["text"], **{name: int(name in own) for name in SOURCES["ru_izard_emotions"].classes}})
    izard.append({**izard[0], "text": rows[0]["text"].upper()})  # CEDR's first row, which fold 0 holds out.
    write_lines(directory, "ru_izard_emotions", "train", izard)
    neutral = list(SOURCES["ru_go_emotions"].classes).index("neutral")
    write_lines(directory, "ru_go_emotions", "validation", [{"text": izard[1]["text"] + "!", "labels": [neutral]}])
    brighter = [{**row, "text": f"{row['text']} и {row['text'][::-1]}"} for row in keyword_rows(50)[240:]]
    brighter.append({**rows[0], "text": rows[0]["text"].upper()})  # CEDR's first row, which no fold has.
    write_brighter(directory, "rus", "train", brighter)
    texts = directory / "texts"
    texts.mkdir()
    lines = [row["text"].capitalize() + " тут. " + row["text"].upper() + " ТАМ!" for row in keyword_rows(70)[360:]]
    (texts / "a.txt").write_text("\n".join([*lines, "Да."]), encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def base(data_dir: Path) -> Path:
    """A masked language model as `training.scratch.pretrain` leaves it, with wide random weights that learn quickly."""
    directory = data_dir / "base"
    tokenizer = train_wordpiece([row["text"] for row in keyword_rows(40)], 400)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=48, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=128, initializer_range=0.2,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(directory)
    tokenizer.save(str(directory / TOKENIZER))
    return directory


def command(module: str, *arguments: Any) -> str:
    """What `python -m module` prints; in this process, because PyTorch takes seconds to load."""
    printed = io.StringIO()
    line = [module, *map(str, arguments)]
    with mock.patch.object(sys, "argv", line), contextlib.redirect_stdout(printed):
        importlib.import_module(module).main()
    return printed.getvalue()


def error_of(module: str, *arguments: Any) -> str:
    with pytest.raises(TrainingError) as error:
        command(module, *arguments)
    return str(error.value)


@pytest.fixture(scope="module")
def teacher(data_dir: Path, base: Path) -> Path:
    run = data_dir / "teacher"
    command(
        "training.scratch.multitask", "--base-model", base, "--data-dir", data_dir, "--output", run, "--cross-validate",
        "--epochs", 3, "--final-epochs", 1, "--lr", 5e-3, "--batch-size", 32, "--as-emotions", "brighter_rus",
    )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def taught(data_dir: Path, base: Path, teacher: Path) -> Path:
    run = data_dir / "taught"
    command(
        "training.scratch.teach", "--teachers", teacher, "--texts", data_dir / "texts", "--language-model", base,
        "--variants", 2, "--sentences", 30, "--data-dir", data_dir, "--output", run, "--cross-validate",
        "--labelled", "brighter_rus",
    )  # fmt: skip
    return run


def fold_of(number: int, data_dir: Path) -> Fold:
    rows, folds = brighter_by_fold(data_dir)
    elsewhere = [row for row, of in zip(rows, folds, strict=True) if of == number]
    return Fold(number, held_out_fold(number, data_dir), data_dir, elsewhere)


def test_every_head_has_its_rows_and_no_held_out_text_is_among_them(data_dir: Path) -> None:
    tasks = gather_tasks(fold_of(0, data_dir), AUXILIARY, [], 3, data_dir)
    assert tasks.heads == {"cedr": slice(0, 6), "ru_izard_emotions": slice(6, 16), "ru_go_emotions": slice(16, 44)}
    unseen = {comparison_key(example.text) for example in held_out_fold(0, data_dir)}
    assert not unseen & {comparison_key(text) for text in tasks.texts}
    assert len(unseen) == 48
    known = {
        name: {
            text: answers[columns] for text, answers in zip(tasks.texts, tasks.targets, strict=True)
            if not np.isnan(answers[columns]).any()
        }
        for name, columns in tasks.heads.items()
    }  # fmt: skip
    assert {name: len(rows) for name, rows in known.items()} == {
        "cedr": 192, "ru_izard_emotions": 120, "ru_go_emotions": 1
    }  # fmt: skip
    both = [text for text in known["ru_go_emotions"] if text in known["ru_izard_emotions"]]
    assert len(both) == 1, "a text of two data sets is one row"
    counts = {text: tasks.texts.count(text) for text in known["cedr"]}
    assert set(counts.values()) == {3}
    for example in load_source("cedr", "train", data_dir):
        if example.text in known["cedr"]:
            assert set(np.flatnonzero(known["cedr"][example.text])) == example.labels


def test_labels_of_other_data_sets_teach_cedrs_head(data_dir: Path) -> None:
    fold = fold_of(0, data_dir)
    tasks = gather_tasks(fold, ["brighter_rus"], ["brighter_rus"], 1, data_dir)
    emotions = {text: set(np.flatnonzero(row[:6])) for text, row in zip(tasks.texts, tasks.targets, strict=True)}
    assert list(tasks.with_emotions) == list(range(len(tasks.texts))), "every row has targets for the six emotions"
    brighter = load_source("brighter_rus", "train", data_dir)
    assert not {example.text for example in fold.elsewhere} & set(tasks.texts)
    trained = [row for row in brighter if row.text in emotions]
    assert len(trained) == len(brighter) - len(fold.elsewhere) - 1
    for row in trained:
        assert emotions[row.text] == row.labels
        assert tasks.targets[tasks.texts.index(row.text)][6:].sum() == len(row.labels - {0})


def test_a_head_without_an_answer_costs_nothing(data_dir: Path) -> None:
    tasks = gather_tasks(fold_of(0, data_dir), AUXILIARY, [], 1, data_dir)
    logits = torch.zeros(len(tasks.texts), 44, requires_grad=True)
    masked_loss(tasks, 0.5, CPU)(logits, torch.arange(len(tasks.texts))).backward()
    unknown = np.isnan(tasks.targets)
    assert (logits.grad.numpy()[unknown] == 0).all()
    assert (logits.grad.numpy()[~unknown] != 0).all()


def test_cut_to_cedrs_head_the_answers_stay() -> None:
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40, num_labels=20,
    )  # fmt: skip
    model = XLMRobertaForSequenceClassification(config).eval()
    ids = torch.tensor([[0, 7, 9, 2]])
    cut = first_outputs(model, 6)
    assert cut.config.num_labels == 6
    assert (cut(ids).logits - model(ids).logits[:, :6]).abs().max() < 1e-6


def test_an_epoch_holds_every_row_and_all_batches_have_one_size() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(3, 120, 1003)
    rows, padded = epoch_batches(np.arange(1003), lengths, 16, random)
    assert rows.shape == (63, 16)
    assert set(rows.ravel()) == set(range(1003))
    some, _ = epoch_batches(np.array([3, 5, 8]), lengths, 2, random)
    assert set(some.ravel()) == {3, 5, 8}
    assert all(longest >= lengths[batch].max() for batch, longest in zip(rows, padded, strict=True))
    # Sorting is there to save padding: random batches of these would be half padding.
    assert sum(padded) * 16 < 1.15 * lengths.sum()


def test_the_order_of_answers_is_that_of_the_texts(base: Path) -> None:
    tokenizer, model = load_tokenizer(str(base)), load_base_classifier(str(base))
    texts = [row["text"] for row in keyword_rows(8)]
    together = predict_logits(model, TokenTable.of(texts, tokenizer, 0, CPU), batch_size=5)
    alone = np.concatenate([predict_logits(model, TokenTable.of([text], tokenizer, 0, CPU)) for text in texts])
    assert np.abs(together - alone).max() < 1e-5
    assert together.std(axis=0).min() > 1e-3


def test_multitask_leaves_a_run_that_learned(teacher: Path) -> None:
    metrics, kept = read_cross_validated(teacher)
    assert metrics["five_folds"]["roc_auc"] > 0.9
    assert len(kept.fold) == 240
    assert json.loads((teacher / "fold3" / "config.json").read_text())["id2label"]["5"] == "anger"


def test_teachers_answer_for_no_held_out_text(data_dir: Path, taught: Path) -> None:
    metrics, _ = read_cross_validated(taught)
    assert metrics["five_folds"]["roc_auc"] > 0.95
    cedr = {comparison_key(example.text) for example in load_source("cedr", "train", data_dir)}
    for fold in range(5):
        soft = SoftTargets.load(taught, fold)
        held_out = {comparison_key(example.text) for example in held_out_fold(fold, data_dir)}
        asked = [comparison_key(text) for text in soft.texts]
        assert not held_out & set(asked)
        assert {asked[row] for row in soft.of_kind("cedr")} == cedr - held_out
        elsewhere = {example.text for example in fold_of(fold, data_dir).elsewhere}
        assert not elsewhere & set(soft.texts)
        assert len(soft.of_kind("brighter_rus")) == 60 - len(elsewhere)
        assert len(soft.of_kind("sentence")) > 10
        assert soft.probabilities.shape == soft.truth.shape == (len(soft.texts), 6)
        labelled = {*soft.of_kind("cedr"), *soft.of_kind("brighter_rus")}
        assert labelled == set(np.flatnonzero(~np.isnan(soft.truth).any(axis=1)))
        more = soft.with_unknown_texts()
        unknown = more.of_kind("unknown")
        assert {more.texts[row] for row in unknown} == set(unknown_texts())
        assert (more.probabilities[unknown] == np.eye(6)[0]).all()
        assert np.isnan(more.truth[unknown]).all()
        assert more.texts[: len(soft.texts)] == soft.texts
        assert len(asked) == len(set(asked)), "no text is asked twice"


def test_variants_of_held_out_rows_are_left_out(data_dir: Path, teacher: Path) -> None:
    cedr = [example.text for example in load_source("cedr", "train", data_dir)]
    unlabelled = UnlabelledTexts(
        ["Простая фраза без чувств."], [], [Variant(index, f"вариант {index}") for index in range(len(cedr))]
    )
    run = data_dir / "variants"
    run.mkdir()
    settings = EnsembleSettings(
        teachers=[teacher], lexical_weight=0, texts=data_dir, sentences=10, output=run, data_dir=data_dir, labelled=[]
    )
    fold = Fold(2, held_out_fold(2, data_dir), run)
    Ensemble(settings, unlabelled, CPU).train_fold(fold)
    held_out = {example.text for example in fold.held_out}
    made = {text for text in SoftTargets.load(run, 2).texts if text.startswith("вариант")}
    assert made == {f"вариант {index}" for index, text in enumerate(cedr) if text not in held_out}


def test_a_student_learns_from_the_answers(data_dir: Path, base: Path, taught: Path) -> None:
    run = data_dir / "student"
    flags = [
        "--base-model", base, "--taught", taught, "--data-dir", data_dir, "--output", run, "--cross-validate",
        "--epochs", 4, "--lr", 5e-3, "--batch-size", 32,
    ]  # fmt: skip
    command("training.scratch.distill", *flags)
    metrics, _ = read_cross_validated(run)
    assert metrics["five_folds"]["roc_auc"] > 0.9
    assert metrics["recipe"]["taught"]["teachers"] == [str(data_dir / "teacher")]
    assert "holds a run already" in error_of("training.scratch.distill", *flags)
    other = error_of("training.scratch.distill", *flags[:-5], 5, *flags[-4:], "--resume")
    assert other.startswith(f"{run} was begun otherwise: epochs was 4.0, is 5.0. Go on as it was begun")
    (run / "folds" / "4.npz").unlink()
    (run / "fold4" / "model.safetensors").unlink()
    printed = command("training.scratch.distill", *flags, "--resume")
    assert "fold 3 is done already" in printed
    assert (run / "fold4" / "model.safetensors").exists()
    assert read_cross_validated(run)[0] == metrics


def test_folds_in_processes_of_their_own(data_dir: Path, base: Path, taught: Path, tmp_path: Path) -> None:
    run = tmp_path / "student"
    flags = ["--base-model", base, "--taught", taught, "--data-dir", data_dir, "--output", run, "--epochs", 0.1]
    for fold in (3, 4):
        assert "not done yet" in command("training.scratch.distill", *flags, "--fold", fold)
    assert not (run / "metrics.json").exists()
    assert "dev split" in command("training.scratch.distill", *flags, "--fold", 0)
    assert "not done yet" in command("training.scratch.distill", *flags, "--fold", 1)
    assert "five folds" in command("training.scratch.distill", *flags, "--fold", 2)
    assert len(read_cross_validated(run)[1].fold) == 240
    assert "give one of the two" in error_of("training.scratch.distill", *flags, "--fold", 2, "--cross-validate")
    assert "was begun otherwise: seed was 0, is 1." in error_of(
        "training.scratch.distill", *flags, "--fold", 2, "--seed", 1
    )


def test_what_is_missing_is_named(data_dir: Path, base: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    flags = ["--texts", data_dir / "texts", "--data-dir", data_dir, "--output", tmp_path / "out"]
    error = error_of("training.scratch.teach", "--teachers", tmp_path / "run", *flags)
    assert f"{tmp_path / 'run'} holds no checkpoint" in error
    error = error_of(
        "training.scratch.distill", "--base-model", base, "--taught", tmp_path / "run", "--output", tmp_path / "s"
    )
    assert "is no finished directory of training.scratch.teach" in error
    flags = ["--base-model", base, "--data-dir", data_dir, "--output", tmp_path / "out"]
    wrong = error_of("training.scratch.multitask", *flags, "--lr", 0, "--adapt-epochs", -1, "--datasets", "cedr")
    assert wrong == (
        "--lr '0': input should be greater than 0; --adapt-epochs '-1': input should be greater than or equal to 0;"
        " --datasets 'cedr': is no data set to name here; there are: brighter_deu, brighter_eng,"
        " brighter_esp, brighter_ptbr, brighter_ron, brighter_rus, brighter_swe, brighter_tat, brighter_ukr,"
        " go_emotions, ru_go_emotions, ru_goemotions, ru_izard_emotions, written"
    )
    for module, more in (
        ("training.scratch.multitask", [*flags, "--datasets", "written", "mine=rows"]),
        ("training.scratch.multitask", [*flags, "--as-emotions", "mine=rows"]),
        ("training.scratch.pretrain", ["--texts", "texts", "--output", tmp_path / "out", "--datasets", "mine=rows"]),
        ("training.scratch.teach", ["--teachers", base, "--texts", "t", "--output", "o", "--labelled", "mine=rows"]),
    ):
        assert (
            "'mine=rows': own rows can't be named here, where CEDR's folds are held out and theirs would be trained on:"
            " `python -m training.train --dataset mine=rows` trains on them and holds out theirs"
        ) in error_of(module, *more)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "s").exists()
    with pytest.raises(TrainingError, match=r"soft_targets\.1\.npz does not exist"):
        SoftTargets.load(tmp_path, 1)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Several threads may add up in another order under load, and a draw that is close then falls otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_variants_keep_their_row_and_change_its_words(base: Path) -> None:
    texts = [row["text"] for row in keyword_rows(2)]
    made = make_variants(base, texts, each=3, share=0.5, device=CPU, seed=0)
    assert {variant.origin for variant in made} == set(range(len(texts)))
    kept = 0
    for variant in made:
        words, own = variant.text.split(), texts[variant.origin].split()
        assert words != own
        assert len(words) == len(own), "words keep their bounds"
        kept += sum(word == other for word, other in zip(words, own, strict=True))
        # Brackets and signs alone are pieces that random weights draw; a special token or a joint would be more.
        assert not any(special in variant.text for special in SPECIAL_TOKENS)
        assert not re.search(r"##\w", variant.text)
    share = kept / sum(len(variant.text.split()) for variant in made)
    assert 0.35 < share < 0.65
    assert made == make_variants(base, texts, each=3, share=0.5, device=CPU, seed=0)


def test_sentences_are_different_and_neither_short_nor_long(data_dir: Path) -> None:
    found = sample_sentences(data_dir / "texts", 1000, 0)
    assert len(found) == len(set(found)) == 120
    assert all(12 <= len(sentence) <= 280 for sentence in found)
    assert sample_sentences(data_dir / "texts", 7, 0) == found[:7]


def test_a_share_of_the_sentences_ends_with_an_emoji() -> None:
    sentences = [f"Фраза номер {number}." for number in range(1000)]
    changed = with_emoji(sentences, 0.1, 0)
    ends = [text.removeprefix(sentence).strip() for text, sentence in zip(changed, sentences, strict=True)]
    assert 60 < sum(map(bool, ends)) < 140
    assert len(set(ends)) > 20
    assert set(ends) - {""} <= set(kept_emoji())
    assert with_emoji(sentences, 0.0, 0) == sentences


def test_texts_with_an_emotion_are_chosen_more_often() -> None:
    probabilities = np.zeros((1000, 6), dtype=np.float32)
    probabilities[:100, 3] = 0.9
    chosen = sample_emotional([str(index) for index in range(1000)], probabilities, 100, 0)
    assert len(set(chosen)) == 100
    assert sum(int(text) < 100 for text in chosen) > 50


def test_logits_tell_apart_what_cross_entropy_hardly_does() -> None:
    targets = torch.tensor([[0.01, 0.0, 1.0]])
    right, twice = torch.logit(targets, eps=1e-3), torch.logit(torch.tensor([[0.02, 0.0, 1.0]]), eps=1e-3)
    cost = {
        weight: distillation_loss(twice, targets, weight) - distillation_loss(right, targets, weight)
        for weight in (0, 1)
    }
    assert 0 < cost[0] < 0.002
    assert cost[1] - cost[0] == pytest.approx(
        (torch.logit(torch.tensor(0.02)) - torch.logit(torch.tensor(0.01))) ** 2 / 3
    )
    assert torch.isfinite(distillation_loss(torch.zeros(1, 3), targets, 1.0))
