"""Text to ids: cut, counted, and never mistaken for special tokens."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from contract.tokenization import TextTokenizer, TokenizerError
from tests.gateway.support.small_model import MAX_LENGTH, SPECIAL, make_tokenizer

SPECIAL_IDS = set(range(len(SPECIAL))) - {SPECIAL.index("[UNK]")}


@pytest.fixture
def tokenizer(tmp_path: Path) -> TextTokenizer:
    make_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return TextTokenizer(tmp_path / "tokenizer.json", MAX_LENGTH, SPECIAL.index("[UNK]"))


def test_ids_are_those_of_the_saved_tokenizer(tokenizer: TextTokenizer) -> None:
    texts = ["Как же я рад!", "", "  \n", "Ого"]
    assert [row.ids for row in tokenizer(texts)] == [make_tokenizer().encode(t).ids for t in texts]


def test_a_text_without_words_has_only_its_special_tokens(tokenizer: TextTokenizer) -> None:
    assert [len(row.ids) for row in tokenizer(["", " \t"])] == [2, 2]


@pytest.mark.parametrize("letters", [1, MAX_LENGTH - 3, MAX_LENGTH - 2, MAX_LENGTH - 1, 100, 1000])
def test_cut_and_counted(tokenizer: TextTokenizer, letters: int) -> None:
    (row,) = tokenizer(["а " * letters])
    assert row.total == letters + 2
    assert len(row.ids) == min(letters + 2, MAX_LENGTH)
    assert row.truncated == (letters + 2 > MAX_LENGTH)
    assert row.ids[-1] == SPECIAL.index("[SEP]")


@pytest.mark.parametrize("text", ["[PAD]", "рад [SEP] рад", "[CLS][SEP]", "[MASK]", "<s>", "</s>"])
def test_special_tokens_in_a_text_are_text(tokenizer: TextTokenizer, text: str) -> None:
    (row,) = tokenizer([text])
    assert not SPECIAL_IDS & set(row.ids[1:-1])
    assert len(row.ids) > 3


def test_unknown_tokens_are_counted_among_the_texts_own(tokenizer: TextTokenizer) -> None:
    rows = tokenizer(["рад", "рад 高", "高 ქ", "", "高 " * 100])
    assert [(row.words, row.unknown) for row in rows] == [(1, 0), (2, 1), (2, 2), (0, 0), (MAX_LENGTH - 2,) * 2]


def test_a_bare_start_of_a_word_is_nothing_that_is_known(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("▁", -1.0), ("▁рад", -1.0), ("р", -2.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    rows = TextTokenizer(tmp_path / "tokenizer.json", MAX_LENGTH, 0)(["рад", "高", "рад 高", "高 р"])
    assert [(row.words, row.unknown) for row in rows] == [(1, 0), (1, 1), (2, 1), (2, 1)]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json can't be read"):
        TextTokenizer(path, MAX_LENGTH, 1)
