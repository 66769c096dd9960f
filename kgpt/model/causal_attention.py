"""Causal self-attention over a whole sequence: queries, keys and values in, weighted sums of the values out.

Three ways to the same numbers. `plain` computes all T x T scores at once and leaves the backward pass to the backend,
which keeps them. `blockwise` goes through the queries block by block and keeps no scores: its backward pass computes
them again (Rabe and Staats, 2021, arXiv:2112.05682; Dao et al., 2022, arXiv:2205.14135), so memory grows with T, not
with T squared; and it skips what lies in the future. `flash` is JAX's fused kernel for GPUs.

Axes: B batch, T time, S time (keys), K key and value heads, G query heads for each of those, D channels of a head,
R rows of a block: G * (queries in it).
"""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras import ops

from kgpt.model.dropout import derived, dropout, kept
from kgpt.model.hardware import gpus
from kgpt.model.ordering import after

BLOCK = 256
"""Queries that are worked on at once."""
SHORTEST = 512
"""From this context on, `blockwise` is chosen."""
NEVER = -1e9
"""Score of what may not be seen; finite, so that a row without anything to see stays finite too."""


def causal_attention(
    q_BKGTD: Any,
    k_BKTD: Any,
    v_BKTD: Any,
    *,
    dropout_rate: float = 0.0,
    seed: Any = None,
    segments_BT: Any = None,
) -> Any:
    """Attend from each token to itself and those before it: (B, K, G, T, D), in the fastest way that fits.

    Queries are scaled already. Scores and softmax are float32. With a `seed`, weights are dropped at `dropout_rate`.
    With `segments_BT`, numbers of the texts that share a row, no token sees one of another text.
    """
    time = q_BKGTD.shape[3]
    drops = bool(dropout_rate) and seed is not None
    if not drops and segments_BT is None and can_use_flash(q_BKGTD):
        return flash(q_BKGTD, k_BKTD, v_BKTD)
    way = plain if time is None or time < SHORTEST else blockwise
    return way(q_BKGTD, k_BKTD, v_BKTD, dropout_rate, seed, segments_BT)


def plain(
    q_BKGTD: Any,
    k_BKTD: Any,
    v_BKTD: Any,
    dropout_rate: float = 0.0,
    seed: Any = None,
    segments_BT: Any = None,
) -> Any:
    """All scores at once."""
    index_T = ops.arange(ops.shape(q_BKGTD)[3])
    may_look = index_T[:, None] >= index_T[None, :]
    if segments_BT is not None:
        is_same_BTS = segments_BT[:, :, None] == segments_BT[:, None, :]
        may_look = ops.logical_and(may_look, is_same_BTS)[:, None, None]
    return masked_attention(q_BKGTD, k_BKTD, v_BKTD, may_look, dropout_rate, seed)


def masked_attention(
    q_BKGTD: Any,
    k_BKSD: Any,
    v_BKSD: Any,
    may_look: Any,
    dropout_rate: float = 0.0,
    seed: Any = None,
) -> Any:
    """Attend from T queries to the S keys that `may_look`, which broadcasts to (B, K, G, T, S), allows."""
    batch, heads, groups, time, size = _shape(q_BKGTD)
    weights = ops.cast(attention_weights(q_BKGTD, k_BKSD, may_look), v_BKSD.dtype)
    weights = dropout(weights, dropout_rate, seed)
    weights_BKRS = ops.reshape(weights, (batch, heads, groups * time, ops.shape(k_BKSD)[2]))
    return ops.reshape(ops.matmul(weights_BKRS, v_BKSD), (batch, heads, groups, time, size))


def attention_weights(q_BKGTD: Any, k_BKSD: Any, may_look: Any) -> Any:
    """How much each query takes from each key, float32 (B, K, G, T, S)."""
    batch, heads, groups, time, size = _shape(q_BKGTD)
    rows = (batch, heads, groups * time, size)
    scores_BKRS = ops.matmul(ops.reshape(q_BKGTD, rows), ops.transpose(k_BKSD, (0, 1, 3, 2)))
    whole = (batch, heads, groups, time, ops.shape(k_BKSD)[2])
    scores = ops.reshape(ops.cast(scores_BKRS, "float32"), whole)
    return ops.softmax(ops.where(may_look, scores, NEVER), axis=-1)


def blockwise(
    q_BKGTD: Any,
    k_BKTD: Any,
    v_BKTD: Any,
    dropout_rate: float = 0.0,
    seed: Any = None,
    segments_BT: Any = None,
    block: int = BLOCK,
) -> Any:
    """One block of queries after another, forward and backward; T must be known."""
    rate = dropout_rate if seed is not None else 0.0

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def attend(q: Any, k: Any, v: Any) -> Any:
        y, summary = _forward(q, k, v, segments_BT, rate, seed, block)

        def gradients(*upstream: Any) -> Any:
            dy = upstream[0] if upstream else None
            return _backward(q, k, v, segments_BT, y, summary, dy, rate, seed, block)

        return y, gradients

    return attend(q_BKGTD, k_BKTD, v_BKTD)


def _blocks(time: int, block: int) -> list[tuple[int, int]]:
    return [(start, min(start + block, time)) for start in range(0, time, block)]


def _scores(q_BKGTD: Any, k_BKTD: Any, segments_BT: Any, start: int, end: int) -> tuple[Any, Any]:
    """The queries of a block as rows, and their float32 scores (B, K, R, end)."""
    batch, heads, groups, _, size = _shape(q_BKGTD)
    q_BKRD = ops.reshape(q_BKGTD[:, :, :, start:end], (batch, heads, groups * (end - start), size))
    scores = ops.matmul(q_BKRD, ops.transpose(k_BKTD[:, :, :end], (0, 1, 3, 2)))
    row_R = ops.arange(start, end)
    if groups > 1:
        row_R = ops.tile(row_R, (groups,))
    seen = row_R[:, None] >= ops.arange(end)[None, :]
    if segments_BT is not None:
        segments_BR = ops.tile(segments_BT[:, start:end], (1, groups))
        is_same_BRS = segments_BR[:, :, None] == segments_BT[:, None, :end]
        seen = ops.logical_and(seen, is_same_BRS)[:, None]
    return q_BKRD, ops.where(seen, ops.cast(scores, "float32"), NEVER)


def _keep(weights: Any, rate: float, seed: Any, start: int) -> Any:
    """Factors of 0 or 1 / (1 - rate) for a block's weights."""
    shape = ops.shape(weights)
    return ops.cast(kept(shape, rate, derived(seed, start)), "float32") / (1.0 - rate)


def _forward(
    q: Any, k: Any, v: Any, segments: Any, rate: float, seed: Any, block: int
) -> tuple[Any, list[Any]]:
    batch, heads, groups, time, size = _shape(q)
    outputs, summaries, done = [], [], None
    for start, end in _blocks(time, block):
        _, scores = _scores(after(q, done), k, segments, start, end)
        highest = ops.max(scores, axis=-1, keepdims=True)
        weights = ops.exp(scores - highest)
        total = ops.sum(weights, axis=-1, keepdims=True)
        if rate:
            weights = weights * _keep(weights, rate, seed, start)
        y = ops.cast(ops.matmul(ops.cast(weights, v.dtype), v[:, :, :end]), "float32") / total
        y = ops.cast(y, q.dtype)
        outputs.append(ops.reshape(y, (batch, heads, groups, end - start, size)))
        summaries.append(highest + ops.log(total))
        done = y
    return ops.concatenate(outputs, axis=3), summaries


def _backward(
    q: Any,
    k: Any,
    v: Any,
    segments: Any,
    y: Any,
    summary: list[Any],
    dy: Any,
    rate: float,
    seed: Any,
    block: int,
) -> tuple[Any, Any, Any]:
    batch, heads, groups, time, size = _shape(q)
    dq, dk, dv, done = [], None, None, dy
    delta = ops.sum(ops.cast(dy, "float32") * ops.cast(y, "float32"), axis=-1, keepdims=True)
    for (start, end), log_total in reversed(list(zip(_blocks(time, block), summary, strict=True))):
        rows = (batch, heads, groups * (end - start))
        q_now, dy_now = after([q, dy], done)
        q_BKRD, scores = _scores(q_now, k, segments, start, end)
        dy_BKRD = ops.reshape(dy_now[:, :, :, start:end], (*rows, size))
        weights = ops.exp(scores - log_total)
        d_weights = ops.cast(
            ops.matmul(dy_BKRD, ops.transpose(v[:, :, :end], (0, 1, 3, 2))), "float32"
        )
        dropped = weights
        if rate:
            keep = _keep(weights, rate, seed, start)
            dropped, d_weights = weights * keep, d_weights * keep
        d_scores = weights * (d_weights - ops.reshape(delta[:, :, :, start:end], (*rows, 1)))
        d_scores, dropped = ops.cast(d_scores, q.dtype), ops.cast(dropped, v.dtype)
        dq_block = ops.matmul(d_scores, k[:, :, :end])
        dq.append(ops.reshape(dq_block, (batch, heads, groups, end - start, size)))
        dk = _added(dk, ops.matmul(ops.transpose(d_scores, (0, 1, 3, 2)), q_BKRD), time)
        dv = _added(dv, ops.matmul(ops.transpose(dropped, (0, 1, 3, 2)), dy_BKRD), time)
        done = dv
    return ops.concatenate(dq[::-1], axis=3), ops.cast(dk, k.dtype), ops.cast(dv, v.dtype)


def _added(total: Any, part: Any, time: int) -> Any:
    """A float32 sum, after a part that reaches only some of the way has been filled up with zeros."""
    part = ops.cast(part, "float32")
    missing = time - part.shape[2]
    if missing:
        part = ops.pad(part, [(0, 0), (0, 0), (0, missing), (0, 0)])
    return part if total is None else total + part


def _shape(q_BKGTD: Any) -> tuple[Any, int, int, Any, int]:
    """Sizes, as numbers where they are known."""
    known, dynamic = q_BKGTD.shape, ops.shape(q_BKGTD)
    batch, heads, groups, time, size = (
        dynamic[axis] if known[axis] is None else known[axis] for axis in range(5)
    )
    return batch, heads, groups, time, size


# === JAX on a GPU ===


def flash(q_BKGTD: Any, k_BKTD: Any, v_BKTD: Any) -> Any:
    """The fused kernel behind `keras.ops.dot_product_attention`."""
    batch, heads, groups, time, size = _shape(q_BKGTD)
    q_BTHD = ops.transpose(ops.reshape(q_BKGTD, (batch, heads * groups, time, size)), (0, 2, 1, 3))
    k_BTKD, v_BTKD = (ops.transpose(x, (0, 2, 1, 3)) for x in (k_BKTD, v_BKTD))
    y_BTHD = ops.dot_product_attention(
        q_BTHD, k_BTKD, v_BTKD, scale=1.0, is_causal=True, flash_attention=True
    )
    y_BHTD = ops.transpose(y_BTHD, (0, 2, 1, 3))
    return ops.reshape(y_BHTD, (batch, heads, groups, time, size))


def can_use_flash(q_BKGTD: Any) -> bool:
    """Whether there is a GPU under JAX, and values of a type and size that its kernel knows."""
    half = keras.backend.standardize_dtype(q_BKGTD.dtype) in ("bfloat16", "float16")
    return half and q_BKGTD.shape[-1] <= 128 and q_BKGTD.shape[-1] % 8 == 0 and _jax_gpu()


@functools.cache
def _jax_gpu() -> bool:
    return keras.backend.backend() == "jax" and bool(gpus())
