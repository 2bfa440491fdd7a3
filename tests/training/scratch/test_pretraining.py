"""Pre-training: what is hidden, and that an interrupted run ends as it would have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from tests.training.support.rows import write_lines
from training.behaviour.suite import HALVES, load_suite
from training.common.command import TrainingError
from training.encoder.tokenizer import train_unigram, train_wordpiece
from training.scratch.pretraining import pretraining
from training.scratch.pretraining.corpus import all_passages, pack, read_passages
from training.scratch.pretraining.masking import IGNORED, WordPieces, mask_whole_words
from training.scratch.pretraining.pretraining import STATE, pretrain
from training.scratch.pretraining.settings import BLOCK, Architecture, PretrainingSettings

PASSAGES = ["Как же я рад тебя видеть!", "Мне страшно, мой ёжик убежал :(", "Она промолчала и ушла прочь."] * 200
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return request.param


def tokenizer_of(architecture: Architecture) -> Tokenizer:
    return train_wordpiece(PASSAGES, 240) if architecture == "bert" else train_unigram(PASSAGES, 180)


def test_whole_words_are_hidden_and_special_tokens_never(architecture: Architecture) -> None:
    tokenizer = tokenizer_of(architecture)
    pieces = WordPieces.of(tokenizer, CPU)
    ids = torch.from_numpy(pack(tokenizer, PASSAGES)).long()
    assert ids.shape[1] == BLOCK
    assert (ids[:, 0] == pieces.begin_id).all()
    seen, labels = mask_whole_words(ids, pieces, 0.2, torch.Generator().manual_seed(0))
    hidden = labels != IGNORED
    assert (labels[hidden] == ids[hidden]).all()
    assert (seen[~hidden] == ids[~hidden]).all()
    assert not pieces.special[ids[hidden]].any()
    assert 0.1 < hidden.float().mean() < 0.3
    assert 0.7 < (seen[hidden] == pieces.mask_id).float().mean() < 0.9
    # A piece that goes on with a word shares its fate.
    goes_on = ~pieces.starts_word[ids[:, 1:]] & ~pieces.special[ids[:, 1:]] & ~pieces.special[ids[:, :-1]]
    assert goes_on.any()
    assert (hidden[:, 1:] == hidden[:, :-1])[goes_on].all()


def test_words_runs_of_punctuation_and_signs_each_start(architecture: Architecture) -> None:
    tokenizer = tokenizer_of(architecture)
    pieces = WordPieces.of(tokenizer, CPU)
    text = "Ёжик убежал!!!😂 (рад)"
    ids = tokenizer.encode(text).ids[1:-1]
    words = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]
    assert [word.strip("▁") for word in words] == ["ежик", "убежал", "!!!", "😂", "(", "рад", ")"]
    assert int(pieces.starts_word[ids].sum()) == len(words) < len(ids)


def test_a_vocabulary_without_a_mask_is_refused(architecture: Architecture) -> None:
    """As `emotion_xlm` has it: nothing that is served needs a mask."""
    content = tokenizer_of(architecture).to_str().replace("[MASK]", "[OTHER]").replace(" <mask>", " <other>")
    with pytest.raises(TrainingError, match=r"lacks '(\[MASK\]| <mask>)', .* take a checkpoint of training\.scratch"):
        WordPieces.of(Tokenizer.from_str(content), CPU)


def test_an_interrupted_run_ends_as_it_would_have(
    architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = tokenizer_of(architecture)
    blocks = torch.from_numpy(pack(tokenizer, PASSAGES))

    def run(folder: str, **changes: Any) -> Any:
        shape: dict[str, Any] = {
            "vocabulary": 300, "layers": 1, "hidden": 32, "heads": 4, "intermediate": 48, "steps": 7, "batch_size": 4,
            "lr": 1e-3, "seed": 3, "save_every": 100, **changes,
        }  # fmt: skip
        output = tmp_path / folder
        output.mkdir(exist_ok=True)
        settings = PretrainingSettings(texts=tmp_path, output=output, architecture=architecture, **shape)
        return pretrain(settings, tokenizer, blocks).state_dict()

    expected = run("whole")
    save = pretraining.save_state

    def interrupted(*arguments: Any) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "save_state", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("broken", save_every=3)
    assert [path.name for path in (tmp_path / "broken").iterdir()] == [STATE]
    resumed = run("broken")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())
    other = run("whole", seed=4)
    assert not all(torch.equal(other[name], tensor) for name, tensor in expected.items())


def test_a_pass_over_the_blocks_reads_each_once() -> None:
    order = pretraining._Order(blocks=20, batch_size=4, seed=0)
    epochs = [np.concatenate([order.at(step).numpy() for step in range(first, first + 5)]) for first in (0, 5)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 2
    assert not np.array_equal(*epochs)


def test_damaged_and_missing_passages(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"holds no \.txt"):
        list(read_passages(tmp_path))
    (tmp_path / "a.txt.xz").write_bytes(b"\xfd7zXZ\x00\x00\x04" + b"\x00" * 20)
    with pytest.raises(TrainingError, match=r"a\.txt\.xz cannot be read to its end"):
        list(read_passages(tmp_path))


def test_the_behaviour_suite_is_not_read(tmp_path: Path) -> None:
    suite = [case.text for case in load_suite(HALVES)][::40]
    (tmp_path / "a.txt").write_text("\n".join(["Обычная строка.", *suite, "Ещё одна."]), encoding="utf-8")
    write_lines(tmp_path, "cedr", "train", [{"text": "Совсем другое.", "labels": []}])
    rows = [{"text": text, "labels": [0]} for text in (*suite, "Совсем другое", "И это тоже.")]
    write_lines(tmp_path, "ru_go_emotions", "validation", rows)
    passages = all_passages(tmp_path, ["ru_go_emotions"], 2, tmp_path)
    assert passages == ["Обычная строка.", "Ещё одна.", "И это тоже.", "И это тоже."]


def test_cedr_is_not_read() -> None:
    with pytest.raises(TrainingError, match="CEDR's held-out texts must not be seen"):
        all_passages(Path(), ["cedr"], 1, None)
