"""Tokenizers: made from texts, or taken from a checkpoint exactly as its file says.

The `tokenizers` library's own file is the only form used, in training and in serving:
transformers' tokenizer classes rebuild normaliser and pre-tokeniser from their defaults and
may give other ids than the file they were loaded from.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import UnigramTrainer, WordPieceTrainer

from contract.version_directory import TOKENIZER
from training.common.command import TrainingError
from training.encoder.normalization.characters import alphabet
from training.encoder.normalization.normalizer import normalizer

SPECIAL_TOKENS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
UNIGRAM_SPECIAL_TOKENS: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""In XLM-RoBERTa's order: pad is 1, unknown 3."""

ALPHABET_LIMIT: Final = 400
"""Characters with pieces of their own in a WordPiece vocabulary."""
_WORDS: Final = r"[0-9\x{430}-\x{44f}]{1,100}|[!-/:-@\[-`{-~]+|\S"
"""What is tokenized by itself in normalised text: a word, a run of punctuation, any other character.

Smileys such as ":(" and ")))" so get pieces of their own, and an unknown sign is unknown alone.
WordPiece reads no word of more than 100 characters: a longer one is cut.
"""

_PADS: Final = ("[PAD]", "<pad>", " <pad>")
"""The pad token's names, the last as `special_tokens_as_text` has it."""

_DONE: Final = ("NFC", "NFKC", "Strip")
_SPACES: Final = ({"Regex": "\\s+"}, {"Regex": " {2,}"})
"""Steps and patterns of a checkpoint's own normaliser that find nothing to do in normalised text."""


def _pre_tokenizer() -> Any:
    return pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True)


def train_wordpiece(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Make a WordPiece tokenizer of normalised text with BERT's special tokens."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL_TOKENS[1]))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = _pre_tokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)  # a sign stays apart from the words around it
    trainer = WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=alphabet(),
        limit_alphabet=ALPHABET_LIMIT,
        show_progress=False,
    )
    tokenizer.train_from_iterator(chain(texts, _inside_words()), trainer)
    if (needed := tokenizer.get_vocab_size()) > vocabulary_size:
        raise TrainingError(
            f"a vocabulary of {vocabulary_size} pieces is too small: its letters and signs alone are {needed}"
        )
    tokenizer.post_processor = _around(tokenizer, "[CLS]", "[SEP]")
    return special_tokens_as_text(tokenizer)


def train_unigram(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Make a Unigram tokenizer of normalised text as SentencePiece does, with XLM-RoBERTa's special tokens."""
    begin, _, end, unknown, _ = UNIGRAM_SPECIAL_TOKENS
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([_pre_tokenizer(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = UnigramTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(UNIGRAM_SPECIAL_TOKENS),
        unk_token=unknown,
        initial_alphabet=alphabet(),
        show_progress=False,
    )
    if (needed := len(alphabet()) + len(UNIGRAM_SPECIAL_TOKENS)) > vocabulary_size:
        raise TrainingError(
            f"a vocabulary of {vocabulary_size} pieces is too small: its letters and signs alone are {needed}"
        )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = _around(tokenizer, begin, end)
    return special_tokens_as_text(tokenizer)


def _inside_words() -> Iterator[str]:
    """Every character behind another, where WordPiece's pieces are other ones."""
    return (character * 2 for character in alphabet())


def normalised_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that reads normalised text: the same normaliser, in front of the checkpoint's own.

    The vocabulary stays as it is. A WordPiece vocabulary also gets words cut as `train_wordpiece`
    cuts them; a Unigram vocabulary needs no such cut, for it only loses the one sign that it lacks.
    A tokenizer that has the normaliser already comes back unchanged.
    """
    copy = Tokenizer.from_str(tokenizer.to_str())
    state = json.loads(copy.to_str())
    ours, own = normalizer(), _steps(state["normalizer"])
    if own[: len(ours)] == _steps(json.loads(ours.__getstate__())):
        return copy
    needed = any(step["type"] not in _DONE and step.get("pattern") not in _SPACES for step in own)
    copy.normalizer = normalizers.Sequence([*ours, copy.normalizer]) if needed else ours
    if state["model"]["type"] == "WordPiece":
        copy.pre_tokenizer = pre_tokenizers.Sequence(
            [_pre_tokenizer(), *([copy.pre_tokenizer] if state["pre_tokenizer"] else [])]
        )
    return special_tokens_as_text(copy)


def _steps(normalizer_state: dict[str, Any] | None) -> list[dict[str, Any]]:
    if normalizer_state is None:
        return []
    steps: list[dict[str, Any]] = normalizer_state.get("normalizers", [normalizer_state])
    return steps


def _around(tokenizer: Tokenizer, begin: str, end: str) -> Any:
    tokens = [(token, tokenizer.token_to_id(token)) for token in (begin, end)]
    return processors.TemplateProcessing(single=f"{begin} $A {end}", special_tokens=tokens)


def load_tokenizer(checkpoint: str) -> Tokenizer:
    """The tokenizer of a checkpoint, a local directory or a hub name, from its `tokenizer.json`.

    Raises:
        TrainingError: the checkpoint has no such file.
    """
    return special_tokens_as_text(Tokenizer.from_file(str(tokenizer_file(checkpoint))))


def tokenizer_file(checkpoint: str) -> Path:
    """The `tokenizer.json` of a checkpoint, a local directory or a hub name.

    Raises:
        TrainingError: the checkpoint has no such file.
    """
    path = checkpoint_file(checkpoint, TOKENIZER)
    if not path.is_file():
        raise TrainingError(f"{checkpoint} has no {TOKENIZER}: save the fast tokenizer there")
    return path


def checkpoint_file(checkpoint: str, name: str) -> Path:
    """Where a file of a checkpoint is: in a local directory, if it is there, or fetched from the hub.

    Raises:
        TrainingError: the hub has no such file, or cannot be reached.
    """
    if Path(checkpoint).is_dir():
        return Path(checkpoint) / name
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(checkpoint, name))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise TrainingError(
            f"could not load {name} of {checkpoint} from the Hugging Face hub ({error}): check the"
            " name and the network, or give a local directory"
        ) from error


def special_tokens_as_text(tokenizer: Tokenizer) -> Tokenizer:
    """A copy in which `[SEP]`, `<s>` and their like inside a text are text like any other.

    `encode_special_tokens` would not survive saving, and does nothing for Unigram. So the
    file itself changes: no token is cut out of the text before the model sees it, and a
    Unigram or BPE model's special pieces get names with a space in front, which no text can
    reach, because these tokenizers turn every space into another character first. Ids, and
    what the post-processor adds around a text, stay as they are.
    """
    state = json.loads(tokenizer.to_str())
    special = {token["content"] for token in state["added_tokens"] if token["special"]}
    state["added_tokens"] = []
    state["truncation"] = state["padding"] = None
    model = state["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [[f" {piece}" if piece in special else piece, score] for piece, score in model["vocab"]]
    elif model["type"] == "BPE":
        model["vocab"] = {
            (f" {piece}" if piece in special else piece): index for piece, index in model["vocab"].items()
        }
    return Tokenizer.from_str(json.dumps(state, ensure_ascii=False))


def special_ids(tokenizer: Tokenizer, config: Any) -> tuple[int, int]:
    """Pad id (from the encoder's configuration) and unk id (from the tokenizer's model).

    multilingual-e5-small's configuration has BERT's pad id, 0, with XLM-RoBERTa's tokenizer, which begins every text
    with that token. Such a pad id would hide what is no padding; the tokenizer's own, by its name, takes its place.

    Raises:
        TrainingError: one of them cannot be told.
    """
    model = json.loads(tokenizer.to_str())["model"]
    unk_id = model.get("unk_id")
    if unk_id is None and model.get("unk_token") is not None:
        unk_id = tokenizer.token_to_id(model["unk_token"])
    if config.pad_token_id is None or unk_id is None:
        raise TrainingError("the checkpoint names no pad token or no unknown token")
    pad_id = int(config.pad_token_id)
    if pad_id in tokenizer.encode("").ids:
        named = next((index for name in _PADS if (index := tokenizer.token_to_id(name)) is not None), None)
        if named is None:
            raise TrainingError(
                f"the checkpoint's pad_token_id is {pad_id}, a token that its tokenizer puts around every text: write"
                " the pad token's id into its config.json"
            )
        pad_id = named
    return pad_id, int(unk_id)
