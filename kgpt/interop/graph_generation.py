"""The writing loop as a TensorFlow graph: prompt ids in, the ids of their continuations out; and the scores of a text.

The network is the model's own layers. What is here is the cache, the loop, and the bookkeeping of uneven rows.

Axes: B batch, T time (new tokens), S time (all tokens in the cache), N new tokens
(or all tokens of a batch), W windows, C channels, K key and value heads,
H query heads, D channels of a head, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kgpt.interop.graph_sampling import Controls, next_token, uniform_numbers
from kgpt.model.cross_entropy import CHUNK_BYTES, SMALLEST_CHUNK, cross_entropy_of
from kgpt.model.gpt import GPT

Caches = list[tuple[Any, Any]]


def generate(
    model: GPT, ids_BT: Any, length_B: Any, controls: Controls, end_of_text: int
) -> tuple[Any, Any]:
    """Continue the first `length_B` int32 ids of each row: new ids (B, N), and how many of them count (B,).

    A prompt loses its beginning where prompt and new tokens would not fit into the context together (the last new
    token is never read, so it needs no place); an empty prompt becomes the end of text. A row ends before its first
    end-of-text token, and is filled up with it.
    """
    context_length = model.config.context_length
    longest_B = context_length + 1 - controls.max_new_tokens
    prompt_BT, padding_B = left_padded(ids_BT, length_B, longest_B, end_of_text)
    prompt_length = tf.shape(prompt_BT)[1]
    most = tf.maximum(tf.reduce_max(controls.max_new_tokens), 1)
    uniform_BN = uniform_numbers(controls.seed, context_length)

    def write(place: Any, logits_BV: Any, done_B: Any, ids_BN: Any) -> tuple[Any, Any]:
        token_B = next_token(logits_BV, uniform_BN[:, place], controls)
        token_B = tf.where(done_B, end_of_text, token_B)
        done_B = (token_B == end_of_text) | (place + 1 >= controls.max_new_tokens)
        is_here_N = tf.range(most) == place
        return done_B, tf.where(is_here_N, token_B[:, None], ids_BN)

    def proceed(place: Any, done_B: Any, ids_BN: Any, caches: Caches) -> tuple[Any, ...]:
        token_B1 = ids_BN[:, place - 1 : place]
        start = prompt_length + place - 1
        logits_BV, caches = cached_logits(model, token_B1, caches, start, padding_B)
        return (place + 1, *write(place, logits_BV, done_B, ids_BN), caches)

    caches = empty_caches(model, tf.shape(prompt_BT)[0], prompt_length + most - 1)
    logits_BV, caches = cached_logits(model, prompt_BT, caches, 0, padding_B)
    ids_BN = tf.fill([tf.shape(prompt_BT)[0], most], end_of_text)
    done_B, ids_BN = write(0, logits_BV, tf.zeros_like(padding_B, tf.bool), ids_BN)
    ids_BN = tf.while_loop(
        lambda place, done_B, *_: (place < most) & ~tf.reduce_all(done_B),
        proceed,
        (1, done_B, ids_BN, caches),
        parallel_iterations=1,  # more would keep the caches of several steps
    )[2]
    return ids_BN, tf.reduce_sum(tf.cast(ids_BN != end_of_text, tf.int32), axis=1)


def log_probabilities(model: GPT, ids_BT: Any, end_of_text: int) -> Any:
    """Of each id, float32 (B, T), given those before it in its window of at most the context's length.

    The first id of a row is read after the end of a text, that of a later window after the token before it.
    """
    batch, time = tf.unstack(tf.shape(ids_BT))
    size = tf.clip_by_value(time, 1, model.config.context_length)
    missing = -time % size
    target_WT = tf.reshape(tf.pad(ids_BT, [[0, 0], [0, missing]]), [-1, size])
    before_BT = tf.concat([tf.fill([batch, 1], end_of_text), ids_BT], axis=1)[:, :time]
    before_WT = tf.reshape(tf.pad(before_BT, [[0, 0], [0, missing]]), [-1, size])
    x_NC = tf.reshape(model.hidden_states(before_WT), [-1, model.config.width])
    chunk = max(SMALLEST_CHUNK, CHUNK_BYTES // (4 * model.config.padded_vocabulary_size))
    loss_N = cross_entropy_of(model).each(
        x_NC, model.head_matrix, tf.reshape(target_WT, [-1]), chunk
    )
    return -tf.reshape(loss_N, [batch, time + missing])[:, :time]


def left_padded(ids_BT: Any, length_B: Any, longest_B: Any, end_of_text: int) -> tuple[Any, Any]:
    """Rows aligned at their beginnings as rows aligned at their ends, and the number of empty places before each.

    A row longer than its entry of `longest_B` loses its beginning; an empty one becomes `end_of_text`.
    """
    is_empty_B = length_B == 0
    length_B = tf.maximum(length_B, 1)
    kept_B = tf.minimum(length_B, longest_B)
    time = tf.maximum(tf.reduce_max(kept_B), 1)
    index_BT = tf.maximum(length_B[:, None] - time + tf.range(time), 0)
    filled_BT = tf.pad(ids_BT, [[0, 0], [0, 1]])  # so that an empty row has a place to read from
    moved_BT = tf.gather(filled_BT, index_BT, batch_dims=1)
    return tf.where(is_empty_B[:, None], end_of_text, moved_BT), time - kept_B


def empty_caches(model: GPT, batch_size: Any, size: Any) -> Caches:
    """Zeros for `size` tokens a row: for each block keys and values (B, K, S, D)."""
    heads, head_dim = model.config.kv_heads, model.config.head_dim
    zeros = tf.ensure_shape(
        tf.zeros([batch_size, heads, size, head_dim], model.compute_dtype),
        [None, heads, None, head_dim],
    )
    return [(zeros, zeros) for _ in model.blocks]


def cached_logits(
    model: GPT, ids_BT: Any, caches: Caches, start: Any, padding_B: Any
) -> tuple[Any, Caches]:
    """What `GPT.call_with_cache` computes, with caches that TensorFlow writes by a scatter.

    Keras writes them by `slice_update`: an XLA kernel, compiled anew for every shape that it meets.
    """
    return model.call_with_cache(ids_BT, caches, start, padding_B, write_cache)


def write_cache(cache_BKSD: Any, new_BKTD: Any, start: Any) -> Any:
    """The cache with the T new keys or values of each row at `start`."""
    batch, heads, time, _ = tf.unstack(tf.shape(new_BKTD))
    places = tf.meshgrid(tf.range(batch), tf.range(heads), start + tf.range(time), indexing="ij")
    return tf.tensor_scatter_nd_update(cache_BKSD, tf.stack(places, axis=-1), new_BKTD)
