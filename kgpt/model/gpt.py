"""The GPT: token ids in, a score for every possible next token out.

Axes: B batch, T time (new tokens), S time (all tokens in the cache), C channels, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from kgpt.config import ModelConfig
from kgpt.config_values import model_from_dict
from kgpt.model.attention import Cache, WriteCache, write_slice
from kgpt.model.dropout import derived, dropout, seed_from_state
from kgpt.model.layers import TransformerBlock
from kgpt.model.parts import INITIAL_STANDARD_DEVIATION, norm_layer


@keras.saving.register_keras_serializable(package="kgpt")
class GPT(keras.Model):
    """A decoder-only transformer (Radford et al., 2019), its parts chosen by a `ModelConfig`.

    The defaults are GPT-2: learned positions, pre-norm blocks, GELU, the head tied to the token embedding. Matrices
    start as N(0, 0.02); those that write into the residual stream as N(0, 0.02 / sqrt(2 * num_layers)).

    With `remat`, training keeps of each block its input alone and computes the rest again in the backward pass
    (Chen et al., 2016, arXiv:1604.06174): less memory for up to a third more time, and the same numbers.

    Example:
        >>> model = build_gpt(ModelConfig(vocabulary_size=65, context_length=64, num_layers=4, num_heads=4, width=128))
        >>> model(np.zeros((1, 10), dtype="int32")).shape
        (1, 10, 65)
    """

    def __init__(
        self, config: ModelConfig | dict[str, Any], *, remat: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.remat = remat
        self.config = config if isinstance(config, ModelConfig) else model_from_dict(config)
        c = self.config
        zero = c.initialization == "zero-output"
        residual = 0.0 if zero else INITIAL_STANDARD_DEVIATION / math.sqrt(2 * c.num_layers)
        normal = keras.initializers.RandomNormal(stddev=INITIAL_STANDARD_DEVIATION)
        policy = self.dtype_policy
        # === Layers ===
        self.token_embedding = keras.layers.Embedding(
            c.padded_vocabulary_size,
            c.width,
            embeddings_initializer=normal,
            name="token_embedding",
            dtype=policy,
        )
        if c.positions == "learned":
            self.position_embedding = keras.layers.Embedding(
                c.context_length,
                c.width,
                embeddings_initializer=normal,
                name="position_embedding",
                dtype=policy,
            )
        if c.dropout:
            self.seed_generator = keras.random.SeedGenerator()
        self.blocks = [
            TransformerBlock(
                attention=_attention_arguments(c, residual),
                feed_forward=_feed_forward_arguments(c, residual),
                norm=c.norm,
                norm_epsilon=c.norm_epsilon,
                bias=c.bias,
                name=f"block_{index}",
                dtype=policy,
            )
            for index in range(c.num_layers)
        ]
        self.final_norm = norm_layer(c.norm, c.norm_epsilon, c.bias, "final_norm", policy)
        if not c.tied_head:
            self.head = keras.layers.Dense(
                c.padded_vocabulary_size,
                use_bias=False,
                kernel_initializer="zeros" if zero else normal,
                name="head",
                dtype=policy,
            )

    def build(self, input_shape: Any = None) -> None:
        """Create all weights; the shape of the ids does not matter."""
        shape = (None, None, self.config.width)
        self.token_embedding.build((None, None))
        if self.config.positions == "learned":
            self.position_embedding.build((None, None))
        for layer in (*self.blocks, self.final_norm):
            layer.build(shape)
        if not self.config.tied_head:
            self.head.build(shape)
        self.built = True

    def call(self, ids_BT: Any, training: bool | None = None) -> Any:
        """Float32 logits (B, T, V): entry t scores the token that follows ids[:, :t + 1]."""
        return self.logits(self.hidden_states(ids_BT, training))

    def hidden_states(
        self, ids_BT: Any, training: bool | None = None, positions_BT: Any = None
    ) -> Any:
        """What the head makes logits of: normalised vectors (B, T, C).

        Several texts may share a row: `positions_BT` counts each from 0, and none sees another.
        """
        segments_BT = None
        if positions_BT is None:
            positions_BT = ops.arange(ops.shape(ids_BT)[1])[None]
        else:
            segments_BT = ops.cumsum(ops.cast(ops.equal(positions_BT, 0), "int32"), axis=1)
        drops = bool(training) and self.config.dropout > 0
        seed = seed_from_state(self.seed_generator.next()) if drops else None
        x_BTC = self.embed(ids_BT, positions_BT, seed)
        for index, block in enumerate(self.blocks):
            block_seed = None if seed is None else derived(seed, index + 1)
            layer: Any = block
            apply = functools.partial(
                layer, positions_BT=positions_BT, seed=block_seed, segments_BT=segments_BT
            )
            x_BTC = keras.remat(apply)(x_BTC) if training and self.remat else apply(x_BTC)
        return self.final_norm(x_BTC)

    def masked_states(self, ids_BT: Any, positions_BT: Any, mask_BTT: Any) -> Any:
        """As `hidden_states`, with a position for each token, and looking where `mask_BTT` (True: may look) allows."""
        x_BTC, nothing = self.embed(ids_BT, positions_BT), (None, None)
        for block in self.blocks:
            x_BTC, _ = block.call_with_cache(
                x_BTC, mask_BTT, positions_BT, nothing, 0, lambda cache, new, start: new
            )
        return self.final_norm(x_BTC)

    def attention_weights(self, ids_BT: Any, layer: int) -> Any:
        """What the heads of a layer look at: float32 (B, H, T, T), a row for each token that looks; rows sum to 1."""
        return next(itertools.islice(self.attentions(ids_BT), layer, None))

    def attentions(self, ids_BT: Any) -> Iterator[Any]:
        """`attention_weights` of one layer after another, the first first; each is computed when it is asked for."""
        positions_1T = ops.arange(ops.shape(ids_BT)[1])[None]
        x_BTC = self.embed(ids_BT, positions_1T)
        for block in self.blocks:
            yield block.attention.weights_of(block.attention_norm(x_BTC), positions_1T)
            x_BTC = block(x_BTC, positions_BT=positions_1T)

    def call_with_cache(
        self,
        ids_BT: Any,
        cache: Sequence[Cache],
        start: Any,
        padding_B: Any,
        write: WriteCache = write_slice,
        every: bool = False,
    ) -> tuple[Any, list[Cache]]:
        """Logits (B, V) after the last of the T new tokens, or (B, T, V) after `every`, and the cache with them too.

        `start` is the scalar place of the first new token in the cache; rows are aligned at their ends, `padding_B`
        says how many places at the beginning of each row are empty. `write` puts keys and values into a cache.
        """
        time, size = ops.shape(ids_BT)[1], ops.shape(cache[0][0])[2]
        place_T = start + ops.arange(time)
        # A row that has ended may go on with its batch past the last position; nothing reads what it writes.
        last = self.config.context_length - 1
        positions_BT = ops.clip(place_T[None, :] - padding_B[:, None], 0, last)
        seen_S = ops.arange(size)
        mask_BTS = ops.logical_and(
            seen_S[None, None, :] <= place_T[None, :, None],
            seen_S[None, None, :] >= padding_B[:, None, None],
        )
        x_BTC, new_cache = self.embed(ids_BT, positions_BT), []
        for block, layer_cache in zip(self.blocks, cache, strict=True):
            x_BTC, updated = block.call_with_cache(
                x_BTC, mask_BTS, positions_BT, layer_cache, start, write
            )
            new_cache.append(updated)
        if every:
            return self.logits(self.final_norm(x_BTC)), new_cache
        return self.logits(self.final_norm(x_BTC[:, -1:]))[:, 0], new_cache

    def empty_cache(self, batch_size: int, size: int) -> list[Cache]:
        """A cache of zeros for `size` tokens a row: for each layer, keys and values (B, K, S, D)."""
        shape = (batch_size, self.config.kv_heads, size, self.config.head_dim)
        zeros = ops.zeros(shape, dtype=self.compute_dtype)
        return [(zeros, zeros) for _ in self.blocks]

    def embed(self, ids_BT: Any, positions_BT: Any, seed: Any = None) -> Any:
        """Vectors (B, T, C) of tokens at positions. A `seed` (uint32) makes dropout act."""
        x_BTC = self.token_embedding(ids_BT)
        if self.config.positions == "learned":
            x_BTC = x_BTC + self.position_embedding(positions_BT)
        return x_BTC if seed is None else dropout(x_BTC, self.config.dropout, derived(seed, 0))

    def logits(self, x_BTC: Any) -> Any:
        """Float32 scores (B, T, V) of every token of the vocabulary, from normalised vectors."""
        if self.config.tied_head:
            table_VC = ops.cast(self.token_embedding.embeddings, x_BTC.dtype)
            logits = ops.matmul(x_BTC, ops.transpose(table_VC))
        else:
            logits = self.head(x_BTC)
        return ops.cast(logits[..., : self.config.vocabulary_size], "float32")

    @property
    def head_matrix(self) -> Any:
        """The float32 variable that makes logits: (padded V, C) where the head is tied, else (C, padded V)."""
        return self.token_embedding.embeddings if self.config.tied_head else self.head.kernel

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "config": dataclasses.asdict(self.config),
            "remat": self.remat,
        }


def _attention_arguments(c: ModelConfig, residual: float) -> dict[str, Any]:
    return {
        "width": c.width,
        "num_heads": c.num_heads,
        "num_kv_heads": c.kv_heads,
        "rotary_base": c.rotary_base if c.positions == "rotary" else 0.0,
        "qk_norm": c.qk_norm,
        "norm_epsilon": c.norm_epsilon,
        "bias": c.bias,
        "dropout": c.dropout,
        "output_standard_deviation": residual,
    }


def _feed_forward_arguments(c: ModelConfig, residual: float) -> dict[str, Any]:
    return {
        "width": c.width,
        "hidden_width": c.hidden_width,
        "activation": c.activation,
        "bias": c.bias,
        "dropout": c.dropout,
        "output_standard_deviation": residual,
    }


def build_gpt(
    config: ModelConfig,
    precision: str = "float32",
    seed: int | None = None,
    *,
    model_class: type[GPT] = GPT,
    **arguments: Any,
) -> GPT:
    """A built model with fresh weights.

    `precision` is float32, or bfloat16 (weights float32, products in bfloat16); `model_class` a subclass, and
    `arguments` what its constructor takes besides.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    policy = precision if precision == "float32" else f"mixed_{precision}"
    model = model_class(config, dtype=keras.DTypePolicy(policy), name="gpt", **arguments)
    model.build()
    return model
