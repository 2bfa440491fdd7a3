"""A tokenizer tried out in a process of its own, before it reads a client's text.

`python -m gateway.models.tokenizer_sandbox TOKENIZER_JSON MAX_LENGTH VOCABULARY PAD_ID UNK_ID` prints what
is wrong with it, and nothing if it can be used. A damaged file may make the library, which is native code,
panic, loop, take all memory or crash: here that costs this process alone.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contract.tokenization import TextTokenizer, TokenizerError
from contract.version_directory import Card

_MOST_SECONDS: Final = 20
_MOST_BYTES: Final = 2 << 30
"""Of address space."""
_MOST_PADDING: Final = 1024
"""Ids that a graph may have beyond its tokenizer's: some checkpoints round their embedding up."""
_TEXTS: Final = (
    "",
    " \t\n",
    "Как же я рад тебя видеть!",
    "Hello, wörld 123 🤬😱 ₽ ქართული 高兴 \u0301\ufeff\u202e [SEP] <s>",
    "страшно " * 1_000,
    "а" * 2_000,
)


def find_fault(path: Path, card: Card, vocabulary: int) -> str | None:
    """What is wrong with a tokenizer, found in a process of its own, within seconds; None if it can be used."""
    numbers = map(str, (card.max_length, vocabulary, card.pad_id, card.unk_id))
    try:
        tried = subprocess.run(  # noqa: S603 - this very program
            [sys.executable, "-m", "gateway.models.tokenizer_sandbox", str(path.absolute()), *numbers],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_MOST_SECONDS + 10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{path} can't be tried out within {_MOST_SECONDS} s"
    if sentence := tried.stdout.decode(errors="replace").strip():
        return sentence
    if tried.returncode:
        return f"{path} ends the process that tries it out (status {tried.returncode})"
    return None


def _fault(path: Path, max_length: int, vocabulary: int, pad_id: int, unk_id: int) -> str | None:
    try:
        tokenizer = TextTokenizer(path, max_length, unk_id)
        size = tokenizer.vocabulary_size()
        if not vocabulary - _MOST_PADDING < size <= vocabulary:
            return f"{path} has {size} ids, and the graph {vocabulary}: it is another model's"
        for name, token in (("pad_id", pad_id), ("unk_id", unk_id)):
            if not tokenizer.has_id(token):
                return f"{path} has no token {token}, which the card calls {name}"
        if not 0 < tokenizer.special_tokens < max_length:
            return f"{path} adds {tokenizer.special_tokens} special tokens to a text"
        for tokens in tokenizer(_TEXTS):
            if not 0 < len(tokens.ids) <= max_length or not all(0 <= token < vocabulary for token in tokens.ids):
                return f"{path} gives ids that the graph can't read"
    except TokenizerError as error:
        return f"{path}: {error}" if str(path) not in str(error) else str(error)
    return None


def _set_resource_limit(kind: int, most: int) -> None:
    _, already = resource.getrlimit(kind)
    if already != resource.RLIM_INFINITY:
        most = min(most, already)
    resource.setrlimit(kind, (most, most))


def main(arguments: Sequence[str]) -> None:
    """Print what is wrong with the tokenizer that the arguments name."""
    _set_resource_limit(resource.RLIMIT_CPU, _MOST_SECONDS)
    _set_resource_limit(resource.RLIMIT_AS, _MOST_BYTES)
    path, *numbers = arguments
    max_length, vocabulary, pad_id, unk_id = map(int, numbers)
    found = _fault(Path(path), max_length, vocabulary, pad_id, unk_id)
    if found:
        print(" ".join(found.split()))


if __name__ == "__main__":
    main(sys.argv[1:])
