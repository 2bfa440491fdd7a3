"""An encoder's weights as plain arrays, from a checkpoint or back from a published CPU graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.encoder.label_columns import SOFTMAX

Array = npt.NDArray[np.float32]
UNNAMED: Final = "const_"
"""How the names of a graph's constants begin that are no weights."""
GELU_BELOW_ZERO: Final = 0.17
"""What int8 graphs add to GELU's results, so that none is negative (the least is -0.16998)."""
LESS_ADDED: Final = "bias_less_added"
"""The name in such a graph of `down`'s bias less what comes of that addition."""
FAMILIES: Final = "BERT, RoBERTa and XLM-RoBERTa can be exported, and encoders built the same way"
LARGEST_BYTES: Final = 2 * 1024**3
"""What one ONNX file can hold."""


@dataclass(frozen=True)
class Shape:
    """What the graphs must know beside the weights; also the card's `architecture`.

    `max_length` counts tokens; `pad_id` and `unk_id` are the tokenizer's. `softmax_classes` is 0 where each emotion has
    a sigmoid; otherwise one softmax over so many classes makes the probabilities, of which ours are the first six.
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
    softmax_classes: int = 0

    @property
    def classes(self) -> int:
        """The columns of the head."""
        return self.softmax_classes or len(EMOTIONS)


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


class _State:
    """A checkpoint's tensors by name; what is taken is ticked off."""

    def __init__(self, model: Any) -> None:
        self._model_type = model.config.model_type
        self._left: dict[str, Array] = {
            name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()
        }

    def take(self, name: str, shape: tuple[int, ...] | None = None) -> Array:
        if name not in self._left:
            raise TrainingError(f"cannot export model type {self._model_type!r}: it has no {name}. {FAMILIES}")
        array = self._left.pop(name)
        if shape is not None and array.shape != shape:
            raise TrainingError(f"cannot export {name}: its shape is {array.shape}, not {shape}")
        return array

    def check_nothing_left(self) -> None:
        if self._left:
            names = ", ".join(list(self._left)[:3])
            raise TrainingError(
                f"cannot export model type {self._model_type!r}: the graphs have no place for {names}"
                f" ({len(self._left)} in all). {FAMILIES}"
            )


def _check_details(config: Any) -> None:
    """That nothing in the configuration asks for what the graphs don't do and no weight would show."""
    for name, wanted in (
        ("hidden_act", "gelu"),
        ("position_embedding_type", "absolute"),
        ("is_decoder", False),
        ("add_cross_attention", False),
    ):
        found = getattr(config, name, wanted)
        if found != wanted:
            raise TrainingError(f"cannot export {name} {found!r}; only {wanted!r}")


def from_checkpoint(model: Any, max_length: int, pad_id: int, unk_id: int) -> EncoderWeights:
    """Weights of a BERT or (XLM-)RoBERTa sequence classifier of transformers, or of one built like them.

    Another model type whose weights have the same names is taken too: whether it also computes the same
    is for the gate's comparison with PyTorch to say.

    Raises:
        TrainingError: a weight is missing, has another shape or has no place in the graphs; or a detail of
            the configuration that the graphs don't have.
    """
    config, prefix = model.config, model.base_model_prefix
    _check_details(config)
    state, hidden = _State(model), config.hidden_size
    words = state.take(f"{prefix}.embeddings.word_embeddings.weight", (config.vocab_size, hidden))
    if not (0 <= pad_id < len(words) and 0 <= unk_id < len(words)):
        raise TrainingError(f"pad id {pad_id} and unknown id {unk_id} must be below the vocabulary's {len(words)}")
    positions = state.take(f"{prefix}.embeddings.position_embeddings.weight")
    # RoBERTa counts positions from after its pad id, which the table marks as padding; BERT from 0.
    padding = model.get_submodule(f"{prefix}.embeddings.position_embeddings").padding_idx
    positions = positions[0 if padding is None else padding + 1 :]
    if len(positions) < max_length:
        raise TrainingError(f"the checkpoint has {len(positions)} positions, fewer than {max_length}")
    token_type = state.take(f"{prefix}.embeddings.token_type_embeddings.weight")[0]
    arrays: dict[str, Array] = {
        "embeddings.word": words,
        "embeddings.position": positions[:max_length] + token_type,
    }

    def copy(ours: str, theirs: str, inner: int, outer: int) -> None:
        arrays[f"{ours}.weight"] = state.take(f"{theirs}.weight", (outer, inner)).T
        arrays[f"{ours}.bias"] = state.take(f"{theirs}.bias", (outer,))

    def copy_norm(ours: str, theirs: str) -> None:
        arrays[f"{ours}.weight"] = state.take(f"{theirs}.weight", (hidden,))
        arrays[f"{ours}.bias"] = state.take(f"{theirs}.bias", (hidden,))

    copy_norm("embeddings.norm", f"{prefix}.embeddings.LayerNorm")
    for layer in range(config.num_hidden_layers):
        ours, theirs = f"layer.{layer}", f"{prefix}.encoder.layer.{layer}"
        parts = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
        # Pruned heads would show here, as other shapes.
        weights = [state.take(f"{part}.weight", (hidden, hidden)).T for part in parts]
        arrays[f"{ours}.qkv.weight"] = np.hstack(weights)
        arrays[f"{ours}.qkv.bias"] = np.hstack([state.take(f"{part}.bias", (hidden,)) for part in parts])
        copy(f"{ours}.context", f"{theirs}.attention.output.dense", hidden, hidden)
        copy_norm(f"{ours}.norm1", f"{theirs}.attention.output.LayerNorm")
        copy(f"{ours}.up", f"{theirs}.intermediate.dense", hidden, config.intermediate_size)
        copy(f"{ours}.down", f"{theirs}.output.dense", config.intermediate_size, hidden)
        copy_norm(f"{ours}.norm2", f"{theirs}.output.LayerNorm")
    has_pooler = f"{prefix}.pooler.dense.weight" in model.state_dict()
    classes = config.num_labels if config.problem_type == SOFTMAX else 0
    copy("head.dense", f"{prefix}.pooler.dense" if has_pooler else "classifier.dense", hidden, hidden)
    copy("head.out", "classifier" if has_pooler else "classifier.out_proj", hidden, classes or len(EMOTIONS))
    state.check_nothing_left()
    if sum(array.nbytes for array in arrays.values()) >= LARGEST_BYTES:
        raise TrainingError(
            "the weights take more than 2 GB in fp32, which one ONNX file cannot hold: take a smaller one"
        )
    shape = Shape(
        layers=config.num_hidden_layers,
        hidden=hidden,
        heads=config.num_attention_heads,
        intermediate=config.intermediate_size,
        vocabulary=config.vocab_size,
        max_length=max_length,
        pad_id=pad_id,
        unk_id=unk_id,
        layer_norm_epsilon=config.layer_norm_eps,
        softmax_classes=classes,
    )
    return EncoderWeights(shape, {name: np.ascontiguousarray(a) for name, a in arrays.items()})


def with_folded_norms(weights: EncoderWeights) -> dict[str, Array]:
    """The arrays with `up_normalised` instead of `up`: it reads what `norm1` has before its own weight and bias.

    These are in `up_normalised` then. An encoder that learned outliers made them with that weight, so that what is
    quantised for the product has smaller ones.
    """
    arrays = dict(weights.arrays)
    for layer in range(weights.shape.layers):
        name = f"layer.{layer}"
        up = arrays.pop(f"{name}.up.weight")
        arrays[f"{name}.up_normalised.weight"] = arrays[f"{name}.norm1.weight"][:, None] * up
        arrays[f"{name}.up_normalised.bias"] = arrays.pop(f"{name}.up.bias") + arrays[f"{name}.norm1.bias"] @ up
    return arrays


def _unfold(arrays: dict[str, Array], layers: int) -> None:
    """Give back `up` and the biases, where a graph has others instead."""
    for layer in range(layers):
        name = f"layer.{layer}"
        if f"{name}.up_normalised.weight" in arrays:
            factor, folded = arrays[f"{name}.norm1.weight"][:, None], arrays.pop(f"{name}.up_normalised.weight")
            # A channel without a weight gives its bias alone, which is in the product's bias.
            up = np.divide(folded, factor, out=np.zeros_like(folded), where=factor != 0)
            arrays[f"{name}.up.weight"] = up
            arrays[f"{name}.up.bias"] = arrays.pop(f"{name}.up_normalised.bias") - arrays[f"{name}.norm1.bias"] @ up
        if f"{name}.down.{LESS_ADDED}" in arrays:
            bias, weight = arrays.pop(f"{name}.down.{LESS_ADDED}"), arrays[f"{name}.down.weight"]
            arrays[f"{name}.down.bias"] = bias + GELU_BELOW_ZERO * weight.sum(axis=0)[: len(bias)]


def from_cpu_graph(path: Path, shape: Shape) -> EncoderWeights:
    """The weights in a published CPU graph, dequantised where they are int8.

    Without the zeros that pad a product's width there: graphs from before they were padded are read alike.
    """
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    arrays: dict[str, Array] = {}
    for name, array in tensors.items():
        if name.endswith(".int8"):
            base = name.removesuffix(".int8")
            arrays[base] = array.astype(np.float32) * tensors[f"{base}.scale"]
        elif not name.endswith(".scale") and not name.startswith(UNNAMED):
            arrays[name] = array
    _unfold(arrays, shape.layers)
    last = f"layer.{shape.layers - 1}"
    for part in ("weight", "bias"):
        pieces = [arrays.pop(f"{last}.{piece}.{part}") for piece in ("q", "kv")]
        # What pads `q` would stand between the two.
        pieces[0] = pieces[0][..., : shape.hidden]
        arrays[f"{last}.qkv.{part}"] = np.concatenate(pieces, axis=-1)
    for name, width in _product_widths(shape).items():
        inner, outer = width
        arrays[f"{name}.weight"] = np.ascontiguousarray(arrays[f"{name}.weight"][:inner, :outer])
        arrays[f"{name}.bias"] = arrays[f"{name}.bias"][:outer].copy()
    return EncoderWeights(shape, arrays)


def _product_widths(shape: Shape) -> dict[str, tuple[int, int]]:
    """Inner and outer width of every matrix product's weights."""
    hidden, intermediate = shape.hidden, shape.intermediate
    widths = {"head.dense": (hidden, hidden), "head.out": (hidden, shape.classes)}
    for layer in range(shape.layers):
        widths[f"layer.{layer}.qkv"] = (hidden, 3 * hidden)
        widths[f"layer.{layer}.context"] = (hidden, hidden)
        widths[f"layer.{layer}.up"] = (hidden, intermediate)
        widths[f"layer.{layer}.down"] = (intermediate, hidden)
    return widths
