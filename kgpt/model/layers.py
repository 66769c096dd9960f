"""The layers of a GPT: attention, feed-forward, block. Token vectors in, token vectors out.

Axes: B batch, T time (new tokens), S time (all tokens a query may look at), C channels, H query heads,
K key and value heads, G query heads for each of those (H = K * G), D channels of a head.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

Cache = tuple[Any, Any]
"""Keys and values of one layer, each (B, K, S, D)."""

INITIAL_STANDARD_DEVIATION = 0.02


def norm_layer(kind: str, epsilon: float, bias: bool, name: str, dtype: Any) -> keras.layers.Layer:
    """LayerNorm (`layer`, with or without shift) or RMSNorm (`rms`); both compute in float32."""
    if kind == "rms":
        return keras.layers.RMSNormalization(epsilon=epsilon, name=name, dtype=dtype)
    return keras.layers.LayerNormalization(epsilon=epsilon, center=bias, name=name, dtype=dtype)


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
        >>> attention(keras.ops.ones((1, 5, 32)), mask_BTS=keras.ops.ones((1, 5, 5), dtype="bool"),
        ...           positions_BT=keras.ops.arange(5)[None]).shape
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
        kv_width = self.num_kv_heads * self.head_dim
        self.query = _dense(width, bias, "query", self.dtype_policy)
        self.key = _dense(kv_width, bias, "key", self.dtype_policy)
        self.value = _dense(kv_width, bias, "value", self.dtype_policy)
        self.output_projection = _dense(
            width, bias, "output", self.dtype_policy, output_standard_deviation
        )
        if qk_norm:
            self.query_norm = norm_layer(
                "rms", norm_epsilon, False, "query_norm", self.dtype_policy
            )
            self.key_norm = norm_layer("rms", norm_epsilon, False, "key_norm", self.dtype_policy)
        self.weights_dropout = _dropout(dropout, "weights_dropout", self.dtype_policy)
        self.residual_dropout = _dropout(dropout, "residual_dropout", self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs (B, T, C)."""
        for layer in (self.query, self.key, self.value, self.output_projection):
            layer.build((None, None, self.width))
        if self.qk_norm:
            self.query_norm.build((None, None, self.num_heads, self.head_dim))
            self.key_norm.build((None, None, self.num_kv_heads, self.head_dim))
        self.built = True

    def call(
        self,
        x_BTC: Any,
        mask_BTS: Any,
        positions_BT: Any,
        cache: Cache | None = None,
        start: Any = 0,
        training: bool | None = None,
    ) -> Any:
        """Attend from each of the T new tokens to the S tokens that `mask_BTS` (True: may look) allows.

        Without `cache`, S is T and the result is x_BTC. With it, the new keys and values are written at `start`, and
        the result is (x_BTC, new cache).
        """
        q_BTHD, k_BTKD, v_BTKD = self._project(x_BTC, positions_BT)
        k_BKSD, v_BKSD = ops.transpose(k_BTKD, (0, 2, 1, 3)), ops.transpose(v_BTKD, (0, 2, 1, 3))
        if cache is not None:
            k_BKSD = ops.slice_update(cache[0], (0, 0, start, 0), k_BKSD)
            v_BKSD = ops.slice_update(cache[1], (0, 0, start, 0), v_BKSD)
        y_BTC = self._attend(q_BTHD, k_BKSD, v_BKSD, mask_BTS, training)
        y_BTC = self.residual_dropout(self.output_projection(y_BTC), training=training)
        return y_BTC if cache is None else (y_BTC, (k_BKSD, v_BKSD))

    def _project(self, x_BTC: Any, positions_BT: Any) -> tuple[Any, Any, Any]:
        batch, time = ops.shape(x_BTC)[0], ops.shape(x_BTC)[1]
        q = ops.reshape(self.query(x_BTC), (batch, time, self.num_heads, self.head_dim))
        k = ops.reshape(self.key(x_BTC), (batch, time, self.num_kv_heads, self.head_dim))
        v = ops.reshape(self.value(x_BTC), (batch, time, self.num_kv_heads, self.head_dim))
        if self.qk_norm:
            q, k = self.query_norm(q), self.key_norm(k)
        if self.rotary_base:
            q = rotate(q, positions_BT, self.rotary_base)
            k = rotate(k, positions_BT, self.rotary_base)
        return q, k, v

    def _attend(self, q_BTHD: Any, k_BKSD: Any, v_BKSD: Any, mask_BTS: Any, training: Any) -> Any:
        batch, time = ops.shape(q_BTHD)[0], ops.shape(q_BTHD)[1]
        groups = self.num_heads // self.num_kv_heads
        scale = 1.0 / math.sqrt(self.head_dim)
        if groups > 1:  # the G queries that share a key lie side by side along time
            q = ops.reshape(q_BTHD * scale, (batch, time, self.num_kv_heads, groups, self.head_dim))
            q = ops.reshape(
                ops.transpose(q, (0, 2, 3, 1, 4)),
                (batch, self.num_kv_heads, groups * time, self.head_dim),
            )
            mask_BTS = ops.tile(mask_BTS, (1, groups, 1))
        else:
            q = ops.transpose(q_BTHD * scale, (0, 2, 1, 3))
        scores = ops.cast(ops.matmul(q, ops.transpose(k_BKSD, (0, 1, 3, 2))), "float32")
        scores = ops.where(mask_BTS[:, None], scores, -1e9)
        weights = ops.cast(ops.softmax(scores, axis=-1), v_BKSD.dtype)
        weights = self.weights_dropout(weights, training=training)
        y = ops.matmul(weights, v_BKSD)
        if groups > 1:
            y = ops.reshape(y, (batch, self.num_heads, time, self.head_dim))
        return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (batch, time, self.width))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        names = (
            "width num_heads num_kv_heads rotary_base qk_norm norm_epsilon bias dropout"
            " output_standard_deviation"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


@keras.saving.register_keras_serializable(package="kgpt")
class FeedForward(keras.layers.Layer):
    """Two matrices with GELU between them (GPT-2), or three with a gated SiLU (SwiGLU, arXiv:2002.05202).

    Example:
        >>> FeedForward(width=32, hidden_width=64)(keras.ops.ones((1, 5, 32))).shape
        (1, 5, 32)
    """

    def __init__(
        self,
        *,
        width: int,
        hidden_width: int,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
        output_standard_deviation: float = INITIAL_STANDARD_DEVIATION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width, self.hidden_width, self.activation = width, hidden_width, activation
        self.bias, self.dropout = bias, dropout
        self.output_standard_deviation = output_standard_deviation
        if activation == "swiglu":
            self.gate = _dense(hidden_width, bias, "gate", self.dtype_policy)
        self.up = _dense(hidden_width, bias, "up", self.dtype_policy)
        self.down = _dense(width, bias, "down", self.dtype_policy, output_standard_deviation)
        self.residual_dropout = _dropout(dropout, "residual_dropout", self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs (B, T, C)."""
        if self.activation == "swiglu":
            self.gate.build((None, None, self.width))
        self.up.build((None, None, self.width))
        self.down.build((None, None, self.hidden_width))
        self.built = True

    def call(self, x_BTC: Any, training: bool | None = None) -> Any:
        """Transform each token vector by itself."""
        if self.activation == "swiglu":
            hidden = ops.silu(self.gate(x_BTC)) * self.up(x_BTC)
        else:
            hidden = ops.gelu(self.up(x_BTC), approximate=True)  # GPT-2 uses the tanh form
        return self.residual_dropout(self.down(hidden), training=training)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        names = "width hidden_width activation bias dropout output_standard_deviation"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


@keras.saving.register_keras_serializable(package="kgpt")
class TransformerBlock(keras.layers.Layer):
    """Attention, then feed-forward, each on the normalised input and added to it (pre-norm).

    `attention` and `feed_forward` are the keyword arguments of those layers.
    """

    def __init__(
        self,
        *,
        attention: dict[str, Any],
        feed_forward: dict[str, Any],
        norm: str = "layer",
        norm_epsilon: float = 1e-5,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = {
            "attention": attention,
            "feed_forward": feed_forward,
            "norm": norm,
            "norm_epsilon": norm_epsilon,
            "bias": bias,
        }
        policy = self.dtype_policy
        self.attention_norm = norm_layer(norm, norm_epsilon, bias, "attention_norm", policy)
        self.attention = CausalSelfAttention(**attention, name="attention", dtype=policy)
        self.feed_forward_norm = norm_layer(norm, norm_epsilon, bias, "feed_forward_norm", policy)
        self.feed_forward = FeedForward(**feed_forward, name="feed_forward", dtype=policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs (B, T, C)."""
        shape = (None, None, self.attention.width)
        for layer in (
            self.attention_norm,
            self.attention,
            self.feed_forward_norm,
            self.feed_forward,
        ):
            layer.build(shape)
        self.built = True

    def call(
        self,
        x_BTC: Any,
        mask_BTS: Any,
        positions_BT: Any,
        cache: Cache | None = None,
        start: Any = 0,
        training: bool | None = None,
    ) -> Any:
        """The block's output x_BTC; with `cache`, (x_BTC, new cache)."""
        y = self.attention(
            self.attention_norm(x_BTC),
            mask_BTS=mask_BTS,
            positions_BT=positions_BT,
            cache=cache,
            start=start,
            training=training,
        )
        y, new_cache = y if cache is not None else (y, None)
        x_BTC = x_BTC + y
        x_BTC = x_BTC + self.feed_forward(self.feed_forward_norm(x_BTC), training=training)
        return x_BTC if cache is None else (x_BTC, new_cache)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), **self.arguments}


def _dense(
    units: int,
    bias: bool,
    name: str,
    dtype: Any,
    standard_deviation: float = INITIAL_STANDARD_DEVIATION,
) -> keras.layers.Dense:
    return keras.layers.Dense(
        units,
        use_bias=bias,
        kernel_initializer=keras.initializers.RandomNormal(stddev=standard_deviation),
        name=name,
        dtype=dtype,
    )


def _dropout(rate: float, name: str, dtype: Any) -> keras.layers.Dropout:
    return keras.layers.Dropout(rate, name=name, dtype=dtype)
