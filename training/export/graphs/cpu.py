"""The graph for CPUs: no padding outside attention, int8 weights, one activation scale per row.

Hidden states are `[tokens, hidden]` over all rows of all requests. Only attention sees padded
tiles, made with gathers. The last layer answers for the first token of each row alone, since
nothing else reaches the classifier.

Many rows are sorted by length and computed in pieces, one after the other, so that what the operators hand on stays
in the processor's cache.

Activations are quantised per token, not with one scale over the batch as ONNX Runtime's
dynamic quantisation does: a row's answer must not depend on its neighbours.

Every operator must give the same bits on every ONNX Runtime. A last bit moves some activation to the next
of its 255 steps, that moves more of them in every layer behind it, and the answer is off by as much as int8
itself costs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto

from training.export.graphs.cpu_attention import TILES, TILES_OF_FEW, OneRow, Tiles
from training.export.graphs.cpu_products import WIDTH_MULTIPLE, Activations, Linear, Lines, Precision, arrays_of
from training.export.graphs.weights import Array, EncoderWeights, Shape
from training.export.graphs.writer import CONTRIB, GraphWriter, Tokens, clean_tokens

PIECE_BYTES: Final = 3 * 2**19
"""Of the widest float32 tensor over the tokens of a piece: it fits into the 2 MB cache of a core."""


def fused_operators(shape: Shape) -> dict[str, int]:
    """The operators that the int8 graph must have; its encoder is there for one row, for few and for pieces of more."""
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
    encoders = _Encoders(g, shape, arrays_of(weights), precision)
    tokens = clean_tokens(g, shape, by_length=True)
    first = _by_number_of_rows(encoders, tokens)
    _, as_sent = g.node("TopK", tokens.order, g.node("Shape", tokens.order), largest=0, outputs=2)
    first = g.node("Gather", first, as_sent)
    # In fp32: one line for each row costs little, and nothing behind it evens out what int8 would move.
    linear = encoders.linear(tokens)
    pooled = g.node("Tanh", linear.padded_product("head.dense", Activations(first)))
    logits = linear.product("head.out", Activations(pooled))
    return g.finish(g.probabilities(logits, shape), tokens.unless_empty, f"Zero-padding encoder, {precision}")


@dataclass(frozen=True)
class _Encoders:
    """Writes the encoder over some tokens; each has the same weights."""

    g: GraphWriter
    shape: Shape
    arrays: dict[str, Array]
    precision: Precision

    def linear(self, tokens: Tokens) -> Linear:
        return Linear(self.g, self.arrays, self.precision, tokens)

    def of_one_row(self, tokens: Tokens) -> str:
        return _encoder(self.g, self.shape, self.linear(tokens), tokens, OneRow(self.g, self.shape, tokens))

    def of_rows(self, tokens: Tokens, tiles: int) -> str:
        return _encoder(self.g, self.shape, self.linear(tokens), tokens, Tiles(self.g, self.shape, tokens, tiles))


def _by_number_of_rows(encoders: _Encoders, tokens: Tokens) -> str:
    """The last hidden state of each row's first token, from the encoder for one row, for few or for more.

    One choice after the other, not one inside another: all have the same weights, which lie outside, and ONNX Runtime
    prepares weights for a branch of the graph, but not for a branch of a branch (6 to 20 % slower).
    """
    g = encoders.g
    rows = g.node("Reshape", g.node("Shape", tokens.lengths), g.integers())
    is_one, is_below = g.node("Less", rows, g.integer(2)), g.node("Less", rows, g.integer(TILES))
    first = g.constant(np.zeros((0, encoders.shape.hidden), np.float32))

    def choose(condition: str, encode: Callable[[], str], before: str) -> str:
        return g.choose(condition, encode, lambda: str(g.node("Identity", before)))

    first = choose(is_one, lambda: encoders.of_one_row(tokens), first)
    first = choose(g.node("Xor", is_one, is_below), lambda: encoders.of_rows(tokens, TILES_OF_FEW), first)
    return _in_pieces(encoders, tokens, g.node("Not", is_below), first)


def _in_pieces(encoders: _Encoders, tokens: Tokens, condition: str, first: str) -> str:
    """If `condition` holds, `first` and behind it that of all rows, found piece by piece; else `first`.

    All pieces have about as many tokens, `piece_tokens` at most. None has fewer rows than tiles: one that would have
    takes rows of the next, and the last one what would be left over.
    """
    g, one, tiles = encoders.g, encoders.g.integer(1), encoders.g.integer(TILES)
    rows, total = g.node("Shape", tokens.lengths), g.node("Reshape", g.node("Shape", tokens.ids), g.integers())
    most = piece_tokens(encoders.shape)
    pieces = g.node("Div", g.node("Add", total, g.integer(most - 1)), g.integer(most))
    bounds = g.node("Concat", tokens.starts, g.node("Shape", tokens.ids), axis=0)

    def encode(number: str, begin: str, before: str) -> tuple[str, str, str]:
        """The rows from `begin` on that start in this piece's share of the tokens."""
        share = g.node("Div", g.node("Mul", g.node("Add", number, one), total), pieces)
        end = g.node("ReduceSum", g.node("Cast", g.node("Less", tokens.starts, share), to=TensorProto.INT64))
        end = g.node("Max", end, g.node("Add", begin, tiles))
        end = g.node("Where", g.node("Less", g.node("Sub", rows, end), tiles), rows, end)
        from_token, to_token = g.node("Gather", bounds, begin), g.node("Gather", bounds, end)
        ids, row, position = (
            g.node("Slice", name, from_token, to_token) for name in (tokens.ids, tokens.row, tokens.position)
        )
        lengths, starts = (g.node("Slice", name, begin, end) for name in (tokens.lengths, tokens.starts))
        piece = replace(
            tokens, ids=ids, position=position, lengths=lengths,
            row=g.node("Sub", row, begin), starts=g.node("Sub", starts, from_token),
        )  # fmt: skip
        found = g.node("Concat", before, encoders.of_rows(piece, TILES), axis=0)
        return g.node("Reshape", g.node("Less", end, rows), g.integers()), end, found

    carried = [(g.integers(0), TensorProto.INT64), (first, TensorProto.FLOAT)]
    return g.repeat(pieces, condition, carried, encode)[1]


def piece_tokens(shape: Shape) -> int:
    """How many tokens a piece has at most, but for its last row, and unless `TILES` rows have more."""
    return PIECE_BYTES // (4 * max(3 * shape.hidden, shape.intermediate))


def _encoder(g: GraphWriter, shape: Shape, linear: Linear, tokens: Tokens, attention: OneRow | Tiles) -> str:
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
