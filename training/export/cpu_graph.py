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
from onnx import TensorProto, numpy_helper

from training.export.cpu_attention import TILES, OneRow, Tiles
from training.export.graph import CONTRIB, GraphWriter, Tokens, clean_tokens
from training.export.weights import Array, EncoderWeights, Shape

Precision = Literal["fp32", "int8"]
Lines = Literal["tokens", "rows"]

# Seven bits: processors without VNNI add pairs of uint8 × int8 products in 16 bits, which
# overflow silently with eight. With seven every processor gives the same answer.
WEIGHT_RANGE: Final = 63
_ZERO_POINT: Final = 128


class _Linear:
    """Writes matrix products and embedding look-ups in one of the two precisions."""

    def __init__(self, g: GraphWriter, weights: EncoderWeights, precision: Precision, tokens: Tokens) -> None:
        self._g = g
        self._arrays = weights.arrays
        self._precision = precision
        if precision == "int8":
            # One for each line that is quantised, as QuantizeLinear wants them; made once for all products.
            self._zero_points = {
                "tokens": self._zeros_like(tokens.ids),
                "rows": self._zeros_like(tokens.lengths),
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

    def product(self, name: str, x: str, lines: Lines, weight: Array | None = None, bias: Array | None = None) -> str:
        """`x · weight + bias`, float32 `[n, out]`; `lines` says whether n counts tokens or rows."""
        g = self._g
        bias = self._arrays[f"{name}.bias"] if bias is None else bias
        return str(g.node("Add", self._unbiased(name, x, lines, weight), g.constant(bias, f"{name}.bias")))

    def _unbiased(self, name: str, x: str, lines: Lines, weight: Array | None) -> str:
        g = self._g
        weight = self._arrays[f"{name}.weight"] if weight is None else weight
        if self._precision == "fp32":
            return str(g.node("MatMul", x, g.constant(weight, f"{name}.weight")))
        table, scale = quantise(weight, axis=0, largest=WEIGHT_RANGE)
        quantised, line_scale = self._quantised(x, lines)
        scaled = g.node(
            "MatMulIntegerToFloat", quantised, g.constant(table, f"{name}.weight.int8"), g.constant(np.float32(1)),
            g.constant(scale[0], f"{name}.weight.scale"), g.constant(np.uint8(_ZERO_POINT)), domain=CONTRIB,
        )  # fmt: skip
        return str(g.node("Mul", scaled, line_scale))

    def _quantised(self, x: str, lines: Lines) -> tuple[str, str]:
        """`x` as uint8 around 128, and its scale per line, float32 `[n, 1]`.

        Unsigned, because ONNX Runtime has fast kernels for unsigned times signed alone.
        """
        g = self._g
        highest, lowest = (g.node(op, x, axes=[-1], keepdims=0) for op in ("ReduceMax", "ReduceMin"))
        largest = g.node("Max", highest, g.node("Neg", lowest), g.constant(np.float32(1e-10)))
        scale = g.node("Mul", largest, g.constant(np.float32(1 / 127)))
        integers = g.node("QuantizeLinear", x, scale, self._zero_points[lines], axis=0)
        return integers, g.node("Unsqueeze", scale, g.integers(1))

    def _zeros_like(self, lines: str) -> str:
        value = numpy_helper.from_array(np.array([_ZERO_POINT], dtype=np.uint8))
        return str(self._g.node("ConstantOfShape", self._g.node("Shape", lines), value=value))


def quantise(array: Array, axis: int, largest: int) -> tuple[npt.NDArray[np.int8], Array]:
    """Symmetric int8 within ±`largest`, and the scale for each line along `axis`, which is kept."""
    peak = np.abs(array).max(axis=axis, keepdims=True)
    scale = np.maximum(peak / largest, 1e-12).astype(np.float32)
    return np.round(array / scale).astype(np.int8), scale


def fused_operators(shape: Shape) -> dict[str, int]:
    """The operators that the int8 graph must have; its encoder is there twice, for one row and for more."""
    products = 2 * (4 * shape.layers + 1) + 2
    return {
        "MultiHeadAttention": (1 + TILES) * shape.layers,
        "LayerNormalization": 2 * (2 * shape.layers + 1),
        "MatMulIntegerToFloat": products,
        "QuantizeLinear": products,
    }


def build_cpu_graph(weights: EncoderWeights, precision: Precision) -> onnx.ModelProto:
    """Write the graph: `input_ids` int64 `[n]`, `item_shape` int32 `[b, 1]` → `[b, 6]` float32.

    fp32 exists to be compared with PyTorch and with int8; int8 is what is published.
    """
    g, shape = GraphWriter(), weights.shape
    tokens = clean_tokens(g, shape)
    linear = _Linear(g, weights, precision, tokens)
    rows = g.node("Reshape", g.node("Shape", tokens.lengths), g.integers())
    # Both branches have the same weights, which lie outside of them.
    first = g.choose(
        g.node("Equal", rows, g.integer(1)),
        lambda: _encoder(g, weights, linear, tokens, OneRow(g, shape, tokens)),
        lambda: _encoder(g, weights, linear, tokens, Tiles(g, shape, tokens)),
    )
    pooled = g.node("Tanh", linear.product("head.dense", first, "rows"))
    logits = linear.product("head.out", pooled, "rows")
    return g.finish(g.node("Sigmoid", logits), f"Zero-padding encoder, {precision}")


def _encoder(
    g: GraphWriter, weights: EncoderWeights, linear: _Linear, tokens: Tokens, attention: OneRow | Tiles
) -> str:
    """The last hidden state of each row's first token, float32 `[rows, hidden]`."""
    shape = weights.shape

    def norm(name: str, x: str) -> str:
        parameters = linear.plain(f"{name}.weight"), linear.plain(f"{name}.bias")
        # Not the fused SkipLayerNormalization: on CPUs it takes several times as long as these two.
        return str(g.node("LayerNormalization", x, *parameters, axis=-1, epsilon=shape.layer_norm_epsilon))

    def add(a: str, b: str) -> str:
        return str(g.node("Add", a, b))

    x = add(linear.look_up("embeddings.word", tokens.ids), linear.look_up("embeddings.position", tokens.position))
    x = norm("embeddings.norm", x)
    lines: Lines = "tokens"
    for layer in range(shape.layers):
        name = f"layer.{layer}"
        if layer < shape.layers - 1:
            q, k, v = g.node("Split", linear.product(f"{name}.qkv", x, lines), axis=-1, outputs=3)
            context = attention(q, k, v, first_only=False)
        else:
            weight, bias = weights.arrays[f"{name}.qkv.weight"], weights.arrays[f"{name}.qkv.bias"]
            kv = linear.product(f"{name}.kv", x, lines, weight[:, shape.hidden :], bias[shape.hidden :])
            k, v = g.node("Split", kv, axis=-1, outputs=2)
            x, lines = g.node("Gather", x, tokens.starts), "rows"
            q = linear.product(f"{name}.q", x, lines, weight[:, : shape.hidden], bias[: shape.hidden])
            context = attention(q, k, v, first_only=True)
        x = norm(f"{name}.norm1", add(linear.product(f"{name}.context", context, lines), x))
        up = g.node("Gelu", linear.product(f"{name}.up", x, lines), domain=CONTRIB)
        x = norm(f"{name}.norm2", add(linear.product(f"{name}.down", up, lines), x))
    return x
