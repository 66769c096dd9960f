"""A GPT's feed-forward layer, and the block of attention and feed-forward. Token vectors in, token vectors out.

Axes: B batch, T time (new tokens), S time (all tokens a query may look at), C channels.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kgpt.model.attention import Cache, CausalSelfAttention, WriteCache, write_slice
from kgpt.model.dropout import derived, dropout
from kgpt.model.parts import INITIAL_STANDARD_DEVIATION, dense_layer, norm_layer


@keras.saving.register_keras_serializable(package="kgpt")
class FeedForward(keras.layers.Layer):
    """Two matrices with an activation between them, or three with a gated SiLU.

    `gelu` is GPT-2's, in the tanh form; `relu2` squares what is positive (So et al., 2021, arXiv:2109.08668);
    `swiglu` is the gated one (Shazeer, 2020, arXiv:2002.05202).

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
            self.gate = dense_layer(hidden_width, bias, "gate", self.dtype_policy)
        self.up = dense_layer(hidden_width, bias, "up", self.dtype_policy)
        self.down = dense_layer(width, bias, "down", self.dtype_policy, output_standard_deviation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs (B, T, C)."""
        if self.activation == "swiglu":
            self.gate.build((None, None, self.width))
        self.up.build((None, None, self.width))
        self.down.build((None, None, self.hidden_width))
        self.built = True

    def call(self, x_BTC: Any, seed: Any = None) -> Any:
        """Transform each token vector by itself. A `seed` (uint32) makes dropout act."""
        if self.activation == "swiglu":
            hidden = ops.silu(self.gate(x_BTC)) * self.up(x_BTC)
        elif self.activation == "relu2":
            hidden = ops.square(ops.relu(self.up(x_BTC)))
        else:
            hidden = ops.gelu(self.up(x_BTC), approximate=True)
        return dropout(self.down(hidden), self.dropout, seed)

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

    def call(self, x_BTC: Any, positions_BT: Any, seed: Any = None, segments_BT: Any = None) -> Any:
        """The block's output x_BTC. A `seed` (uint32) makes dropout act; segments do not see each other."""
        seeds = (None, None) if seed is None else (derived(seed, 0), derived(seed, 1))
        x_BTC = x_BTC + self.attention(
            self.attention_norm(x_BTC),
            positions_BT=positions_BT,
            seed=seeds[0],
            segments_BT=segments_BT,
        )
        return x_BTC + self.feed_forward(self.feed_forward_norm(x_BTC), seed=seeds[1])

    def call_with_cache(
        self,
        x_BTC: Any,
        mask_BTS: Any,
        positions_BT: Any,
        cache: Cache,
        start: Any,
        write: WriteCache = write_slice,
    ) -> tuple[Any, Cache]:
        """(x_BTC, new cache): see `CausalSelfAttention.call_with_cache`."""
        y_BTC, new_cache = self.attention.call_with_cache(
            self.attention_norm(x_BTC), mask_BTS, positions_BT, cache, start, write
        )
        x_BTC = x_BTC + y_BTC
        return x_BTC + self.feed_forward(self.feed_forward_norm(x_BTC)), new_cache

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), **self.arguments}
