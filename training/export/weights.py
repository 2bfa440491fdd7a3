"""An encoder's weights as plain arrays, from a checkpoint or back from a published CPU graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from training.command import TrainingError

Array = npt.NDArray[np.float32]
UNNAMED: Final = "const_"
"""How the names of a graph's constants begin that are no weights."""
FAMILIES: Final = {"bert": "bert", "roberta": "roberta", "xlm-roberta": "roberta"}


@dataclass(frozen=True)
class Shape:
    """What the graphs must know beside the weights; also the card's `architecture`.

    `max_length` counts tokens; `pad_id` and `unk_id` are the tokenizer's.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    max_length: int
    pad_id: int
    unk_id: int
    layer_norm_epsilon: float


@dataclass(frozen=True)
class EncoderWeights:
    """Weights under the graphs' own names, float32; matrices are `[in, out]`.

    `embeddings.word` `[vocabulary, hidden]`; `embeddings.position` `[max_length, hidden]`
    (the position offset of RoBERTa and the one token type are already worked in);
    `layer.N.qkv`, `.context`, `.up`, `.down`, `head.dense`, `head.out` with `.weight` and
    `.bias`; `embeddings.norm`, `layer.N.norm1`, `layer.N.norm2` likewise.
    """

    shape: Shape
    arrays: dict[str, Array]


def from_checkpoint(model: Any, max_length: int, pad_id: int, unk_id: int) -> EncoderWeights:
    """Weights of a BERT or (XLM-)RoBERTa sequence classifier of transformers.

    Raises:
        TrainingError: another architecture, or a detail of it that the graphs don't have.
    """
    config = model.config
    prefix = FAMILIES.get(config.model_type)
    if prefix is None:
        raise TrainingError(f"cannot export model type {config.model_type!r}; these can be: {', '.join(FAMILIES)}")
    if config.hidden_act != "gelu":
        raise TrainingError(f"cannot export activation {config.hidden_act!r}; only gelu")
    state = {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
    offset = 0 if config.model_type == "bert" else config.pad_token_id + 1
    positions = state[f"{prefix}.embeddings.position_embeddings.weight"][offset:]
    if len(positions) < max_length:
        raise TrainingError(f"the checkpoint has {len(positions)} positions, fewer than {max_length}")
    token_type = state[f"{prefix}.embeddings.token_type_embeddings.weight"][0]
    arrays: dict[str, Array] = {
        "embeddings.word": state[f"{prefix}.embeddings.word_embeddings.weight"],
        "embeddings.position": positions[:max_length] + token_type,
    }

    def copy(ours: str, theirs: str, transpose: bool = True) -> None:
        weight = state[f"{theirs}.weight"]
        arrays[f"{ours}.weight"] = weight.T if transpose else weight
        arrays[f"{ours}.bias"] = state[f"{theirs}.bias"]

    copy("embeddings.norm", f"{prefix}.embeddings.LayerNorm", transpose=False)
    for layer in range(config.num_hidden_layers):
        ours, theirs = f"layer.{layer}", f"{prefix}.encoder.layer.{layer}"
        parts = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
        arrays[f"{ours}.qkv.weight"] = np.hstack([state[f"{part}.weight"].T for part in parts])
        arrays[f"{ours}.qkv.bias"] = np.hstack([state[f"{part}.bias"] for part in parts])
        copy(f"{ours}.context", f"{theirs}.attention.output.dense")
        copy(f"{ours}.norm1", f"{theirs}.attention.output.LayerNorm", transpose=False)
        copy(f"{ours}.up", f"{theirs}.intermediate.dense")
        copy(f"{ours}.down", f"{theirs}.output.dense")
        copy(f"{ours}.norm2", f"{theirs}.output.LayerNorm", transpose=False)
    is_bert = config.model_type == "bert"
    copy("head.dense", "bert.pooler.dense" if is_bert else "classifier.dense")
    copy("head.out", "classifier" if is_bert else "classifier.out_proj")
    shape = Shape(
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        intermediate=config.intermediate_size,
        vocabulary=config.vocab_size,
        max_length=max_length,
        pad_id=pad_id,
        unk_id=unk_id,
        layer_norm_epsilon=config.layer_norm_eps,
    )
    return EncoderWeights(shape, {name: np.ascontiguousarray(a) for name, a in arrays.items()})


def from_cpu_graph(path: Path, shape: Shape) -> EncoderWeights:
    """The weights in a published CPU graph, dequantised where they are int8."""
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    arrays: dict[str, Array] = {}
    for name, array in tensors.items():
        if name.endswith(".int8"):
            base = name.removesuffix(".int8")
            arrays[base] = array.astype(np.float32) * tensors[f"{base}.scale"]
        elif not name.endswith(".scale") and not name.startswith(UNNAMED):
            arrays[name] = array
    last = f"layer.{shape.layers - 1}"
    for part in ("weight", "bias"):
        pieces = [arrays.pop(f"{last}.{piece}.{part}") for piece in ("q", "kv")]
        arrays[f"{last}.qkv.{part}"] = np.concatenate(pieces, axis=-1)
    return EncoderWeights(shape, arrays)
