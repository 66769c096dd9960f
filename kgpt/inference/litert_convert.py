"""From a model's weights to a LiteRT file: the static graphs that `kgpt.inference.litert` runs. Needs TensorFlow.

The cache is an input that is only read: a graph looks at what was there before and at itself, and gives the new keys
and values; the host puts them in place. Each length has a graph of its own, and all share one copy of the weights. A
single step multiplies and sums instead of a matrix product, which would pack keys and values anew each time.

Axes: B rows, P places of a prompt, S places of the cache, C channels, K key and value heads, G query heads for each of
those, D channels of a head, L layers, V vocabulary.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kgpt.config import ModelConfig
from kgpt.files import write_atomically
from kgpt.inference.folding import Dense, FoldedBlock, FoldedGPT, folded
from kgpt.inference.litert_shapes import (
    Shapes,
    decode_name,
    extend_name,
    prefill_name,
    shapes_for,
    together_name,
)
from kgpt.model.tensors import load_tensors, model_config
from kgpt.runs import RunFolder

HIDDEN = -1e9
"""Score of what may not be seen."""


class Graphs(tf.Module):
    """The graphs of one model, as functions of arrays."""

    def __init__(self, weights: FoldedGPT, config: ModelConfig) -> None:
        super().__init__(name="gpt")
        self.config = config
        self.blocks = [_Block(block) for block in weights.blocks]
        self.head = _Dense(weights.head)

    def step(self, x_BC: Any, mask_BS: Any, turns: tuple[Any, Any] | None, cache: Any) -> Any:
        """One token a row: logits (B, V), and keys and values of all layers (L, B, K, D)."""
        c, news = self.config, []
        batch = x_BC.shape[0]
        for block, (k_BKSD, v_BKDS) in zip(self.blocks, cache, strict=True):
            q, k_BKD, v_BKD = block.project(x_BC, c, turns)
            q_BKGD = tf.reshape(q, (batch, c.kv_heads, -1, c.head_dim))
            queries = tf.unstack(q_BKGD, axis=2)
            y_BKGD = tf.stack(
                [_attended(q_BKD, k_BKSD, v_BKDS, k_BKD, v_BKD, mask_BS) for q_BKD in queries], 2
            )
            x_BC = block.finish(x_BC, tf.reshape(y_BKGD, (batch, c.width)), c)
            news.append((k_BKD, v_BKD))
        keys, values = (tf.stack(part) for part in zip(*news, strict=True))
        return {"logits": self.scores(x_BC), "keys": keys, "values": values}

    def prompt(
        self,
        x_PC: Any,
        last: Any,
        turns: tuple[Any, Any] | None,
        mask_S: Any = None,
        cache: Any = None,
    ) -> Any:
        """P tokens of one row, after those in the cache if there are any.

        Logits (V,) after the token at `last`, or (P, V) without it, keys (L, K, P, D) and values (L, K, D, P).
        """
        c, news = self.config, []
        places = x_PC.shape[0]
        seen_PP = np.tril(np.ones((places, places), dtype=bool))
        mask_PP = tf.constant(np.where(seen_PP, 0.0, HIDDEN).astype("float32"))
        groups = c.num_heads // c.kv_heads
        for index, block in enumerate(self.blocks):
            q, k, v = block.project(x_PC, c, turns)
            q_PKGD = tf.reshape(q, (places, c.kv_heads, groups, c.head_dim))
            q_KGPD = tf.transpose(q_PKGD, (1, 2, 0, 3))
            q_KRD = tf.reshape(q_KGPD, (c.kv_heads, groups * places, c.head_dim))
            k_KPD, v_KPD = tf.transpose(k, (1, 0, 2)), tf.transpose(v, (1, 0, 2))
            scores = tf.reshape(
                tf.matmul(q_KRD, k_KPD, transpose_b=True), (c.kv_heads, groups, places, places)
            )
            scores += mask_PP
            if cache is not None:
                k_1KSD, v_1KDS = cache[index]
                size = k_1KSD.shape[2]
                past = tf.reshape(
                    tf.matmul(q_KRD, k_1KSD[0], transpose_b=True),
                    (c.kv_heads, groups, places, size),
                )
                scores = tf.concat([past + mask_S, scores], axis=-1)
            weights = tf.nn.softmax(scores)
            rows = (c.kv_heads, groups * places)
            y = tf.matmul(tf.reshape(weights[..., -places:], (*rows, places)), v_KPD)
            if cache is not None:
                seen = tf.reshape(weights[..., :-places], (*rows, size))
                y += tf.matmul(seen, v_1KDS[0], transpose_b=True)
            y_PC = tf.reshape(
                tf.transpose(tf.reshape(y, (c.kv_heads, groups, places, c.head_dim)), (2, 0, 1, 3)),
                (places, c.width),
            )
            x_PC = block.finish(x_PC, y_PC, c)
            news.append((k_KPD, tf.transpose(v_KPD, (0, 2, 1))))
        keys, values = (tf.stack(part) for part in zip(*news, strict=True))
        if last is not None:
            x_PC = tf.gather(x_PC, tf.reshape(last, (1,)))
        return {"logits": self.scores(x_PC), "keys": keys, "values": values}

    def scores(self, x: Any) -> Any:
        """Logits of vectors."""
        return self.head(_divided(x, self.config.norm_epsilon))


class _Dense(tf.Module):
    def __init__(self, dense: Dense) -> None:
        super().__init__()
        self.kernel = tf.Variable(dense.kernel, trainable=False)
        self.bias = None if dense.bias is None else tf.Variable(dense.bias, trainable=False)

    def __call__(self, x: Any) -> Any:
        y = tf.matmul(x, self.kernel)
        return y if self.bias is None else y + self.bias


class _Block(tf.Module):
    def __init__(self, block: FoldedBlock) -> None:
        super().__init__()
        self.qkv, self.output = _Dense(block.qkv), _Dense(block.output)
        self.up, self.down = _Dense(block.up), _Dense(block.down)
        self.scales = [
            None if scale is None else tf.Variable(scale, trainable=False)
            for scale in (block.query_scale, block.key_scale)
        ]

    def project(self, x: Any, c: ModelConfig, turns: tuple[Any, Any] | None) -> Any:
        """Queries (N, H, D), keys and values (N, K, D) of N vectors."""
        joined = self.qkv(_divided(x, c.norm_epsilon))
        joined = tf.reshape(joined, (x.shape[0], c.num_heads + 2 * c.kv_heads, c.head_dim))
        q = joined[:, : c.num_heads]
        k = joined[:, c.num_heads : c.num_heads + c.kv_heads]
        v = joined[:, c.num_heads + c.kv_heads :]
        if self.scales[0] is not None:
            q = _divided(q, c.norm_epsilon) * self.scales[0]
            k = _divided(k, c.norm_epsilon) * self.scales[1]
        if turns is not None:
            q, k = _turned(q, turns), _turned(k, turns)
        return q, k, v

    def finish(self, x: Any, y: Any, c: ModelConfig) -> Any:
        """The block's output, from its input and what attention found."""
        x = x + self.output(y)
        hidden = self.up(_divided(x, c.norm_epsilon))
        if c.activation == "swiglu":
            gate, hidden = hidden[:, : c.hidden_width], hidden[:, c.hidden_width :]
            hidden = gate * tf.sigmoid(gate) * hidden
        elif c.activation == "relu2":
            hidden = tf.square(tf.nn.relu(hidden))
        else:
            hidden = tf.nn.gelu(hidden, approximate=True)
        return x + self.down(hidden)


def _attended(q_BKD: Any, k_BKSD: Any, v_BKDS: Any, k_BKD: Any, v_BKD: Any, mask_BS: Any) -> Any:
    """What one query a head sees in the cache and in its own token (B, K, D).

    Products and sums in four dimensions: in five, XNNPACK takes up to twice as long, and its matrix products would
    repack the cache at every step.
    """
    past_BKS = tf.reduce_sum(q_BKD[:, :, None] * k_BKSD, axis=-1) + mask_BS[:, None]
    itself_BK1 = tf.reduce_sum(q_BKD * k_BKD, axis=-1, keepdims=True)
    weights = tf.nn.softmax(tf.concat([past_BKS, itself_BK1], axis=-1))
    y_BKD = tf.reduce_sum(weights[..., None, :-1] * v_BKDS, axis=-1)
    return y_BKD + weights[..., -1:] * v_BKD


def _divided(x: Any, epsilon: float) -> Any:
    """By the root of the mean square."""
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + epsilon)


def _turned(x_NHD: Any, turns: tuple[Any, Any]) -> Any:
    """Rotary positions, by cosines and sines (N, D / 2)."""
    cos, sin = (part[:, None] for part in turns)
    half = x_NHD.shape[-1] // 2
    first, second = x_NHD[..., :half], x_NHD[..., half:]
    return tf.concat([first * cos - second * sin, second * cos + first * sin], axis=-1)


# === Conversion ===


def convert(
    weights: FoldedGPT, config: ModelConfig, shapes: Shapes, variant: str = "float32"
) -> bytes:
    """The LiteRT file: weights in float32, or in int8 a channel each, with inputs quantized as they come."""
    graphs = Graphs(weights, config)
    signatures = _signatures(graphs, config, shapes)
    with tempfile.TemporaryDirectory() as place:
        folder = str(Path(place) / "saved_model")
        tf.saved_model.save(graphs, folder, signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        if variant == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(converter.convert())


def _signatures(graphs: Graphs, c: ModelConfig, shapes: Shapes) -> dict[str, Any]:
    found = {}
    for rows in shapes.rows:
        for size in shapes.sizes:
            found[decode_name(rows, size)] = _function(
                lambda x, mask, turns, cache: graphs.step(x, mask, turns, cache),
                c,
                last=False,
                x=(rows, c.width),
                mask=(rows, size),
                turns=rows,
                cache=(rows, size),
            )
    for places in shapes.prompts:
        found[prefill_name(places)] = _function(
            lambda x, last, turns: graphs.prompt(x, last, turns),
            c,
            x=(places, c.width),
            turns=places,
        )
    if shapes.extension:
        found[extend_name(shapes.extension, c.context_length)] = _function(
            lambda x, last, mask, turns, cache: graphs.prompt(x, last, turns, mask, cache),
            c,
            x=(shapes.extension, c.width),
            mask=(c.context_length,),
            turns=shapes.extension,
            cache=(1, c.context_length),
        )
    for size in shapes.sizes:
        found[together_name(shapes.together, size)] = _function(
            lambda x, mask, turns, cache: graphs.prompt(x, None, turns, mask[0], cache),
            c,
            last=False,
            x=(shapes.together, c.width),
            mask=(1, size),
            turns=shapes.together,
            cache=(1, size),
        )
    return found


def _function(
    body: Callable[..., Any],
    c: ModelConfig,
    *,
    x: tuple[int, ...],
    turns: int,
    last: bool = True,
    mask: tuple[int, ...] | None = None,
    cache: tuple[int, int] | None = None,
) -> Any:
    """A concrete function of named arrays, all flat: LiteRT takes memory of the host in one dimension alone."""
    shapes: dict[str, tuple[int, ...]] = {"x": x}
    if last:
        shapes["last"] = (1,)
    if mask is not None:
        shapes["mask"] = mask
    if c.positions == "rotary":
        shapes["cos"] = shapes["sin"] = (turns, c.head_dim // 2)
    if cache is not None:
        rows, size = cache
        for layer in range(c.num_layers):
            shapes[f"k{layer}"] = (rows, c.kv_heads, size, c.head_dim)
            shapes[f"v{layer}"] = (rows, c.kv_heads, c.head_dim, size)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def named(**flat: Any) -> Any:
        given = {name: tf.reshape(flat[name], shape) for name, shape in shapes.items()}
        values: dict[str, Any] = {
            name: given[name] for name in ("x", "last", "mask") if name in given
        }
        values["turns"] = (given["cos"], given["sin"]) if "cos" in given else None
        if cache is not None:
            values["cache"] = [(given[f"k{i}"], given[f"v{i}"]) for i in range(c.num_layers)]
        return {name: tf.reshape(result, (-1,)) for name, result in body(**values).items()}

    return named.get_concrete_function(
        **{
            name: tf.TensorSpec((math.prod(shape),), _type(name), name)
            for name, shape in shapes.items()
        }
    )


def _type(name: str) -> Any:
    return tf.int32 if name == "last" else tf.float32


def main(arguments: list[str]) -> None:
    """The child of `litert_files.convert`: RUN WEIGHTS VARIANT OUTPUT. Prints what it is doing."""
    run, weights, variant, output = arguments
    config = model_config(RunFolder(Path(run)))
    print("folding the weights", flush=True)
    model = folded(load_tensors(Path(weights)), config)
    print("writing the graphs", flush=True)
    content = convert(model, config, shapes_for(config.context_length), variant)
    write_atomically(Path(output), content)


if __name__ == "__main__":
    main(sys.argv[1:])
