"""The graph for GPUs: fp16, no padding, packed attention; same inputs and output as the CPU's.

Hidden states are `[tokens, hidden]` over all rows, and the last layer answers for each row's first token alone, as
in the CPU graph. Attention is ONNX Runtime's PackedAttention, which has no CPU kernel: `portable.portable` writes the
same graph without it, for checks where no GPU is, and `server.gpu_check` is the check on one. docs/design.md says
why the graph is arranged so, and what it gains.
"""

from math import sqrt
from typing import Any, Final, Literal

import numpy as np
import onnx
from onnx import TensorProto

from training.export.graphs.weights import EncoderWeights, Shape
from training.export.graphs.writer import CONTRIB, GraphWriter, Tokens, clean_tokens

HEAD_MULTIPLE: Final = 8
"""PackedAttention's fast kernels take heads of such sizes alone."""


def fused_operators(shape: Shape) -> dict[str, int]:
    """The operators that the graph must have."""
    return {
        "PackedAttention": shape.layers,
        "BiasGelu": shape.layers,
        "SkipLayerNormalization": 2 * shape.layers + 1,
    }


def build_gpu_graph(weights: EncoderWeights, precision: Literal["fp32", "fp16"]) -> onnx.ModelProto:
    """Write the graph: `input_ids` int64 `[n]`, `item_shape` int32 `[b, 1]` → `[b, 6]` float32.

    fp16 is what is published; fp32 exists to be compared with PyTorch.
    """
    g, shape = GraphWriter(), weights.shape
    arrays = _with_padded_heads(weights)
    tokens = clean_tokens(g, shape)

    def plain(name: str) -> str:
        array = arrays[name]
        return g.constant(array if precision == "fp32" else array.astype(np.float16), name)

    def norm(name: str, x: str, residual: str, *bias: str) -> str:
        inputs = [x, residual, plain(f"{name}.weight"), plain(f"{name}.bias"), *bias]
        return str(g.node("SkipLayerNormalization", *inputs, domain=CONTRIB, epsilon=shape.layer_norm_epsilon))

    token_offset, cumulative = _token_offset(g, tokens), _cumulative(g, tokens)
    words = g.node("Gather", plain("embeddings.word"), tokens.ids)
    positions = g.node("Gather", plain("embeddings.position"), tokens.position)
    x = norm("embeddings.norm", words, positions)
    for layer in range(shape.layers):
        name = f"layer.{layer}"
        context = g.node(
            "PackedAttention", x, plain(f"{name}.qkv.weight"), plain(f"{name}.qkv.bias"), token_offset, cumulative,
            domain=CONTRIB, num_heads=shape.heads, scale=1 / sqrt(shape.hidden // shape.heads),
        )  # fmt: skip
        if layer == shape.layers - 1:
            context, x = (g.node("Gather", tensor, tokens.starts) for tensor in (context, x))
        out = g.node("MatMul", context, plain(f"{name}.context.weight"))
        x = norm(f"{name}.norm1", out, x, plain(f"{name}.context.bias"))
        up = g.node("MatMul", x, plain(f"{name}.up.weight"))
        up = g.node("BiasGelu", up, plain(f"{name}.up.bias"), domain=CONTRIB)
        down = g.node("MatMul", up, plain(f"{name}.down.weight"))
        x = norm(f"{name}.norm2", down, x, plain(f"{name}.down.bias"))
    pooled = g.node("Tanh", g.node("Gemm", x, plain("head.dense.weight"), plain("head.dense.bias")))
    logits = g.node("Gemm", pooled, plain("head.out.weight"), plain("head.out.bias"))
    if precision == "fp16":
        logits = g.node("Cast", logits, to=TensorProto.FLOAT)
    return g.finish(g.probabilities(logits, shape), tokens.unless_empty, f"Packed encoder, {precision}")


def _token_offset(g: GraphWriter, tokens: Tokens) -> str:
    """int32 `[rows, longest]`: a tile's places that have tokens, in order, then those that have none."""
    no_token = g.node("Not", g.node("Reshape", tokens.in_tile, g.integers(-1)))
    padding = g.node("Reshape", g.node("NonZero", no_token), g.integers(-1))
    places = g.node("Concat", tokens.places, padding, axis=0)
    return str(g.node("Reshape", g.node("Cast", places, to=TensorProto.INT32), g.node("Shape", tokens.in_tile)))


def _cumulative(g: GraphWriter, tokens: Tokens) -> str:
    """int32 `[rows + 1]`: where each row begins among the tokens, and where the last ends."""
    lengths = g.node("Concat", tokens.lengths, g.integers(0), axis=0)
    return str(g.node("Cast", g.node("CumSum", lengths, g.integer(0), exclusive=1), to=TensorProto.INT32))


def _with_padded_heads(weights: EncoderWeights) -> dict[str, Any]:
    """The weights' arrays; heads of `qkv`'s columns and `context`'s rows padded to a multiple of `HEAD_MULTIPLE`.

    The zeros add nothing to a product of a query and a key, and those of the context are met by zeros in its weight.
    """
    shape, arrays = weights.shape, dict(weights.arrays)
    size = shape.hidden // shape.heads
    missing = -size % HEAD_MULTIPLE
    if not missing:
        return arrays
    for layer in range(shape.layers):
        for name, axis in (("qkv.weight", 1), ("qkv.bias", 0), ("context.weight", 0)):
            array = arrays[f"layer.{layer}.{name}"]
            before, after = array.shape[:axis], array.shape[axis + 1 :]
            heads = array.reshape(*before, -1, size, *after)
            padding = [(0, missing if dimension == axis + 1 else 0) for dimension in range(heads.ndim)]
            arrays[f"layer.{layer}.{name}"] = np.pad(heads, padding).reshape(*before, -1, *after)
    return arrays
