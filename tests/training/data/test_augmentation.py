"""Paraphrases by a real, tiny T5 that has learnt a few answers by heart: each filter, and dev, stops its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import sentencepiece
import torch
from transformers import BertConfig, BertForSequenceClassification, T5Config, T5ForConditionalGeneration

from contract.labels import EMOTIONS
from contract.version_directory import TOKENIZER
from tests.training.support.rows import CEDR_CLASSES, write_lines
from training.common.command import TrainingError
from training.common.files import json_lines
from training.data import __main__ as command
from training.data.augmentation.generation import BATCH, generate
from training.data.augmentation.paraphraser import Paraphraser
from training.data.rows.examples import Example, targets
from training.data.rows.synthetic import load_augmented
from training.data.splits.folds import held_out_fold
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import TokenRows, collate, encode
from training.encoder.tokenizer import train_wordpiece

# Text, its emotion, what the paraphraser answers, and what becomes of the answer.
ANSWERS = [
    ("Мне страшно ночью", "fear", "Ночью мне так страшно", "paraphrases"),
    ("Какое удивительное утро", "surprise", "Утро просто удивительное", "paraphrases"),
    ("Страшно!", "fear", "страшно", "identical"),
    ("Собака меня бесит", "anger", "Поезд едет", "too far"),
    ("Ты меня бесит сегодня", "anger", "Ты меня удивительное сегодня", "other prediction"),
    ("Бесит твой вечный смех", "anger", "Вечный смех твой бесит всех", "paraphrases: leaks into the held-out fold"),
]
DEV = "вечный смех твой бесит всех!"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def paraphraser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the hub has them: config, weights and SentencePiece model."""
    directory = tmp_path_factory.mktemp("t5")
    texts = [text for row in ANSWERS for text in (row[0], row[2])]
    # Every word is one piece, so that no answer repeats four pieces of its text in a row: those are barred.
    words = sorted({f"▁{word}" for text in texts for word in text.split()})
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*texts, "ещё фраза"]), model_prefix=str(directory / "spiece"), vocab_size=100,
        hard_vocab_limit=False,
        user_defined_symbols=words, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    settings = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings | {"extra_ids": 0}), encoding="utf-8")
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=100, d_model=64, d_kv=16, num_heads=4, d_ff=128, num_layers=2, dropout_rate=0.0,
        decoder_start_token_id=0, initializer_factor=1.0,
    ))  # fmt: skip
    model.save_pretrained(directory)
    tokenizer: Any = Paraphraser(str(directory))._tokenizer
    asked = tokenizer([row[0] for row in ANSWERS], return_tensors="pt", padding=True)
    answers = tokenizer([row[2] for row in ANSWERS], return_tensors="pt", padding=True)["input_ids"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        model(**asked, labels=answers.masked_fill(answers == 0, -100)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tells fear, surprise and anger by a word."""
    directory = tmp_path_factory.mktemp("classifier")
    texts = [text for row in ANSWERS for text in (row[0], row[2])]
    tokenizer = train_wordpiece(texts * 5, 260)
    words = {"fear": "страшно", "surprise": "удивительное", "anger": "бесит"}
    rows = []
    for text in texts:
        emotion = next((name for name, word in words.items() if word in text.lower()), "no_emotion")
        rows.append(Example(text, frozenset({EMOTIONS.index(emotion)}), "test"))
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=128, initializer_range=0.1, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, problem_type="multi_label_classification",
        id2label=dict(enumerate(EMOTIONS)), label2id={name: index for index, name in enumerate(EMOTIONS)},
    ))  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    encoded = TokenRows(encode([row.text for row in rows], tokenizer), targets(rows))
    batch = collate([encoded[index] for index in range(len(rows))], 0)
    for _ in range(100):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(directory)
    tokenizer.save(str(directory / TOKENIZER))
    return directory


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """CEDR rows of which the first fold holds DEV, and the rest the texts of ANSWERS."""
    rows = []
    for number in range(300):
        labels = [] if number % 6 == 5 else [number % 6]
        rows.append({"text": f"{'абвгдежзиклмн'[number % 13] * 9} {number**3} {number}", "labels": labels})
    rows[4] = {"text": DEV, "labels": [4]}
    for place, (text, emotion, _, _) in enumerate(ANSWERS):
        rows[299 - 6 * place - (5 - CEDR_CLASSES.index(emotion))] = {
            "text": text, "labels": [CEDR_CLASSES.index(emotion)],
        }  # fmt: skip
    write_lines(tmp_path, "cedr", "train", rows)
    assert DEV in [row.text for row in held_out_fold(0, tmp_path)]
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> None:
    monkeypatch.setattr("sys.argv", ["data", *map(str, arguments)])
    command.main()


def only_answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keeps the paraphraser to the texts it has learnt; the list fills with what it is asked."""
    asked: list[str] = []
    real = Paraphraser.paraphrases

    def paraphrases(self: Paraphraser, texts: Sequence[str], count: int) -> list[list[str]]:
        asked.extend(texts)
        known = [text for text in texts if text in [row[0] for row in ANSWERS]]
        answers = dict(zip(known, real(self, known, count) if known else [], strict=True))
        return [answers.get(text, []) for text in texts]

    monkeypatch.setattr(Paraphraser, "paraphrases", paraphrases)
    return asked


def test_augment(
    paraphraser: Path, classifier: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    output = tmp_path / "made" / "paraphrases.jsonl"
    asked = only_answers(monkeypatch)
    flags = ["--data-dir", data_dir, "--classifier", classifier, "--paraphraser", paraphraser, "--output", output]
    run(monkeypatch, "augment", *flags, "--per-text", 1)
    dev = {row.text for row in held_out_fold(0, data_dir)}
    assert not dev & set(asked)
    expected = [row for row in ANSWERS if row[3] == "paraphrases"]
    rows = load_augmented(output)
    assert sorted((row.paraphrase_of, row.text) for row in rows) == sorted((row[0], row[2]) for row in expected)
    assert {row.paraphrase_of: row.labels for row in rows} == {
        text: frozenset({EMOTIONS.index(emotion)}) for text, emotion, _, _ in expected
    }
    assert all(row.synthetic and row.source == "cedr" for row in rows)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    printed = capsys.readouterr().out
    for step in {row[3] for row in ANSWERS}:
        count = sum(row[3] == step for row in ANSWERS)
        assert any(line.split("  ")[0] == step and f" {count} " in line for line in printed.splitlines()), step

    # What is added to a training run: with dev held out all of it, elsewhere only what was made from other folds.
    plain = train_and_held_out("cedr", 0, data_dir)
    enlarged = train_and_held_out("cedr", 0, data_dir, augmented=rows)
    assert enlarged.train == plain.train + rows
    assert enlarged.held_out == plain.held_out
    for fold in range(1, 5):
        train, held_out = train_and_held_out("cedr", fold, data_dir, augmented=rows)
        trained = {row.text for row in train if not row.synthetic}
        assert not [row.text for row in held_out if row.synthetic]
        used = [row for row in train if row.synthetic]
        assert used == [row for row in rows if row.paraphrase_of in trained]
    assert len([row for row in train if row.synthetic]) < len(rows), "the last fold holds two of the texts"
    # A correction of a row reaches its paraphrases.
    relabelled = Example(rows[0].text, frozenset({1}), "cedr", rows[0].paraphrase_of)
    assert train_and_held_out("cedr", 0, data_dir, augmented=[relabelled]).train == [*plain.train, rows[0]]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    kept, texts = tmp_path / "out.generated", [f"текст {number:03}" for number in range(2 * BATCH + 5)]
    made: list[str] = []

    def paraphrases(batch: Sequence[str]) -> list[list[str]]:
        if len(made) == BATCH:
            raise KeyboardInterrupt
        made.extend(batch)
        return [[f"{text}!"] for text in batch]

    with pytest.raises(KeyboardInterrupt):
        generate(texts, {"paraphraser": "a"}, paraphrases, kept)
    with kept.open("ab") as file:
        file.write('{"text": "текст 0'.encode()[:-1])  # Cut off inside a letter.
    with pytest.raises(TrainingError, match="with other settings"):
        generate(texts, {"paraphraser": "b"}, paraphrases, kept)
    made.append("")
    answers = generate(texts, {"paraphraser": "a"}, paraphrases, kept)
    assert answers == {text: [f"{text}!"] for text in texts}
    assert sorted(made) == ["", *texts], "no text is done twice"
    assert len(list(json_lines(kept))) == len(texts) + 1


def test_several_paraphrases_of_a_text(paraphraser: Path) -> None:
    [several] = Paraphraser(str(paraphraser)).paraphrases([ANSWERS[0][0]], 3)
    assert several[0] == ANSWERS[0][2]
    assert len(several) == len(set(several)) > 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"paraphraser": "no/such"}, "could not load the paraphraser no/such"),
        ({"paraphraser": "classifier"}, "(?s)could not load the paraphraser .*classifier.*seq2seq"),
        ({"classifier": "none"}, "could not load the checkpoint"),
        ({"per-text": 0}, "--per-text 0: at least 1"),
        ({"emotions": "fear", "data-dir": "no_fear"}, "no row to train on is labelled fear"),
    ],
)
def test_wrong_arguments(
    paraphraser: Path, classifier: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any],
    reason: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    other = {"classifier": classifier, "none": data_dir, "no_fear": data_dir / "no_fear"}
    rows = [row for _, row in json_lines(data_dir / "cedr" / "train.jsonl") if row["labels"] != [3]]
    write_lines(data_dir / "no_fear", "cedr", "train", rows)
    flags = {"classifier": classifier, "paraphraser": paraphraser, "data-dir": data_dir, "output": data_dir / "o"}
    flags |= {name: other.get(value, value) for name, value in changes.items()}
    with pytest.raises(TrainingError, match=reason):
        run(monkeypatch, "augment", *(part for name, value in flags.items() for part in (f"--{name}", value)))
    assert not list(data_dir.glob("o*"))


def test_a_checkpoint_of_other_labels_is_no_judge(
    paraphraser: Path, classifier: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = BertForSequenceClassification.from_pretrained(classifier, num_labels=2, ignore_mismatched_sizes=True)
    model.save_pretrained(tmp_path / "other")
    (tmp_path / "other" / TOKENIZER).write_bytes((classifier / TOKENIZER).read_bytes())
    flags = ["--data-dir", data_dir, "--paraphraser", paraphraser, "--output", tmp_path / "o"]
    with pytest.raises(TrainingError, match=r"the columns LABEL_0, LABEL_1 of .* have no names"):
        run(monkeypatch, "augment", *flags, "--classifier", tmp_path / "other")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "a", "labels": ["joy"], "source": "cedr"}, "paraphrase_of: Field required"),
        ({"text": " ", "labels": ["joy"], "source": "cedr", "paraphrase_of": "b"}, "text: "),
        ({"text": "a", "labels": ["love"], "source": "cedr", "paraphrase_of": "b"}, "label 'love' is unknown"),
        ({"text": "a", "labels": [1], "source": "cedr", "paraphrase_of": "b"}, r"labels\.0: "),
        ({"text": "a", "labels": [], "source": "cedr", "paraphrase_of": "b", "more": 1}, "more: "),
        (["a"], "the row: "),
    ],
)
def test_wrong_synthetic_rows(tmp_path: Path, row: Any, reason: str) -> None:
    good = {"text": "a", "labels": ["joy"], "source": "cedr", "paraphrase_of": "b"}
    path = write_lines(tmp_path, "made", "rows", [good, row])
    with pytest.raises(TrainingError, match=reason) as caught:
        load_augmented(path)
    assert f"{path}, row 2: " in str(caught.value)
    path.write_text("")
    with pytest.raises(TrainingError, match=r"holds no rows: make it with python -m training\.data augment"):
        load_augmented(path)
    with pytest.raises(TrainingError, match="does not exist: make it with"):
        load_augmented(tmp_path / "none")
