"""Everything that can be wrong with a version directory, each as a function that does it."""

import base64
import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.labels import EMOTIONS
from contract.version_directory import CARD, CPU_GRAPH, TOKENIZER, sha256
from tests.support.committed import committed


@dataclass(frozen=True)
class Damage:
    kind: str
    """What the metric calls it."""
    said: str
    """What the sentence about it has."""
    do: Callable[[Path], object]


def _replace(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Something else in a file's place."""

    def do(version: Path) -> None:
        (version / name).unlink()
        make(version / name)

    return do


def _cut(name: str) -> Callable[[Path], object]:
    return lambda version: os.truncate(version / name, (version / name).stat().st_size // 2)


def _sparse(name: str, size: int) -> Callable[[Path], object]:
    return lambda version: os.truncate(version / name, size)


def _card(**changes: Any) -> Callable[[Path], object]:
    def do(version: Path) -> None:
        card = json.loads((version / CARD).read_text())
        (version / CARD).write_text(json.dumps(card | changes))

    return do


def _reference(**changes: float) -> Callable[[Path], object]:
    """Figures to compare with that no texts have."""
    shares = dict.fromkeys(EMOTIONS, 0.0) | {EMOTIONS[0]: 1.0}
    figures = {"rows": "some", "texts": 9, "predicted": shares, "unknown_share": 0.1, "tokens": 7.5}
    return _card(reference=figures | changes)


def _architecture(name: str, add: int) -> Callable[[Path], object]:
    """A card that says something else of its graph than of itself."""

    def do(version: Path) -> None:
        card = json.loads((version / CARD).read_text())
        card["architecture"][name] = card[name] + add
        (version / CARD).write_text(json.dumps(card))

    return do


def _tokenizer(change: Callable[[dict[str, Any]], object], *, on_card: bool = True) -> Callable[[Path], object]:
    """Another tokenizer, with its SHA-256 on the card unless `on_card` is false."""

    def do(version: Path) -> None:
        path = version / TOKENIZER
        tokenizer = json.loads(path.read_text())
        change(tokenizer)
        path.write_text(json.dumps(tokenizer))
        if on_card:
            _sign(version)

    return do


def _sign(version: Path) -> None:
    _card(files={name: sha256(version / name) for name in (CPU_GRAPH, TOKENIZER)})(version)


def _others_tokenizer(version: Path) -> None:
    shutil.copyfile(committed("emotion_xlm") / TOKENIZER, version / TOKENIZER)


def _others_tokenizer_on_the_card(version: Path) -> None:
    _others_tokenizer(version)
    _sign(version)


def _panics_on_loading(tokenizer: dict[str, Any]) -> None:
    tokenizer["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}


def _panics_on_encoding(tokenizer: dict[str, Any]) -> None:
    # A trie of two units that point beyond it.
    trie = struct.pack("<I", 8) + b"\xff" * 8 + b"abc\0"
    tokenizer["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(trie).decode()}


def _panics_on_some_texts(tokenizer: dict[str, Any]) -> None:
    # The regular expressions' library gives up on one letter many times.
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(а+)+$б"}, "content": ""}


def _eats_memory(tokenizer: dict[str, Any]) -> None:
    twice = {"type": "Replace", "pattern": {"String": "а"}, "content": "аа"}
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [twice] * 60}


def _special_ids_beyond(tokenizer: dict[str, Any]) -> None:
    tokenizer["post_processor"]["sep"] = ["[SEP]", 4_000_000_000]


def _no_special_tokens(tokenizer: dict[str, Any]) -> None:
    tokenizer["post_processor"] = None


def _ids_beyond(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"]["vocab"]["ё"] = 100_000


def _no_unknown(tokenizer: dict[str, Any]) -> None:
    del tokenizer["model"]["vocab"]["[UNK]"]
    tokenizer["added_tokens"] = []


DAMAGES: dict[str, Damage] = {
    "card-missing": Damage("card", "card.json does not exist", lambda version: (version / CARD).unlink()),
    "card-cut": Damage("card", "is not a valid card", _cut(CARD)),
    "card-of-3-GB": Damage("card", "it is larger than", _sparse(CARD, 3_000_000_000)),
    "card-fifo": Damage("card", "it is no regular file", _replace(CARD, os.mkfifo)),
    "card-directory": Damage("card", "it is no regular file", _replace(CARD, os.mkdir)),
    "card-loop": Damage("card", "can't be read: Too many levels", _replace(CARD, lambda p: p.symlink_to(p))),
    "card-device": Damage("card", "it is no regular file", _replace(CARD, lambda p: p.symlink_to("/dev/zero"))),
    "card-nested": Damage("card", "is not a valid card", lambda v: (v / CARD).write_text("[" * 1_000_000)),
    "card-of-bytes": Damage("card", "is not a valid card", lambda v: (v / CARD).write_bytes(b"\xff\xfe\x00" * 100)),
    "card-without-files": Damage("graph", "is not on the card", _card(files={})),
    "card-without-vocabulary": Damage("card", "does not say the graph's vocabulary", _card(architecture={})),
    "card-pad-id": Damage("tokenizer", "has no token 99999, which the card calls pad_id", _card(pad_id=99_999)),
    "card-unk-id": Damage("tokenizer", "has no token 99999, which the card calls unk_id", _card(unk_id=99_999)),
    "card-other-pad-id": Damage("card", "says another pad_id", _architecture("pad_id", 1)),
    "card-other-unk-id": Damage("card", "says another unk_id", _architecture("unk_id", 1)),
    "card-longer-than-its-graph": Damage("card", "says another max_length", _architecture("max_length", -1)),
    "card-vocabulary": Damage("tokenizer", "another model's", _card(architecture={"vocabulary": 30_000})),
    "card-other-files": Damage("graph", "is not the file its card", _card(files={CPU_GRAPH: "0" * 64, TOKENIZER: "0"})),
    "card-endless-tokens": Damage("card", "must not be more than max_length", _reference(tokens=float("inf"))),
    "card-negative-share": Damage("card", "unknown_share: Input should be greater", _reference(unknown_share=-0.5)),
    "graph-cut": Damage("graph", "is not the file its card describes", _cut(CPU_GRAPH)),
    "graph-missing": Damage("graph", "is missing", lambda version: (version / CPU_GRAPH).unlink()),
    "graph-fifo": Damage("graph", "it is no regular file", _replace(CPU_GRAPH, os.mkfifo)),
    "graph-of-3-GB": Damage("graph", "it is larger than", _sparse(CPU_GRAPH, 3_000_000_000)),
    "tokenizer-missing": Damage("tokenizer", "is missing", lambda version: (version / TOKENIZER).unlink()),
    "tokenizer-cut": Damage("tokenizer", "is not the file its card describes", _cut(TOKENIZER)),
    "tokenizer-fifo": Damage("tokenizer", "it is no regular file", _replace(TOKENIZER, os.mkfifo)),
    "tokenizer-of-3-GB": Damage("tokenizer", "it is larger than", _sparse(TOKENIZER, 3_000_000_000)),
    "tokenizer-of-another": Damage("tokenizer", "is not the file its card describes", _others_tokenizer),
    "tokenizer-of-another-on-the-card": Damage("tokenizer", "another model's", _others_tokenizer_on_the_card),
    "tokenizer-panics": Damage("tokenizer", "Cannot parse precompiled_charsmap", _tokenizer(_panics_on_loading)),
    "tokenizer-panics-on-encoding": Damage("tokenizer", "PanicException", _tokenizer(_panics_on_encoding)),
    "tokenizer-panics-on-some-texts": Damage("tokenizer", "PanicException", _tokenizer(_panics_on_some_texts)),
    "tokenizer-no-special-tokens": Damage("tokenizer", "adds 0 special tokens", _tokenizer(_no_special_tokens)),
    "tokenizer-ids-beyond": Damage("tokenizer", "another model's", _tokenizer(_ids_beyond)),
    "tokenizer-ids-beyond-special": Damage("tokenizer", "gives ids that the graph", _tokenizer(_special_ids_beyond)),
    "tokenizer-no-unknown": Damage("tokenizer", "tokenizer.json", _tokenizer(_no_unknown)),
    "tokenizer-nested": Damage("tokenizer", "can't be read", _tokenizer(lambda t: t.update(normalizer=_nested()))),
}

EATS_MEMORY = Damage("tokenizer", "ends the process that tries it out", _tokenizer(_eats_memory))
"""Not with the others: it takes gigabytes and seconds until it is stopped."""


def _nested() -> dict[str, Any]:
    normalizer: dict[str, Any] = {"type": "Lowercase"}
    for _ in range(200):
        normalizer = {"type": "Sequence", "normalizers": [normalizer]}
    return normalizer
