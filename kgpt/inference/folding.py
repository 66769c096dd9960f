"""A GPT's weights, rearranged so that decoding takes fewer operations and gives the same scores. NumPy in and out.

- The scale and shift of a norm move into the matrix that reads its output.
- What is written into the residual stream is centred, so that LayerNorm becomes RMSNorm (arXiv:1910.07467).
- 1 / sqrt(D) moves into the queries: into their matrix, or into their norm's scale where they have one.
- Queries, keys and values come from one matrix; so do the two inputs of a gated feed-forward layer.

Axes: C channels, H query heads, K key and value heads, D channels of a head, F hidden units, V vocabulary, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.config import ModelConfig

Array = NDArray[np.float32]
MATRICES = ("qkv", "output", "up", "down")
"""Of a block."""


@dataclass(frozen=True)
class Dense:
    """A matrix, and a bias unless it is zero."""

    kernel: Array
    bias: Array | None


@dataclass(frozen=True)
class FoldedBlock:
    """A block; both its norms divide by the root mean square alone."""

    qkv: Dense
    """(C, (H + 2 K) D): queries, keys, values."""
    query_scale: Array | None
    """(D,): where queries and keys are normalised, what they are multiplied with after it."""
    key_scale: Array | None
    output: Dense
    up: Dense
    """(C, F), or (C, 2 F) with the gate first."""
    down: Dense


@dataclass(frozen=True)
class FoldedGPT:
    """A whole model."""

    token_embedding: Array
    """(V, C)."""
    position_embedding: Array | None
    """(T, C)."""
    blocks: list[FoldedBlock]
    head: Dense
    """(C, V)."""

    def layers(self) -> dict[str, Dense]:
        """Every matrix with its bias, by name."""
        found = {
            f"block{index}_{name}": getattr(block, name)
            for index, block in enumerate(self.blocks)
            for name in MATRICES
        }
        return {**found, "head": self.head}


def folded(tensors: Mapping[str, Array], config: ModelConfig) -> FoldedGPT:
    """A model's weights, by their Keras paths below `gpt/`, folded."""
    c, is_centred = config, config.norm == "layer"
    get = _Reader(tensors)
    final = get.norm("final_norm")
    embedding = get("token_embedding/embeddings")[: c.vocabulary_size]
    head = embedding.T if c.tied_head else get("head/kernel")[:, : c.vocabulary_size]
    positions = get("position_embedding/embeddings") if c.positions == "learned" else None
    return FoldedGPT(
        token_embedding=centred(embedding) if is_centred else embedding,
        position_embedding=centred(positions)
        if is_centred and positions is not None
        else positions,
        blocks=[
            _block(get.below(f"block_{index}"), c, is_centred) for index in range(c.num_layers)
        ],
        head=_after_norm(final, Dense(np.ascontiguousarray(head), None)),
    )


class _Reader:
    """Weights by the end of their paths."""

    def __init__(self, tensors: Mapping[str, Array], prefix: str = "gpt/") -> None:
        self.tensors, self.prefix = tensors, prefix

    def __call__(self, name: str) -> Array:
        return self.tensors[self.prefix + name].astype(np.float32)

    def below(self, name: str) -> _Reader:
        return _Reader(self.tensors, f"{self.prefix}{name}/")

    def optional(self, name: str) -> Array | None:
        return self(name) if self.prefix + name in self.tensors else None

    def dense(self, name: str) -> Dense:
        return Dense(self(f"{name}/kernel"), self.optional(f"{name}/bias"))

    def norm(self, name: str) -> tuple[Array, Array | None]:
        """Scale and shift."""
        scale = self.optional(f"{name}/gamma")
        scale = self(f"{name}/scale") if scale is None else scale
        return scale, self.optional(f"{name}/beta")


def _block(get: _Reader, c: ModelConfig, is_centred: bool) -> FoldedBlock:
    attention, feed_forward = get.below("attention"), get.below("feed_forward")
    query, key, value = (attention.dense(name) for name in ("query", "key", "value"))
    query_scale = key_scale = None
    factor = np.float32(1.0 / math.sqrt(c.head_dim))
    if c.qk_norm:
        query_scale = attention.norm("query_norm")[0] * factor
        key_scale = attention.norm("key_norm")[0]
    else:
        query = Dense(query.kernel * factor, None if query.bias is None else query.bias * factor)
    up = feed_forward.dense("up")
    if c.activation == "swiglu":
        up = _side_by_side(feed_forward.dense("gate"), up)
    output, down = attention.dense("output"), feed_forward.dense("down")
    if is_centred:
        output, down = _centred_dense(output), _centred_dense(down)
    return FoldedBlock(
        qkv=_after_norm(get.norm("attention_norm"), _side_by_side(query, key, value)),
        query_scale=query_scale,
        key_scale=key_scale,
        output=output,
        up=_after_norm(get.norm("feed_forward_norm"), up),
        down=down,
    )


def _after_norm(norm: tuple[Array, Array | None], dense: Dense) -> Dense:
    """`dense` of the norm's output, as a layer of what the norm has divided but not scaled."""
    scale, shift = norm
    bias = dense.bias
    if shift is not None:
        shifted = shift @ dense.kernel
        bias = shifted if bias is None else bias + shifted
    return Dense(scale[:, None] * dense.kernel, bias)


def _side_by_side(*parts: Dense) -> Dense:
    biases: list[Any] = [part.bias for part in parts]
    bias = None if biases[0] is None else np.concatenate(biases)
    return Dense(np.concatenate([part.kernel for part in parts], axis=1), bias)


def centred(rows: Array) -> Array:
    """Rows less their means, which a LayerNorm takes away anyway."""
    mean = rows.mean(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(rows - mean, dtype=np.float32)


def _centred_dense(dense: Dense) -> Dense:
    return Dense(centred(dense.kernel), None if dense.bias is None else centred(dense.bias))
