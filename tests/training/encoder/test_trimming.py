"""A checkpoint with the pieces of a corpus alone: the same tokens and hidden states for every text of it."""

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from tests.training.support.commands import fails, succeeds
from tests.training.support.hub_checkpoints import (
    save_base_model,
    sentencepiece_as_on_the_hub,
    wordpiece_as_on_the_hub,
)
from training.common.command import TrainingError
from training.encoder.base_model import load_base_model
from training.encoder.classifier import load_base_classifier, load_classifier, predict
from training.encoder.head import weight_names
from training.encoder.tokenizer import load_tokenizer, train_wordpiece
from training.encoder.trimming import trim
from training.encoder.vocabulary import check_can_trim
from training.runs.learned import learned_by
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
    shutil.copytree(checkpoint, tmp_path / "base")
    (tmp_path / "base/README.md").write_text("---\ndatasets: [sagteam/cedr_v1]\ntrained_on: [mine]\n---\n")
    said = succeeds("training.scratch.trim", tmp_path / "base", "--texts", texts, "--output", tmp_path / "small")
    assert f"{vocabulary_size(tmp_path / 'small')} of {vocabulary_size(checkpoint)} pieces, with which 2 texts" in said
    # It remembers what the checkpoint has learned.
    assert learned_by(f"{tmp_path / 'small'}") == ["mine", "sagteam/cedr_v1"]
    assert learned_by(f"{checkpoint}") == []


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


def test_special_tokens_stay_in_normalised_text(checkpoint: Path, tmp_path: Path) -> None:
    trim(str(checkpoint), RUSSIAN, tmp_path / "small", normalised=True)
    pieces = Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json")).get_vocab()
    assert {"[MASK]", " <mask>"} & pieces.keys()
    # Once more, from a file that names no special tokens any more.
    trim(str(tmp_path / "small"), RUSSIAN, tmp_path / "again")
    assert Tokenizer.from_file(str(tmp_path / "again" / "tokenizer.json")).get_vocab() == pieces


def test_a_file_that_cuts_texts_hides_no_ends(checkpoint: Path, tmp_path: Path) -> None:
    cutting = shutil.copytree(checkpoint, tmp_path / "cutting")
    whole, short = (Tokenizer.from_file(str(checkpoint / "tokenizer.json")) for _ in range(2))
    short.enable_truncation(4)
    short.enable_padding(length=6)
    short.save(str(cutting / "tokenizer.json"))
    trim(str(cutting), RUSSIAN, tmp_path / "small")
    small = Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json"))
    assert [small.encode(text).tokens for text in RUSSIAN] == [whole.encode(text).tokens for text in RUSSIAN]


def test_added_tokens_behind_the_vocabulary(checkpoint: Path, tmp_path: Path) -> None:
    more = shutil.copytree(checkpoint, tmp_path / "more")
    tokenizer = Tokenizer.from_file(str(more / "tokenizer.json"))
    tokenizer.add_tokens(["[NAME]", "[PLACE]"])
    tokenizer.save(str(more / "tokenizer.json"))
    with pytest.raises(TrainingError, match=r"embeddings and its tokenizer\.json .* they don't belong together"):
        trim(str(more), RUSSIAN, tmp_path / "small")
    model = AutoModelForMaskedLM.from_pretrained(more)
    model.resize_token_embeddings(tokenizer.get_vocab_size())
    model.save_pretrained(more)
    text = "рад [PLACE] и [NAME]"
    before, after = trim(str(more), [*RUSSIAN, text], tmp_path / "small")
    assert (before, after) == (vocabulary_size(more), vocabulary_size(tmp_path / "small"))
    tokens, logits = read(tmp_path / "small", text)
    own_tokens, own_logits = read(more, text)
    assert tokens == own_tokens
    assert {"[NAME]", "[PLACE]"} <= set(tokens)
    assert torch.allclose(logits, own_logits, atol=1e-6)


@pytest.mark.parametrize("checkpoint", ["Unigram"], indirect=True)
def test_bytes_stay_where_they_spell_unknown_characters(checkpoint: Path, tmp_path: Path) -> None:
    state = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    spelling = shutil.copytree(checkpoint, tmp_path / "spelling")
    state["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    state["model"]["byte_fallback"] = True
    (spelling / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")
    model = AutoModelForMaskedLM.from_pretrained(spelling)
    model.resize_token_embeddings(vocabulary_size(spelling))
    model.save_pretrained(spelling)
    trim(str(spelling), RUSSIAN, tmp_path / "small")
    small = Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json"))
    assert small.encode("рад ☃").tokens[-4:] == ["<0xE2>", "<0x98>", "<0x83>", "</s>"]


def test_e5s_pad_token_is_that_of_its_tokenizer(tmp_path: Path) -> None:
    save_base_model(tmp_path / "e5", "e5", EVERYTHING, vocabulary=160)
    trim(str(tmp_path / "e5"), RUSSIAN, tmp_path / "small")
    model, tokenizer, pad_id = load_base_model(str(tmp_path / "small"))
    assert tokenizer.id_to_token(pad_id) == " <pad>"
    assert model.config.pad_token_id == pad_id


def test_a_head_over_the_mean_of_the_tokens_stays(tmp_path: Path) -> None:
    tokenizer = train_wordpiece(EVERYTHING, 260)
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), pad_token_id=0, initializer_range=0.5, **SIZES)
    BertModel(config).save_pretrained(tmp_path / "encoder")
    whole = load_base_classifier(str(tmp_path / "encoder"), pooling="mean")
    whole.save_pretrained(tmp_path / "whole")
    tokenizer.save(str(tmp_path / "whole" / "tokenizer.json"))
    trim(str(tmp_path / "whole"), RUSSIAN, tmp_path / "small")
    small = load_classifier(str(tmp_path / "small"))
    assert torch.equal(small.classifier.weight, whole.classifier.weight)
    assert not any("pooler" in name for name in weight_names(str(tmp_path / "small")))
    own, other = (
        [tokens.encode(text).ids for text in RUSSIAN] for tokens in (tokenizer, load_tokenizer(str(tmp_path / "small")))
    )
    assert own != other
    assert abs(predict(small, other, 0) - predict(whole, own, 0)).max() < 1e-6


def test_what_is_wrong_is_said_before_texts_are_read(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    flags = ["--texts", tmp_path / "none", "--output"]
    said = fails("training.scratch.trim", checkpoint, *flags, tmp_path / "taken")
    assert "taken is there already: name a new directory" in said
    nameless = shutil.copytree(checkpoint, tmp_path / "nameless")
    config = (nameless / "config.json").read_text(encoding="utf-8")
    (nameless / "config.json").write_text(config.replace("num_hidden_layers", "n_layers"), encoding="utf-8")
    for of, layers, reason in (
        (tmp_path / "nowhere", None, "nowhere: there is no such directory"),
        (checkpoint, [2], "the encoder has the layers 1 to 1, and no layer 2"),
        (nameless, [1], r"nameless names no num_hidden_layers in its config\.json"),
    ):
        with pytest.raises(TrainingError, match=reason):
            check_can_trim(str(of), tmp_path / "small", layers)
    said = fails("training.scratch.trim", checkpoint, *flags, tmp_path / "small")
    assert "none holds no .txt or .txt.xz file: name another --texts" in said


def test_a_head_that_transformers_does_not_have_is_not_dropped(checkpoint: Path, tmp_path: Path) -> None:
    other = shutil.copytree(checkpoint, tmp_path / "other")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "architectures": ["OwnClassifier"]}), encoding="utf-8")
    with pytest.raises(TrainingError, match="other is made for OwnClassifier, a class that transformers does not have"):
        trim(str(other), RUSSIAN, tmp_path / "small")


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
