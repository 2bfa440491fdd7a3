"""A model small enough to make in a test, with every file of a real version directory.

A row's logits are the sum of its tokens' rows of a table, so that a text's answer can be
worked out here, and differs with every token and with the version.
"""

import json
import math
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from contract.labels import EMOTIONS, LABELS
from contract.version_directory import CPU_GRAPH, TOKENIZER, sha256

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = {
    "заседание": "no_emotion",
    "рад": "joy",
    "грустно": "sadness",
    "ого": "surprise",
    "страшно": "fear",
    "злюсь": "anger",
}
LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюяpadsecl[]<>/.,!?"
VOCABULARY = (*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS))
MAX_LENGTH = 32
MAX_BATCH_SIZE = 8
BALANCED = {
    "no_emotion": 0.5,
    "joy": 0.4,
    "sadness": 0.3,
    "surprise": 0.3,
    "fear": 0.3,
    "anger": 0.3,
}
MODERATION = {**BALANCED, "anger": 0.08}

CONFIGURATION = """\
backend: "onnxruntime"
default_model_filename: "{graph}"
max_batch_size: {max_batch_size}
version_policy: {{ latest {{ num_versions: 2 }} }}
input [ {{ name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] allow_ragged_batch: true }} ]
batch_input [ {{
  kind: BATCH_ITEM_SHAPE target_name: [ "item_shape" ] data_type: TYPE_INT32
  source_input: [ "input_ids" ]
}} ]
output [ {{
  name: "probabilities" data_type: TYPE_FP32 dims: [ 6 ] label_filename: "labels.txt"
}} ]
dynamic_batching {{ }}
instance_group [ {{ kind: {kind} }} ]
parameters {{ key: "intra_op_thread_count" value: {{ string_value: "1" }} }}
"""


def publish(
    repository: Path,
    version: int,
    model: str = "emotion_rubert",
    *,
    card: dict[str, Any] | None = None,
    graph: onnx.ModelProto | None = None,
) -> Path:
    """Write one version and move it in with one rename, as training does."""
    home = repository / model
    if not home.exists():
        (home / "configs").mkdir(parents=True)
        for path, kind, name in (
            (home / "configs/cpu.pbtxt", "KIND_CPU", "model.cpu.onnx"),
            (home / "config.pbtxt", "KIND_GPU", "model.gpu.onnx"),
        ):
            text = CONFIGURATION.format(graph=name, kind=kind, max_batch_size=MAX_BATCH_SIZE)
            path.write_text(text)
        (home / "labels.txt").write_text("\n".join(EMOTIONS) + "\n")
    unfinished = Path(tempfile.mkdtemp(dir=repository.parent))
    unfinished.chmod(0o755)
    onnx.save(graph or make_graph(version), unfinished / "model.cpu.onnx")
    make_tokenizer().save(str(unfinished / "tokenizer.json"))
    contents = make_card(model, version, unfinished) if card is None else card
    (unfinished / "card.json").write_text(json.dumps(contents))
    return unfinished.rename(home / str(version))


def withdraw(repository: Path, version: int, model: str = "emotion_rubert") -> None:
    """Take a version away, in one rename too."""
    shutil.rmtree((repository / model / str(version)).rename(repository.parent / "withdrawn"))


def make_tokenizer() -> Tokenizer:
    """WordPiece over letters; special tokens are in the vocabulary but match no text."""
    vocabulary = {token: index for index, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", SPECIAL.index("[SEP]")), ("[CLS]", SPECIAL.index("[CLS]"))
    )
    return tokenizer


def table(version: int) -> list[list[float]]:
    """A logit for every token and emotion; zeros for the padding token."""
    chance = random.Random(version)  # noqa: S311
    rows = [[chance.uniform(-0.05, 0.05) for _ in EMOTIONS] for _ in VOCABULARY]
    for word, emotion in WORDS.items():
        rows[VOCABULARY.index(word)][EMOTIONS.index(emotion)] = 5.0
    rows[SPECIAL.index("[CLS]")] = [-2.0] * len(EMOTIONS)
    rows[SPECIAL.index("[PAD]")] = [0.0] * len(EMOTIONS)
    return rows


def expected(text: str, version: int = 1) -> dict[str, float]:
    """The probabilities the model gives a text on its own."""
    tokenizer = make_tokenizer()
    tokenizer.enable_truncation(MAX_LENGTH)
    rows = table(version)
    ids = tokenizer.encode(text).ids
    return {
        emotion: 1 / (1 + math.exp(-sum(rows[token][column] for token in ids)))
        for column, emotion in enumerate(EMOTIONS)
    }


def make_graph(version: int) -> onnx.ModelProto:
    """`input_ids` [n] and `item_shape` [b, 1] to `probabilities` [b, 6]."""
    values = [value for row in table(version) for value in row]
    constants = [
        helper.make_tensor("table", TensorProto.FLOAT, [len(VOCABULARY), 6], values),
        helper.make_tensor("axis", TensorProto.INT64, [], [0]),
        helper.make_tensor("zero", TensorProto.INT64, [], [0]),
        helper.make_tensor("one", TensorProto.INT64, [], [1]),
    ]
    nodes = [
        helper.make_node("Cast", ["item_shape"], ["length"], to=TensorProto.INT64),
        helper.make_node("CumSum", ["length", "axis"], ["end"]),
        helper.make_node("Sub", ["end", "length"], ["start"]),
        helper.make_node("Size", ["input_ids"], ["n"]),
        helper.make_node("Range", ["zero", "n", "one"], ["place"]),
        helper.make_node("GreaterOrEqual", ["place", "start"], ["after"]),
        helper.make_node("Less", ["place", "end"], ["before"]),
        helper.make_node("And", ["after", "before"], ["own"]),
        helper.make_node("Cast", ["own"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["table", "input_ids"], ["logits_of_tokens"]),
        helper.make_node("MatMul", ["weights", "logits_of_tokens"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("item_shape", TensorProto.INT32, ["b", 1]),
    ]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["b", 6])]
    made = helper.make_model(
        helper.make_graph(nodes, "small", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    onnx.checker.check_model(made)
    return made


def make_card(model: str, version: int, directory: Path) -> dict[str, Any]:
    """A card that passes the contract's checks, for the files in a directory."""
    costs = {emotion: {"precision": 0.7, "recall": 0.6, "flagged": 0.2} for emotion in EMOTIONS}
    return {
        "model": model,
        "base_model": f"small, version {version}",
        "architecture": {"layers": 0, "vocabulary": len(VOCABULARY)},
        "labels": [{"en": en, "ru": ru} for en, ru in LABELS.items()],
        "max_length": MAX_LENGTH,
        "pad_id": SPECIAL.index("[PAD]"),
        "unk_id": SPECIAL.index("[UNK]"),
        "profiles": {
            name: {"purpose": name, "thresholds": thresholds, "costs": costs, "measured_on": "-"}
            for name, thresholds in (("balanced", BALANCED), ("moderation", MODERATION))
        },
        "metrics": {"dev": {"roc_auc_mean": 0.95}},
        "training": {},
        "tools": {},
        "files": {name: sha256(directory / name) for name in (CPU_GRAPH, TOKENIZER)},
        "licence": "Apache-2.0",
        "limits": [],
    }
