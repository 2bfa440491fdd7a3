"""Tokenizers: special tokens inside a text are text, and a saved tokenizer stays the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import UnigramTrainer
from transformers import BertConfig

from training.common.command import TrainingError
from training.encoder.tokenizer import (
    load_tokenizer,
    special_ids,
    special_tokens_as_text,
    train_unigram,
    train_wordpiece,
)

CORPUS = [
    "Как же я рад тебя видеть!", "Мне страшно, мой ёжик убежал.", "Ёлка, ещё ёлка; йод и май.",
    "СЕП sep pad cls mask unk", "Маска и паддинг <s> </s> [SEP] [PAD] тоже слова.",
] * 40  # fmt: skip
SPELLINGS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>"]
TEXTS = [
    *CORPUS[:5], "", " ", "й" * 300, "😀 emoji ﷺ", *SPELLINGS, *(f"до{special}после" for special in SPELLINGS),
    *(f"до {special} {special} после" for special in SPELLINGS),
]  # fmt: skip


def wordpiece() -> Tokenizer:
    return train_wordpiece(CORPUS, 300)


def trained_unigram() -> Tokenizer:
    return train_unigram(CORPUS, 200)


def unigram_as_on_the_hub() -> Tokenizer:
    """As XLM-RoBERTa's file has it: special tokens are cut out of the text first."""
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = UnigramTrainer(vocab_size=200, special_tokens=names, unk_token="<unk>", show_progress=False)  # noqa: S106
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    )
    return tokenizer


def unigram() -> Tokenizer:
    return special_tokens_as_text(unigram_as_on_the_hub())


@pytest.mark.parametrize(("make", "first", "last"), [(wordpiece, 2, 3), (unigram, 0, 2), (trained_unigram, 0, 2)])
def test_special_tokens_in_a_text_are_text(make: Callable[[], Tokenizer], first: int, last: int) -> None:
    tokenizer = make()
    unk_id = 1 if make is wordpiece else 3
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        assert (ids[0], ids[-1]) == (first, last), text
        assert not set(ids[1:-1]) & ({0, 2, 3, 4} if make is wordpiece else {0, 1, 2, 4}), text
    # They are spelled with letters this vocabulary has, so none of them is unknown either.
    assert unk_id not in tokenizer.encode("[SEP] </s>").ids


def test_as_on_the_hub_they_are_not() -> None:
    """The two tests around this one can fail."""
    assert 2 in unigram_as_on_the_hub().encode("до </s> после").ids[1:-1]


@pytest.mark.parametrize("make", [wordpiece, unigram, trained_unigram])
def test_saved_and_reloaded_ids_are_equal(make: Callable[[], Tokenizer], tmp_path: Path) -> None:
    tokenizer = make()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    reloaded = load_tokenizer(str(tmp_path))
    served = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        assert reloaded.encode(text).ids == served.encode(text).ids == tokenizer.encode(text).ids, text


def test_ordinary_texts_keep_their_ids() -> None:
    before = unigram_as_on_the_hub()
    after = special_tokens_as_text(before)
    for text in CORPUS[:4]:
        assert before.encode(text).ids == after.encode(text).ids


def test_truncation_and_padding_are_not_taken_over() -> None:
    tokenizer = unigram_as_on_the_hub()
    whole = tokenizer.encode(CORPUS[0]).ids
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    assert len(tokenizer.encode(CORPUS[0]).ids) == 4
    assert special_tokens_as_text(tokenizer).encode(CORPUS[0]).ids == whole


def test_short_i_survives_and_yo_becomes_e() -> None:
    tokenizer = wordpiece()
    assert tokenizer.normalizer.normalize_str("Ёж и ёлка, Йод и май") == "еж и елка, йод и май"
    # Written as a letter and a combining mark, too.
    assert tokenizer.normalizer.normalize_str("е\u0308ж, и\u0306од, И\u0306ОД") == "еж, йод, йод"
    assert tokenizer.encode("ёлка").ids == tokenizer.encode("ЕЛКА").ids
    assert tokenizer.encode("мой").ids != tokenizer.encode("мои").ids
    assert "й" in "".join(tokenizer.encode("мой").tokens)


@pytest.mark.parametrize("make", [wordpiece, trained_unigram])
def test_punctuation_stays_together_and_apart_from_words(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    pre_tokenized = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str("Рад!!! Или :("))
    assert [piece.strip("▁") for piece, _ in pre_tokenized if piece != "▁"] == ["рад", "!!!", "или", ":("]


def test_special_ids_come_from_configuration_and_model() -> None:
    assert special_ids(wordpiece(), BertConfig(pad_token_id=0)) == (0, 1)
    assert special_ids(unigram(), BertConfig(pad_token_id=1)) == (1, 3)
    assert special_ids(trained_unigram(), BertConfig(pad_token_id=1)) == (1, 3)
    with pytest.raises(TrainingError, match="names no pad token or no unknown token"):
        special_ids(wordpiece(), BertConfig(pad_token_id=None))


def test_a_pad_id_that_stands_around_every_text_is_not_believed() -> None:
    """multilingual-e5-small on the hub: BERT's pad id with XLM-RoBERTa's tokenizer."""
    assert special_ids(unigram(), BertConfig(pad_token_id=0)) == (1, 3)
    assert special_ids(trained_unigram(), BertConfig(pad_token_id=0)) == (1, 3)
    assert special_ids(wordpiece(), BertConfig(pad_token_id=3)) == (0, 1)
    nameless = Tokenizer.from_str(unigram().to_str().replace('" <pad>"', '" <filler>"'))
    with pytest.raises(TrainingError, match="pad_token_id is 0, a token that its tokenizer puts around every text"):
        special_ids(nameless, BertConfig(pad_token_id=0))


def test_checkpoint_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no tokenizer\.json"):
        load_tokenizer(str(tmp_path))
