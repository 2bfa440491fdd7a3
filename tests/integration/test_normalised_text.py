"""The gateway reads a text as training does: the same file, the same ids, whatever the text."""

import subprocess
import sys
from pathlib import Path

import pytest

from contract.tokenization import TextTokenizer
from tests.support.triton_process import ROOT
from training.encoder.classifier import MAX_LENGTH
from training.encoder.tokenizer import UNIGRAM_SPECIAL_TOKENS, load_tokenizer, train_unigram, train_wordpiece

TEXTS = [
    "Ненавижу🤬", "Как же я ра́д тебя ви́деть!", "Heнaвижy тeбя", "nenavizhu tebya", "ур" + "а" * 99, "高兴",
    "ქართული ენა", "", "рад 高", "[SEP] <s> \0 \u202e", "👨\u200d👩\u200d👧 🇷🇺 ₽", "абвгд" * 500,
]  # fmt: skip


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram"])
def test_gateway_and_training_read_the_same(kind: str, tmp_path: Path) -> None:
    corpus = ["Как же я рад тебя видеть!", "Ненавижу тебя, мне страшно."] * 20
    trained = (train_wordpiece if kind == "WordPiece" else train_unigram)(corpus, 300)
    unk_id = 1 if kind == "WordPiece" else UNIGRAM_SPECIAL_TOKENS.index("<unk>")
    path = tmp_path / "tokenizer.json"
    trained.save(str(path))
    numbers = [str(number) for number in (MAX_LENGTH, trained.get_vocab_size(), 0, unk_id)]
    tried = subprocess.run(
        [sys.executable, "-m", "gateway.models.tokenizer_sandbox", str(path), *numbers],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (tried.returncode, tried.stdout) == (0, "")
    rows = TextTokenizer(path, MAX_LENGTH, unk_id)(TEXTS)
    training = load_tokenizer(str(tmp_path))
    training.enable_truncation(MAX_LENGTH)
    assert [row.ids for row in rows] == [encoding.ids for encoding in training.encode_batch(TEXTS)]
    known = dict(zip(TEXTS, (row.words - row.unknown for row in rows), strict=True))
    assert known["高兴"] == known["ქართული ენა"] == known[""] == 0
    assert all(known[text] for text in TEXTS if text not in ("高兴", "ქართული ენა", ""))
