"""A GPT as TensorFlow functions that LiteRT runs fast: static shapes, a cache that is only read, matrices as inputs.

A graph looks at what was there before and at itself, and gives the new keys and values; the host puts them in place. A
single step multiplies and sums instead of a matrix product, which would pack keys and values anew each time.

Axes: B rows, P places of a prompt, S places of the cache, C channels, K key and value heads, G query heads for each of
those, D channels of a head, L layers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kgpt.config import ModelConfig
from kgpt.inference.folding import MATRICES, Dense, FoldedBlock, FoldedGPT
from kgpt.inference.litert_shapes import HIDDEN

Turns = tuple[Any, Any] | None
"""Cosines and sines of rotary positions, where the model has such."""


class Graphs:
    """The graphs of one model, as functions of arrays. Of the matrices only the shapes are needed."""

    def __init__(self, weights: FoldedGPT, config: ModelConfig) -> None:
        self.config = config
        self._layers = {name: _Dense(dense) for name, dense in weights.layers().items()}
        self.head = self._layers["head"]
        self.blocks = [
            _Block(block, *(self._layers[f"block{index}_{name}"] for name in MATRICES))
            for index, block in enumerate(weights.blocks)
        ]

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Of the matrices: outputs, inputs."""
        return {name: layer.shape for name, layer in self._layers.items()}

    def use(self, matrices: Mapping[str, Any]) -> None:
        """Compute with these tensors from now on."""
        for name, layer in self._layers.items():
            layer.matrix = matrices[name]

    def step(self, x_BC: Any, mask_BS: Any, turns: Turns, cache: Any) -> Any:
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

    def prompt(self, x_PC: Any, last: Any, turns: Turns) -> Any:
        """The first P tokens of a row: logits (1, V) after the one at `last`, and the new keys and values.

        Of all layers: keys (L, K, P, D), values (L, K, D, P).
        """
        return self._read(x_PC, last, None, turns, None)

    def extend(self, x_PC: Any, last: Any, mask_1S: Any, turns: Turns, cache: Any) -> Any:
        """The same of P tokens after those in the cache."""
        return self._read(x_PC, last, mask_1S, turns, cache)

    def together(self, x_PC: Any, mask_1S: Any, turns: Turns, cache: Any) -> Any:
        """The same, with logits (P, V) after each of them."""
        return self._read(x_PC, None, mask_1S, turns, cache)

    def _read(self, x_PC: Any, last: Any, mask_1S: Any, turns: Turns, cache: Any) -> Any:
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
                scores = tf.concat([past + mask_1S, scores], axis=-1)
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


class _Dense:
    """A matrix product; each graph has a matrix of its own."""

    def __init__(self, dense: Dense) -> None:
        inputs, outputs = dense.kernel.shape
        self.shape = (outputs, inputs)
        self.bias = dense.bias
        self.matrix: Any = None

    def __call__(self, x: Any) -> Any:
        y = tf.matmul(x, self.matrix, transpose_b=True)
        return y if self.bias is None else y + tf.constant(self.bias)


class _Block:
    def __init__(
        self, block: FoldedBlock, qkv: _Dense, output: _Dense, up: _Dense, down: _Dense
    ) -> None:
        self.qkv, self.output, self.up, self.down = qkv, output, up, down
        self.scales = (block.query_scale, block.key_scale)

    def project(self, x: Any, c: ModelConfig, turns: Turns) -> Any:
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
