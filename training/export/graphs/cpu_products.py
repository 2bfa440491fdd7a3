"""Matrix products of the CPU graph: int8 weights, and one activation scale per line of what they read.

ONNX Runtime's dynamic quantisation has one scale over the batch. With one per line a row's answer does not depend on
its neighbours.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from training.export.graphs.weights import (
    GELU_BELOW_ZERO,
    LESS_ADDED,
    Array,
    EncoderWeights,
    Shape,
    with_folded_norms,
)
from training.export.graphs.writer import CONTRIB, GraphWriter, Tokens

Precision = Literal["fp32", "int8"]
Lines = Literal["tokens", "rows"]

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


class Linear:
    """Writes matrix products and embedding look-ups over some tokens, in one of the two precisions.

    `arrays` are those that `arrays_of` gives.
    """

    def __init__(self, g: GraphWriter, arrays: dict[str, Array], precision: Precision, tokens: Tokens) -> None:
        self._g, self._arrays, self._precision = g, arrays, precision
        self._counted_like: dict[Lines, str] = {"tokens": tokens.ids, "rows": tokens.lengths}
        self._zero_points: dict[tuple[Lines, int], str] = {}

    def plain(self, name: str) -> str:
        """An array as it is."""
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
        values = g.node("QuantizeLinear", x, scale, self._zero_point(lines, kind.zero_point), axis=0)
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

    def _zero_point(self, lines: Lines, value: int) -> str:
        """One for each line that is quantised, as QuantizeLinear wants them; made once for all products."""
        if (lines, value) not in self._zero_points:
            filling = numpy_helper.from_array(np.array([value], dtype=np.uint8))
            counted = self._g.node("Shape", self._counted_like[lines])
            self._zero_points[lines, value] = self._g.node("ConstantOfShape", counted, value=filling)
        return self._zero_points[lines, value]


def arrays_of(weights: EncoderWeights) -> dict[str, Array]:
    """The weights as the CPU graph has them: norms folded into the products behind them, the last `qkv` in two."""
    return _with_parted_last_layer(with_folded_norms(weights), weights.shape)


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
