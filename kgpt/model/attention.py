"""The attention layer of a GPT: token vectors in, token vectors out, with or without a cache of what came before.

Axes: B batch, T time (new tokens), S time (all tokens a query may look at), C channels, H query heads,
K key and value heads, G query heads for each of those (H = K * G), D channels of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kgpt.model.causal_attention import attention_weights, causal_attention, masked_attention
from kgpt.model.dropout import derived, dropout
from kgpt.model.parts import INITIAL_STANDARD_DEVIATION, dense_layer, norm_layer

Cache = tuple[Any, Any]
"""Keys and values of one layer, each (B, K, S, D)."""

WriteCache = Callable[[Any, Any, Any], Any]
"""(cache (B, K, S, D), new keys or values (B, K, T, D), start) to the cache that holds them from `start` on."""


def write_slice(cache_BKSD: Any, new_BKTD: Any, start: Any) -> Any:
    """The cache with the new keys or values at `start`."""
    return ops.slice_update(cache_BKSD, (0, 0, start, 0), new_BKTD)


def rotate(x_BTHD: Any, positions_BT: Any, base: float) -> Any:
    """Rotary position embedding (Su et al., 2021, arXiv:2104.09864), halves paired as in GPT-NeoX and Qwen.

    Channel `i` of the first half and of the second half turn together by `position * base**(-2i / D)`.
    """
    half = x_BTHD.shape[-1] // 2
    frequency_D = ops.exp(ops.arange(half, dtype="float32") * (-math.log(base) / half))
    angle_BTD = ops.cast(positions_BT, "float32")[..., None] * frequency_D
    cos, sin = ops.cos(angle_BTD)[:, :, None, :], ops.sin(angle_BTD)[:, :, None, :]
    x = ops.cast(x_BTHD, "float32")
    first, second = x[..., :half], x[..., half:]
    turned = ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return ops.cast(turned, x_BTHD.dtype)


@keras.saving.register_keras_serializable(package="kgpt")
class CausalSelfAttention(keras.layers.Layer):
    """Multi-head self-attention, optionally grouped, rotary, and with normalised queries and keys.

    Every kernel is a matrix: (C, H*D) for queries, (C, K*D) for keys and values, (H*D, C) for the output. Scores and
    softmax are float32 whatever the compute dtype.

    Example:
        >>> attention = CausalSelfAttention(width=32, num_heads=4)
        >>> attention(keras.ops.ones((1, 5, 32)), positions_BT=keras.ops.arange(5)[None]).shape
        (1, 5, 32)
    """

    def __init__(
        self,
        *,
        width: int,
        num_heads: int,
        num_kv_heads: int = 0,
        rotary_base: float = 0.0,
        qk_norm: bool = False,
        norm_epsilon: float = 1e-5,
        bias: bool = True,
        dropout: float = 0.0,
        output_standard_deviation: float = INITIAL_STANDARD_DEVIATION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width, self.num_heads = width, num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        self.rotary_base, self.qk_norm, self.norm_epsilon = rotary_base, qk_norm, norm_epsilon
        self.bias, self.dropout = bias, dropout
        self.output_standard_deviation = output_standard_deviation
        self.head_dim = width // num_heads
        kv_width, policy = self.num_kv_heads * self.head_dim, self.dtype_policy
        self.query = dense_layer(width, bias, "query", policy)
        self.key = dense_layer(kv_width, bias, "key", policy)
        self.value = dense_layer(kv_width, bias, "value", policy)
        self.output_projection = dense_layer(
            width, bias, "output", policy, output_standard_deviation
        )
        if qk_norm:
            self.query_norm = norm_layer("rms", norm_epsilon, False, "query_norm", policy)
            self.key_norm = norm_layer("rms", norm_epsilon, False, "key_norm", policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs (B, T, C)."""
        for layer in (self.query, self.key, self.value, self.output_projection):
            layer.build((None, None, self.width))
        if self.qk_norm:
            self.query_norm.build((None, None, self.num_heads, self.head_dim))
            self.key_norm.build((None, None, self.num_kv_heads, self.head_dim))
        self.built = True

    def call(self, x_BTC: Any, positions_BT: Any, seed: Any = None, segments_BT: Any = None) -> Any:
        """Attend from each token to itself and those before it, of its own segment where there are several: x_BTC.

        A `seed` (uint32) makes dropout act.
        """
        q_BKGTD, k_BKTD, v_BKTD = self.project(x_BTC, positions_BT)
        weights_seed = None if seed is None else derived(seed, 0)
        y_BKGTD = causal_attention(
            q_BKGTD,
            k_BKTD,
            v_BKTD,
            dropout_rate=self.dropout,
            seed=weights_seed,
            segments_BT=segments_BT,
        )
        y_BTC = self.combine(y_BKGTD)
        return y_BTC if seed is None else dropout(y_BTC, self.dropout, derived(seed, 1))

    def call_with_cache(
        self,
        x_BTC: Any,
        mask_BTS: Any,
        positions_BT: Any,
        cache: Cache,
        start: Any,
        write: WriteCache = write_slice,
    ) -> tuple[Any, Cache]:
        """Attend from each of the T new tokens to those of the cache that `mask_BTS` (True: may look) allows.

        The new keys and values are written at `start` first. The result is (x_BTC, new cache).
        """
        q_BKGTD, k_BKTD, v_BKTD = self.project(x_BTC, positions_BT)
        k_BKSD, v_BKSD = write(cache[0], k_BKTD, start), write(cache[1], v_BKTD, start)
        y_BKGTD = masked_attention(q_BKGTD, k_BKSD, v_BKSD, mask_BTS[:, None, None])
        return self.combine(y_BKGTD), (k_BKSD, v_BKSD)

    def weights_of(self, x_BTC: Any, positions_BT: Any) -> Any:
        """How much each token takes from itself and each before it: float32 (B, H, T, T)."""
        q_BKGTD, k_BKTD, _ = self.project(x_BTC, positions_BT)
        batch, time = ops.shape(x_BTC)[0], ops.shape(x_BTC)[1]
        may_look_TT = ops.arange(time)[:, None] >= ops.arange(time)
        weights = attention_weights(q_BKGTD, k_BKTD, may_look_TT)
        return ops.reshape(weights, (batch, self.num_heads, time, time))

    def project(self, x_BTC: Any, positions_BT: Any) -> tuple[Any, Any, Any]:
        """Queries (B, K, G, T, D), scaled by 1 / sqrt(D), keys and values (B, K, T, D); normalised and turned."""
        batch, time = ops.shape(x_BTC)[0], ops.shape(x_BTC)[1]
        q = ops.reshape(self.query(x_BTC), (batch, time, self.num_heads, self.head_dim))
        k = ops.reshape(self.key(x_BTC), (batch, time, self.num_kv_heads, self.head_dim))
        v = ops.reshape(self.value(x_BTC), (batch, time, self.num_kv_heads, self.head_dim))
        if self.qk_norm:
            q, k = self.query_norm(q), self.key_norm(k)
        if self.rotary_base:
            q = rotate(q, positions_BT, self.rotary_base)
            k = rotate(k, positions_BT, self.rotary_base)
        scale = 1.0 / math.sqrt(self.head_dim)
        q, k, v = (ops.transpose(x, (0, 2, 1, 3)) for x in (q * scale, k, v))
        groups = self.num_heads // self.num_kv_heads
        q = ops.reshape(q, (batch, self.num_kv_heads, groups, time, self.head_dim))
        return q, k, v

    def combine(self, y_BKGTD: Any) -> Any:
        """The heads' results side by side, through the output matrix: (B, T, C)."""
        batch, time = ops.shape(y_BKGTD)[0], ops.shape(y_BKGTD)[3]
        y = ops.reshape(y_BKGTD, (batch, self.num_heads, time, self.head_dim))
        y = ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (batch, time, self.width))
        return self.output_projection(y)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        names = (
            "width num_heads num_kv_heads rotary_base qk_norm norm_epsilon bias dropout"
            " output_standard_deviation"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
