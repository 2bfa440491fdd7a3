"""A checkpoint with the pieces of a corpus alone: the same tokens and hidden states for every text of it."""

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

from tests.training.support.commands import succeeds
from tests.training.support.hub_checkpoints import sentencepiece_as_on_the_hub, wordpiece_as_on_the_hub
from training.common.command import TrainingError
from training.encoder.trimming import trim
from training.scratch.trim import trim_parser

RUSSIAN = ["Как же я рад тебя видеть!", "Мне страшно, мой ёжик убежал :("]
ENGLISH = [f"the quick brown fox {verb} quick brown {noun}" for verb in ("sees", "likes") for noun in ("dogs", "cats")]
EVERYTHING = [*RUSSIAN, *ENGLISH] * 40
SIZES: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
}  # fmt: skip


@pytest.fixture(scope="module", params=["WordPiece", "Unigram"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model of rubert-tiny2's or xlm-roberta-base's kind, at random."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    if request.param == "WordPiece":
        tokenizer = wordpiece_as_on_the_hub(EVERYTHING, 160)
        BertForMaskedLM(BertConfig(vocab_size=tokenizer.get_vocab_size(), pad_token_id=0, **SIZES)).save_pretrained(
            directory
        )
    else:
        tokenizer, _ = sentencepiece_as_on_the_hub(EVERYTHING, 160)
        xlm = XLMRobertaConfig(vocab_size=tokenizer.get_vocab_size(), pad_token_id=1, **SIZES)
        XLMRobertaForMaskedLM(xlm).save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def read(checkpoint: Path, text: str) -> tuple[list[str], torch.Tensor]:
    """A text's tokens and the logits of its own pieces."""
    encoding = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).encode(text)
    ids = torch.tensor([encoding.ids])
    with torch.no_grad():
        logits = AutoModelForMaskedLM.from_pretrained(checkpoint).eval()(ids).logits[0]
    return encoding.tokens, logits[:, encoding.ids]


def vocabulary_size(checkpoint: Path) -> int:
    return Tokenizer.from_file(str(checkpoint / "tokenizer.json")).get_vocab_size()


def test_texts_of_the_corpus_keep_their_tokens_and_answers(checkpoint: Path, tmp_path: Path) -> None:
    before, after = trim(str(checkpoint), RUSSIAN, tmp_path / "small")
    assert (before, after) == (vocabulary_size(checkpoint), vocabulary_size(tmp_path / "small"))
    assert after < before
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "small").config.vocab_size == after
    for text in RUSSIAN:
        tokens, logits = read(checkpoint, text)
        small_tokens, small_logits = read(tmp_path / "small", text)
        assert small_tokens == tokens
        assert torch.allclose(small_logits, logits, atol=1e-6)


def test_a_text_from_elsewhere_is_spelt(checkpoint: Path, tmp_path: Path) -> None:
    trim(str(checkpoint), RUSSIAN, tmp_path / "small")
    whole, small = (Tokenizer.from_file(str(path / "tokenizer.json")) for path in (checkpoint, tmp_path / "small"))
    english = small.encode("quick brown")
    assert len(english.ids) > len(whole.encode("quick brown").ids)
    assert not {"[UNK]", "<unk>"} & set(english.tokens)


def test_the_command(checkpoint: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "russian.txt").write_text("\n".join(RUSSIAN), encoding="utf-8")
    said = succeeds("training.scratch.trim", checkpoint, "--texts", texts, "--output", tmp_path / "small")
    assert f"{vocabulary_size(tmp_path / 'small')} of {vocabulary_size(checkpoint)} pieces, with which 2 texts" in said


def test_layers_and_normalised_text(checkpoint: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    model = AutoModelForMaskedLM.from_pretrained(checkpoint)
    model.base_model.encoder.layer.extend([copy.deepcopy(model.base_model.encoder.layer[0]) for _ in range(3)])
    model.config.num_hidden_layers = 4
    torch.nn.init.normal_(model.base_model.encoder.layer[2].output.dense.weight, std=0.5)
    model.save_pretrained(deep)
    shutil.copy(checkpoint / "tokenizer.json", deep)
    trim(str(deep), RUSSIAN, tmp_path / "small", layers=[1, 3], normalised=True)
    small = AutoModelForMaskedLM.from_pretrained(tmp_path / "small")
    assert len(small.base_model.encoder.layer) == small.config.num_hidden_layers == 2
    kept = small.base_model.encoder.layer[1].output.dense.weight
    assert torch.equal(kept, model.base_model.encoder.layer[2].output.dense.weight)
    tokenizer = Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json"))
    assert tokenizer.encode("МНЕ стра́шно").ids == tokenizer.encode("мне страшно").ids
    with pytest.raises(TrainingError, match="the encoder has the layers 1 to 4, and no layer 5"):
        trim(str(deep), RUSSIAN, tmp_path / "none", layers=[5])
    assert not (tmp_path / "none").exists()


def test_what_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(TrainingError, match="taken is there already: name a new directory"):
        trim(str(checkpoint), RUSSIAN, tmp_path / "taken")
    other = tmp_path / "bpe"
    shutil.copytree(checkpoint, other)
    Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")])).save(str(other / "tokenizer.json"))
    with pytest.raises(TrainingError, match="the vocabulary is a BPE's, and only Unigram's and WordPiece's can be cut"):
        trim(str(other), RUSSIAN, tmp_path / "small")
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mine=rows", "argument --datasets: 'mine=rows': own rows can't be named here.* training.train --dataset mine"),
        ("cedr", "argument --datasets: 'cedr': is no data set to name here; there are: brighter_deu"),
    ],
)
def test_texts_that_are_held_out_are_not_read(name: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trim_parser().parse_args(["base", "--texts", "texts", "--output", "small", "--datasets", name])
    assert re.search(reason, capsys.readouterr().err)
