"""The graph for CPUs: no padding outside attention, int8 weights, one activation scale per row.

Hidden states are `[tokens, hidden]` over all rows of all requests. Only attention sees padded
tiles, made with gathers. The last layer answers for the first token of each row alone, since
nothing else reaches the classifier.

Activations are quantised per token, not with one scale over the batch as ONNX Runtime's
dynamic quantisation does: a row's answer must not depend on its neighbours.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from training.export.graph import CONTRIB, GraphWriter, Tokens, clean_tokens
from training.export.weights import Array, EncoderWeights

Precision = Literal["fp32", "int8"]

# Seven bits: processors without VNNI add pairs of uint8 × int8 products in 16 bits, which
# overflow silently with eight. With seven every processor gives the same answer.
WEIGHT_RANGE: Final = 63
# How many times its tokens a tile may hold before the rows are parted in two.
MOSTLY_PADDING: Final = 4


class _Linear:
    """Writes matrix products and embedding look-ups in one of the two precisions."""

    def __init__(self, g: GraphWriter, weights: EncoderWeights, precision: Precision) -> None:
        self._g = g
        self._arrays = weights.arrays
        self._precision = precision

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

    def product(self, name: str, x: str, weight: Array | None = None, bias: Array | None = None) -> str:
        """`x · weight + bias`, float32 `[n, out]`."""
        g = self._g
        weight = self._arrays[f"{name}.weight"] if weight is None else weight
        bias = self._arrays[f"{name}.bias"] if bias is None else bias
        bias_name = g.constant(bias, f"{name}.bias")
        if self._precision == "fp32":
            return str(g.node("Add", g.node("MatMul", x, g.constant(weight, f"{name}.weight")), bias_name))
        table, scale = quantise(weight, axis=0, largest=WEIGHT_RANGE)
        quantised, row_scale = self.quantised_rows(x)
        integers = g.node(
            "MatMulInteger", quantised, g.constant(table, f"{name}.weight.int8"), g.constant(np.uint8(128))
        )  # fmt: skip
        scaled = g.node("Mul", g.node("Cast", integers, to=TensorProto.FLOAT), row_scale)
        scaled = g.node("Mul", scaled, g.constant(scale, f"{name}.weight.scale"))
        return str(g.node("Add", scaled, bias_name))

    def quantised_rows(self, x: str) -> tuple[str, str]:
        """`x` as uint8 around 128, and its scale per row, float32 `[n, 1]`.

        Unsigned, because ONNX Runtime has fast kernels for unsigned times signed alone.
        """
        g = self._g
        largest = g.node("ReduceMax", g.node("Abs", x), axes=[-1], keepdims=1)
        scale = g.node("Max", g.node("Mul", largest, g.constant(np.float32(1 / 127))), g.constant(np.float32(1e-12)))
        rounded = g.node("Add", g.node("Round", g.node("Div", x, scale)), g.constant(np.float32(128)))
        integers = g.node("Cast", rounded, to=TensorProto.UINT8)
        return integers, scale


def quantise(array: Array, axis: int, largest: int) -> tuple[npt.NDArray[np.int8], Array]:
    """Symmetric int8 within ±`largest`, and the scale for each line along `axis`, which is kept."""
    peak = np.abs(array).max(axis=axis, keepdims=True)
    scale = np.maximum(peak / largest, 1e-12).astype(np.float32)
    return np.round(array / scale).astype(np.int8), scale


def build_cpu_graph(weights: EncoderWeights, precision: Precision) -> onnx.ModelProto:
    """Write the graph: `input_ids` int64 `[n]`, `item_shape` int32 `[b, 1]` → `[b, 6]` float32.

    fp32 exists to be compared with PyTorch and with int8; int8 is what is published.
    """
    g, shape = GraphWriter(), weights.shape
    linear = _Linear(g, weights, precision)
    tokens = clean_tokens(g, shape)

    def norm(name: str, x: str, residual: str | None) -> str:
        parameters = linear.plain(f"{name}.weight"), linear.plain(f"{name}.bias")
        if residual is None:
            return str(g.node("LayerNormalization", x, *parameters, axis=-1, epsilon=shape.layer_norm_epsilon))
        return str(
            g.node("SkipLayerNormalization", x, residual, *parameters, domain=CONTRIB, epsilon=shape.layer_norm_epsilon)
        )  # fmt: skip

    x = g.node(
        "Add", linear.look_up("embeddings.word", tokens.ids), linear.look_up("embeddings.position", tokens.position)
    )  # fmt: skip
    x = norm("embeddings.norm", x, None)
    attention = _Attention(g, tokens, shape.heads, shape.hidden)
    for layer in range(shape.layers):
        name = f"layer.{layer}"
        if layer < shape.layers - 1:
            q, k, v = g.node("Split", linear.product(f"{name}.qkv", x), axis=-1, outputs=3)
            context = attention(q, k, v, first_only=False)
        else:
            weight, bias = weights.arrays[f"{name}.qkv.weight"], weights.arrays[f"{name}.qkv.bias"]
            kv = linear.product(f"{name}.kv", x, weight[:, shape.hidden :], bias[shape.hidden :])
            k, v = g.node("Split", kv, axis=-1, outputs=2)
            x = g.node("Gather", x, tokens.starts)
            q = linear.product(f"{name}.q", x, weight[:, : shape.hidden], bias[: shape.hidden])
            context = attention(q, k, v, first_only=True)
        x = norm(f"{name}.norm1", linear.product(f"{name}.context", context), x)
        up = g.node("Gelu", linear.product(f"{name}.up", x), domain=CONTRIB)
        x = norm(f"{name}.norm2", linear.product(f"{name}.down", up), x)
    pooled = g.node("Tanh", linear.product("head.dense", x))
    logits = linear.product("head.out", pooled)
    return g.finish(g.node("Sigmoid", logits), f"Zero-padding encoder, {precision}")


class _Attention:
    """Multi-head attention over `[tokens, hidden]`, through padded tiles `[rows, longest, hidden]`.

    All rows share one tile, unless that would be mostly padding, as when a long row comes among short
    ones. Then the rows longer than twice the mean get a tile of their own: a client's long row must not
    make its neighbours wait.
    """

    def __init__(self, g: GraphWriter, tokens: Tokens, heads: int, hidden: int) -> None:
        self._g, self._tokens, self._heads, self._hidden = g, tokens, heads, hidden
        rows = g.node("Reshape", g.node("Shape", tokens.lengths), g.integers())
        size = g.node("Mul", rows, tokens.longest)
        self._parted = g.node("Greater", size, g.node("Mul", tokens.count, g.integer(MOSTLY_PADDING)))
        self._twice_mean = g.node("Div", g.node("Mul", tokens.count, g.integer(2)), rows)
        self._tile = self._tile_of(tokens.starts, tokens.longest)
        self._back = g.node("Add", g.node("Mul", tokens.row, tokens.longest), tokens.position)

    def __call__(self, q: str, k: str, v: str, *, first_only: bool) -> str:
        """Context of every token, or of each row's first; `q` is `[tokens, hidden]` or `[rows, hidden]`."""
        g = self._g

        def together() -> str:
            queries = g.node("Unsqueeze", q, g.integers(1)) if first_only else g.node("Gather", q, self._tile)
            context = self._attend(queries, k, v, self._tile, self._tokens.lengths)
            return context if first_only else str(g.node("Gather", context, self._back))

        return g.choose(self._parted, lambda: self._in_two_parts(q, k, v, first_only), together)

    def _in_two_parts(self, q: str, k: str, v: str, first_only: bool) -> str:
        g, tokens = self._g, self._tokens
        is_long = g.node("Greater", tokens.lengths, self._twice_mean)
        contexts, places = [], []
        for mask in (g.node("Not", is_long), is_long):
            rows = g.node("Reshape", g.node("NonZero", mask), g.integers(-1))
            lengths = g.node("Gather", tokens.lengths, rows)
            longest = g.node("ReduceMax", lengths, keepdims=0)
            tile = self._tile_of(g.node("Gather", tokens.starts, rows), longest)
            queries = g.node("Gather", q, rows if first_only else tile)
            queries = g.node("Unsqueeze", queries, g.integers(1)) if first_only else queries
            contexts.append(self._attend(queries, k, v, tile, lengths))
            place = g.node(
                "Sub", g.node("CumSum", g.node("Cast", mask, to=TensorProto.INT64), g.integer(0)), g.integer(1)
            )
            places.append(place if first_only else g.node("Mul", place, longest))
        short = g.node("Gather", g.node("Shape", contexts[0]), g.integer(0))
        place = g.node("Where", is_long, g.node("Add", places[1], short), places[0])
        if not first_only:
            place = g.node("Add", g.node("Gather", place, tokens.row), tokens.position)
        return str(g.node("Gather", g.node("Concat", *contexts, axis=0), place))

    def _tile_of(self, starts: str, longest: str) -> str:
        """Which token stands where in a tile; past a row's end another row's or the last, masked later."""
        g = self._g
        span = g.node("Range", g.integer(0), longest, g.integer(1))
        tile = g.node("Add", g.node("Unsqueeze", starts, g.integers(1)), g.node("Unsqueeze", span, g.integers(0)))
        return str(g.node("Min", tile, g.node("Sub", self._tokens.count, g.integer(1))))

    def _attend(self, queries: str, k: str, v: str, tile: str, lengths: str) -> str:
        g = self._g
        keys, values = (g.node("Gather", part, tile) for part in (k, v))
        lengths = g.node("Cast", lengths, to=TensorProto.INT32)
        context = g.node(
            "MultiHeadAttention", queries, keys, values, "", lengths, domain=CONTRIB, num_heads=self._heads
        )  # fmt: skip
        return str(g.node("Reshape", context, g.integers(-1, self._hidden)))
