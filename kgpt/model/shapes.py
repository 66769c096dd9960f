"""Names and shapes of a model's weights, from its configuration alone.

In: a `ModelConfig`. Out: the tensors that a checkpoint of it holds, in the model's own order. Nothing here loads Keras.

Axes: V vocabulary (padded), T positions, C channels, D channels of a head, F hidden units.
"""

from __future__ import annotations

from collections.abc import Iterator

from kgpt.config import ModelConfig

Shape = tuple[int, ...]

PREFIX = "gpt/"
"""What the Keras path of every weight begins with."""
TOKENS = "token_embedding/embeddings"
"""(V, C)."""
POSITIONS = "position_embedding/embeddings"
"""(T, C)."""
HEAD = "head/kernel"
"""(C, V)."""


def tensor_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Shape of every weight by its Keras path below `gpt/`."""
    return dict(_tensors(config))


def _tensors(c: ModelConfig) -> Iterator[tuple[str, Shape]]:
    yield TOKENS, (c.padded_vocabulary_size, c.width)
    if c.positions == "learned":
        yield POSITIONS, (c.context_length, c.width)
    for index in range(c.num_layers):
        for name, shape in _block(c):
            yield f"block_{index}/{name}", shape
    yield from _norm(c, "final_norm")
    if not c.tied_head:
        yield HEAD, (c.width, c.padded_vocabulary_size)


def _block(c: ModelConfig) -> Iterator[tuple[str, Shape]]:
    kv_width = c.kv_heads * c.head_dim
    yield from _norm(c, "attention_norm")
    yield from _dense(c, "attention/query", c.width, c.width)
    yield from _dense(c, "attention/key", c.width, kv_width)
    yield from _dense(c, "attention/value", c.width, kv_width)
    yield from _dense(c, "attention/output", c.width, c.width)
    if c.qk_norm:
        yield "attention/query_norm/scale", (c.head_dim,)
        yield "attention/key_norm/scale", (c.head_dim,)
    yield from _norm(c, "feed_forward_norm")
    if c.activation == "swiglu":
        yield from _dense(c, "feed_forward/gate", c.width, c.hidden_width)
    yield from _dense(c, "feed_forward/up", c.width, c.hidden_width)
    yield from _dense(c, "feed_forward/down", c.hidden_width, c.width)


def _norm(c: ModelConfig, name: str) -> Iterator[tuple[str, Shape]]:
    if c.norm == "rms":
        yield f"{name}/scale", (c.width,)
        return
    yield f"{name}/gamma", (c.width,)
    if c.bias:
        yield f"{name}/beta", (c.width,)


def _dense(c: ModelConfig, name: str, rows: int, columns: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}/kernel", (rows, columns)
    if c.bias:
        yield f"{name}/bias", (columns,)
