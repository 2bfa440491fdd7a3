"""The graph for CPUs: no padding outside attention, int8 weights, one activation scale per row.

Hidden states are `[tokens, hidden]` over all rows of all requests. Only attention sees padded
tiles, made with gathers. The last layer answers for the first token of each row alone, since
nothing else reaches the classifier.

Activations are quantised per token, not with one scale over the batch as ONNX Runtime's
dynamic quantisation does: a row's answer must not depend on its neighbours.

Every operator must give the same bits on every ONNX Runtime. A last bit moves some activation to the next
of its 255 steps, that moves more of them in every layer behind it, and the answer is off by as much as int8
itself costs.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from training.export.graphs.cpu_attention import TILES as _TILES, TILES_OF_FEW, OneRow, Tiles
from training.export.graphs.weights import (
    GELU_BELOW_ZERO,
    LESS_ADDED,
    Array,
    EncoderWeights,
    Shape,
    with_folded_norms,
)
from training.export.graphs.writer import CONTRIB, GraphWriter, Tokens, clean_tokens

Precision = Literal["fp32", "int8"]
Lines = Literal["tokens", "rows"]
TILES=int(os.environ.get("NT",_TILES))

# Seven bits: processors without VNNI add pairs of uint8 × int8 products in 16 bits, which
# overflow silently with eight. With seven every processor gives the same answer.
WEIGHT_RANGE: Final = 63
WIDTH_MULTIPLE: Final = 16
"""Of every product's columns: zeros fill up.

On processors with AMX, ONNX Runtime up to 1.24.4 gets columns wrong where 17 to 31 are left over from a multiple of 32
and there are 32 lines or more, whatever the inner width (mended by its pull request 27671). Sixteen columns are what
its threads share out, so multiples of 16 leave nothing over for any of them.
"""
_READS_PADDED: Final = (".down", "head.out")
"""Products that read a padded one, through GELU or tanh, which leave zeros zero: they have as many rows of zeros."""
_ZERO_POINT: Final = 128


@dataclass(frozen=True)
class Activations:
    """What a product reads: `values` `[n, width]`, uint8 with a `scale` float32 `[n, 1]`, or float32 without one.

    `zero_point` stands for zero, or with `added` for minus that: what was added to all values to make them positive.
    """

    values: str
    scale: str | None = None
    zero_point: int = _ZERO_POINT
    added: float = 0.0


class _Linear:
    """Writes matrix products and embedding look-ups in one of the two precisions."""

    def __init__(self, g: GraphWriter, weights: EncoderWeights, precision: Precision) -> None:
        self._g = g
        self._arrays = _with_parted_last_layer(with_folded_norms(weights), weights.shape)
        self._precision = precision
        self._zero_points: dict[tuple[Lines, int], str] = {}

    def of(self, tokens: Tokens) -> None:
        """Products are of these tokens from now on."""
        if self._precision == "int8":
            # One for each line that is quantised, as QuantizeLinear wants them; made once for all products.
            self._zero_points = {
                (lines, value): self._filled_like(like, value)
                for lines, like in (("tokens", tokens.ids), ("rows", tokens.lengths))
                for value in (_ZERO_POINT, 0)
            }

    def plain(self, name: str) -> str:
        return self._g.constant(self._arrays[name], name)

    def look_up(self, name: str, ids: str) -> str:
        """Rows of an embedding table, float32 `[n, hidden]`."""
        g = self._g
        if self._precision == "fp32":
            return str(g.node("Gather", self.plain(name), ids))
        table, scale = quantise(self._arrays[name], axis=1, largest=127)
        rows = g.node("Gather", g.constant(table, f"{name}.int8"), ids)
        scales = g.node("Gather", g.constant(scale, f"{name}.scale"), ids)
        return str(g.node("Mul", g.node("Cast", rows, to=TensorProto.FLOAT), scales))

    def activations(self, x: str, lines: Lines) -> Activations:
        """`x` float32 `[n, width]` as products read it; `lines` says whether n counts tokens or rows.

        In int8 around 128: unsigned, because ONNX Runtime has fast kernels for unsigned times signed alone.
        """
        g = self._g
        if self._precision == "fp32":
            return Activations(x)
        largest = g.node("ReduceMax", g.node("Abs", x), axes=[-1], keepdims=0)
        return self._quantised(x, largest, lines, Activations("", zero_point=_ZERO_POINT))

    def gelu_activations(self, x: str, lines: Lines) -> Activations:
        """The same of GELU's results, of which hardly anything is negative: all 255 steps are for what is positive."""
        g = self._g
        if self._precision == "fp32":
            return Activations(x)
        positive = g.node("Add", x, g.constant(np.float32(GELU_BELOW_ZERO)))
        largest = g.node("ReduceMax", positive, axes=[-1], keepdims=0)
        return self._quantised(positive, largest, lines, Activations("", zero_point=0, added=GELU_BELOW_ZERO))

    def _quantised(self, x: str, largest: str, lines: Lines, kind: Activations) -> Activations:
        """`largest` float32 `[n]` of each line of `x` becomes the last step."""
        g, steps = self._g, 255 - kind.zero_point
        scale = g.node("Mul", g.node("Max", largest, g.constant(np.float32(1e-10))), g.constant(np.float32(1 / steps)))
        values = g.node("QuantizeLinear", x, scale, self._zero_points[lines, kind.zero_point], axis=0)
        return replace(kind, values=values, scale=g.node("Unsqueeze", scale, g.integers(1)))

    def chosen(self, x: Activations, lines: str) -> Activations:
        """Some lines of `x`, by their numbers int64 `[m]`."""
        g = self._g
        return replace(x, values=g.node("Gather", x.values, lines), scale=x.scale and g.node("Gather", x.scale, lines))

    def product(self, name: str, x: Activations) -> str:
        """`x · weight + bias`, float32 `[n, out]`."""
        bias = self._arrays[f"{name}.bias"]
        g, width = self._g, len(bias)
        columns, from_added = self._columns(name, x)
        if width % WIDTH_MULTIPLE:
            columns = g.node("Slice", columns, g.integers(0), g.integers(width), g.integers(1))
        return self._finished(name, x, columns, bias - from_added[:width])

    def padded_product(self, name: str, x: Activations) -> str:
        """The same with columns of zeros at its end, `[n, out to the next WIDTH_MULTIPLE]`."""
        columns, from_added = self._columns(name, x)
        return self._finished(name, x, columns, _with_zeros(self._arrays[f"{name}.bias"], axis=0) - from_added)

    def _columns(self, name: str, x: Activations) -> tuple[str, Array]:
        """`x · weight` without the scale of `x`, and what of it comes from `x.added`, float32 `[out]`."""
        g = self._g
        weight = _with_zeros(self._arrays[f"{name}.weight"], axis=1)
        if name.endswith(_READS_PADDED):
            weight = _with_zeros(weight, axis=0)
        if x.scale is None:
            columns = g.node("MatMul", x.values, g.constant(weight, f"{name}.weight"))
            return columns, np.zeros(weight.shape[1], np.float32)
        table, scale = quantise(weight, axis=0, largest=WEIGHT_RANGE)
        columns = g.node(
            "MatMulIntegerToFloat", x.values, g.constant(table, f"{name}.weight.int8"), g.constant(np.float32(1)),
            g.constant(scale[0], f"{name}.weight.scale"), g.constant(np.uint8(x.zero_point)), domain=CONTRIB,
        )  # fmt: skip
        return columns, (x.added * table.sum(axis=0) * scale[0]).astype(np.float32)

    def _finished(self, name: str, x: Activations, columns: str, bias: Array) -> str:
        g = self._g
        scaled = g.node("Mul", columns, x.scale) if x.scale else columns
        return str(g.node("Add", scaled, g.constant(bias, f"{name}.{LESS_ADDED if x.added else 'bias'}")))

    def _filled_like(self, lines: str, value: int) -> str:
        filling = numpy_helper.from_array(np.array([value], dtype=np.uint8))
        return str(self._g.node("ConstantOfShape", self._g.node("Shape", lines), value=filling))


def _with_parted_last_layer(arrays: dict[str, Array], shape: Shape) -> dict[str, Array]:
    """With the last layer's `qkv` in two, since it has fewer queries than keys and values."""
    last = f"layer.{shape.layers - 1}"
    queries = {f"{last}.q.{part}": arrays[f"{last}.qkv.{part}"][..., : shape.hidden] for part in ("weight", "bias")}
    others = {f"{last}.kv.{part}": arrays[f"{last}.qkv.{part}"][..., shape.hidden :] for part in ("weight", "bias")}
    return {name: array for name, array in arrays.items() if not name.startswith(f"{last}.qkv.")} | queries | others


def _with_zeros(array: Array, axis: int) -> Array:
    """Padded with zeros to a multiple of `WIDTH_MULTIPLE` along `axis`."""
    padding = [(0, 0)] * array.ndim
    padding[axis] = (0, -array.shape[axis] % WIDTH_MULTIPLE)
    return np.pad(array, padding)


def quantise(array: Array, axis: int, largest: int) -> tuple[npt.NDArray[np.int8], Array]:
    """Symmetric int8 within ±`largest`, and the scale for each line along `axis`, which is kept."""
    peak = np.abs(array).max(axis=axis, keepdims=True)
    scale = np.maximum(peak / largest, 1e-12).astype(np.float32)
    return np.round(array / scale).astype(np.int8), scale


def fused_operators(shape: Shape) -> dict[str, int]:
    """The operators that the int8 graph must have; its encoder is there for one row, for few and for more."""
    return {
        "MultiHeadAttention": (1 + TILES_OF_FEW + TILES) * shape.layers,
        "InstanceNormalization": 3 * (2 * shape.layers + 1),
        "MatMulIntegerToFloat": 3 * (4 * shape.layers + 1),
        "QuantizeLinear": 3 * 4 * shape.layers,
    }


def build_cpu_graph(weights: EncoderWeights, precision: Precision) -> onnx.ModelProto:
    """Write the graph: `input_ids` int64 `[n]`, `item_shape` int32 `[b, 1]` → `[b, 6]` float32.

    fp32 exists to be compared with PyTorch and with int8; int8 is what is published.
    """
    g, shape = GraphWriter(), weights.shape
    tokens = clean_tokens(g, shape, by_length=True)
    linear = _Linear(g, weights, precision)
    first = _by_number_of_rows(g, shape, linear, tokens)
    _, rank = g.node("TopK", tokens.order, g.node("Shape", tokens.order), largest=0, outputs=2)
    first = g.node("Gather", first, rank)
    # In fp32: one line for each row costs little, and nothing behind it evens out what int8 would move.
    pooled = g.node("Tanh", linear.padded_product("head.dense", Activations(first)))
    logits = linear.product("head.out", Activations(pooled))
    return g.finish(g.probabilities(logits, shape), tokens.unless_empty, f"Zero-padding encoder, {precision}")


def _by_number_of_rows(g: GraphWriter, shape: Shape, linear: _Linear, tokens: Tokens) -> str:
    """The last hidden state of each row's first token, from the encoder for one row, for few or for more.

    One choice after the other, not one inside another: all have the same weights, which lie outside, and ONNX Runtime
    prepares weights for a branch of the graph, but not for a branch of a branch (6 to 20 % slower).
    """
    count = g.node("Shape", tokens.lengths)
    rows = g.node("Reshape", count, g.integers())
    is_one, is_below = g.node("Less", rows, g.integer(2)), g.node("Less", rows, g.integer(TILES))
    first = g.constant(np.zeros((0, shape.hidden), np.float32))

    def encode_if(condition: str, attention: Callable[[], OneRow | Tiles], before: str) -> str:
        return g.choose(
            condition,
            lambda: _encoder(g, shape, linear, tokens, attention()),
            lambda: str(g.node("Identity", before)),
        )

    first = encode_if(is_one, lambda: OneRow(g, shape, tokens), first)
    first = encode_if(g.node("Xor", is_one, is_below), lambda: Tiles(g, shape, tokens, TILES_OF_FEW), first)

    total = g.node("Reshape", g.node("Shape", tokens.ids), g.integers())
    pieces = g.node("Div", g.node("Add", total, g.integer(piece_tokens(shape) - 1)), g.integer(piece_tokens(shape)))
    bounds = g.node("Concat", tokens.starts, g.node("Shape", tokens.ids), axis=0)
    one = g.integer(1)

    def body(turn: str, begin: str, before: str) -> tuple[str, str, str]:
        edge = g.node("Div", g.node("Mul", g.node("Add", turn, one), total), pieces)
        end = g.node("ReduceSum", g.node("Cast", g.node("Less", tokens.starts, edge), to=TensorProto.INT64))
        end = g.node("Max", end, g.node("Add", begin, g.integer(TILES)))
        end = g.node("Where", g.node("Less", g.node("Sub", count, end), g.integer(TILES)), count, end)
        from_token, to_token = g.node("Gather", bounds, begin), g.node("Gather", bounds, end)

        def tokens_of(name: str) -> str:
            return str(g.node("Slice", name, from_token, to_token))

        def rows_of(name: str) -> str:
            return str(g.node("Slice", name, begin, end))

        piece = replace(
            tokens,
            ids=tokens_of(tokens.ids),
            row=g.node("Sub", tokens_of(tokens.row), begin),
            position=tokens_of(tokens.position),
            lengths=rows_of(tokens.lengths),
            starts=g.node("Sub", rows_of(tokens.starts), from_token),
        )
        made = _encoder(g, shape, linear, piece, Tiles(g, shape, piece, TILES))
        more = g.node("Reshape", g.node("Less", end, count), g.integers())
        return more, end, g.node("Concat", before, made, axis=0)

    carried = [(g.integers(0), TensorProto.INT64), (first, TensorProto.FLOAT)]
    return g.repeat(pieces, g.node("Not", is_below), carried, body)[1]


def piece_tokens(shape: Shape) -> int:
    """Tokens."""
    return int(os.environ.get("PT", "400"))


def _encoder(g: GraphWriter, shape: Shape, linear: _Linear, tokens: Tokens, attention: OneRow | Tiles) -> str:
    """The last hidden state of each row's first token, float32 `[rows, hidden]`."""

    def normalised(x: str) -> str:
        """Of mean 0 and variance 1 in each line.

        Not with LayerNormalization, whose last bits are other ones in ONNX Runtime 1.24, 1.27 and 1.31 (and which takes
        five times as long in 1.27 and 1.28). To this operator a line is one channel of an image.
        """
        images = g.node("Unsqueeze", x, g.integers(1))
        scale, shift = g.constant(np.ones(1, np.float32)), g.constant(np.zeros(1, np.float32))
        images = g.node("InstanceNormalization", images, scale, shift, epsilon=shape.layer_norm_epsilon)
        return str(g.node("Squeeze", images, g.integers(1)))

    def scaled(name: str, x: str) -> str:
        return add(g.node("Mul", x, linear.plain(f"{name}.weight")), linear.plain(f"{name}.bias"))

    def norm(name: str, x: str) -> str:
        return scaled(name, normalised(x))

    def add(a: str, b: str) -> str:
        return str(g.node("Add", a, b))

    def parts(padded: str, count: int) -> list[str]:
        """What is as wide as the hidden states, `count` times; the rest pads."""
        sizes = [shape.hidden] * count + [-count * shape.hidden % WIDTH_MULTIPLE]
        sizes = [size for size in sizes if size]
        return list(g.node("Split", padded, g.integers(*sizes), axis=-1, outputs=len(sizes)))[:count]

    linear.of(tokens)
    x = add(
        linear.look_up("embeddings.word", tokens.ids),
        g.node("Gather", linear.plain("embeddings.position"), tokens.position),
    )
    x = norm("embeddings.norm", x)
    lines: Lines = "tokens"
    for layer in range(shape.layers):
        name = f"layer.{layer}"
        read = linear.activations(x, lines)
        if layer < shape.layers - 1:
            q, k, v = parts(linear.padded_product(f"{name}.qkv", read), 3)
            context = attention(q, k, v, first_only=False)
        else:
            k, v = parts(linear.padded_product(f"{name}.kv", read), 2)
            q = linear.product(f"{name}.q", linear.chosen(read, tokens.starts))
            context = attention(q, k, v, first_only=True)
            x, lines = g.node("Gather", x, tokens.starts), "rows"
        out = linear.product(f"{name}.context", linear.activations(context, lines))
        standard = normalised(add(out, x))
        x = scaled(f"{name}.norm1", standard)
        up = linear.padded_product(f"{name}.up_normalised", linear.activations(standard, lines))
        up = g.node("Gelu", up, domain=CONTRIB)
        down = linear.product(f"{name}.down", linear.gelu_activations(up, lines))
        x = norm(f"{name}.norm2", add(down, x))
    return x
