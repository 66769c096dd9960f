"""The tokenizer inside a TensorFlow graph: string tensors in, ragged ids out, and back.

`GraphBPE` is made of core TensorFlow operations, constants and static tables alone, so a SavedModel that holds it loads
wherever TensorFlow is. `GraphTokenizer` is the Keras layer around it: keras-nlp's `BytePairTokenizer`, made to give
the right ids. Both read the definition of a `kgpt.text.tokenizer.Tokenizer` and agree with it on every valid text.

Axes: B texts, C characters, N bytes and W words of all texts in a row, U distinct words, S symbols (ids being
merged) of all distinct words in a row, T tokens of a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.byte_symbols import BYTE_SYMBOLS
from kgpt.text.graph_words import GraphWords, shifted
from kgpt.text.pretokenization import GPT2
from kgpt.text.tokenizer import Tokenizer

_NO_MERGE = np.iinfo(np.int64).max


class GraphBPE(tf.Module):
    """Byte-level BPE as a `tf.Module` without variables."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(name="graph_bpe")
        self.vocabulary_size = tokenizer.vocabulary_size
        self.end_of_text = tokenizer.end_of_text
        token_bytes = [tokenizer.token_bytes(token) for token in range(tokenizer.vocabulary_size)]
        self._token_bytes_V = tf.constant(token_bytes, tf.string)
        self._byte_ids = tf.constant([tokenizer.vocabulary[s] for s in BYTE_SYMBOLS], tf.int64)
        self._words = GraphWords(tokenizer.pre_tokenization)
        whole = _tokens_of_their_own(tokenizer)
        self._whole_words = _table([token_bytes[token] for token in whole], whole, tf.string, -1)
        self._merges = _merge_table(tokenizer)

    # === Text to ids ===

    def tokenize(self, texts_B: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text, int32 (B, ragged T). Bytes that are not UTF-8 are split as punctuation is."""
        with tf.device("cpu"):
            words_W, words_per_text_B = self._split(texts_B)
            distinct_U, place_W = tf.unique(words_W)
            ids_WT = tf.gather(self._merge(distinct_U), place_W)
            ids_BWT = tf.RaggedTensor.from_row_lengths(ids_WT, words_per_text_B, validate=False)
            return tf.cast(ids_BWT.merge_dims(1, 2), tf.int32)

    def _split(self, texts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Words of all texts in a row, and how many each text has."""
        points, offsets = tf.strings.unicode_decode_with_offsets(texts_B, "UTF-8")
        text_C = tf.cast(points.value_rowids(), tf.int32)
        starts_C = self._words.starts(points.values, text_C)
        text_W = tf.boolean_mask(text_C, starts_C)
        # Words are joined from bytes: `substr` would copy the whole text for each of them.
        bytes_N = tf.strings.bytes_split(tf.strings.reduce_join(texts_B))
        text_offset_B = tf.cumsum(tf.strings.length(texts_B), exclusive=True)
        offset_C = tf.cast(offsets.values, tf.int32) + tf.gather(text_offset_B, text_C)
        offset_W = tf.boolean_mask(offset_C, starts_C)[:, tf.newaxis]
        begins_N = tf.scatter_nd(offset_W, tf.ones_like(text_W), tf.shape(bytes_N))
        words_W = tf.strings.unsorted_segment_join(
            bytes_N, tf.cumsum(begins_N) - 1, tf.size(text_W)
        )
        return words_W, tf.math.bincount(text_W, minlength=tf.size(texts_B), dtype=tf.int64)

    def _merge(self, words_U: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each word, int64 (U, ragged T): at once if it is a token, else by merging its bytes."""
        whole_U = self._whole_words.lookup(words_U)
        is_whole_U = whole_U >= 0
        spelled_U = tf.where(is_whole_U, "", words_U)
        bytes_S = tf.io.decode_raw(tf.strings.reduce_join(spelled_U), tf.uint8)
        symbols_S = tf.gather(self._byte_ids, tf.cast(bytes_S, tf.int32))
        word_S = tf.repeat(tf.range(tf.size(words_U)), tf.strings.length(spelled_U))
        symbols_S, word_S, _ = tf.while_loop(
            lambda symbols_S, word_S, go_on: go_on,
            lambda symbols_S, word_S, go_on: self._merge_step(symbols_S, word_S, tf.size(words_U)),
            (symbols_S, word_S, tf.size(symbols_S) > 1),
            (tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([])),
            parallel_iterations=1,
        )
        count = tf.size(words_U, tf.int64)
        merged = tf.RaggedTensor.from_value_rowids(
            symbols_S, tf.cast(word_S, tf.int64), count, validate=False
        )
        found = tf.RaggedTensor.from_row_lengths(
            tf.boolean_mask(whole_U, is_whole_U), tf.cast(is_whole_U, tf.int64), validate=False
        )
        return tf.concat([found, merged], axis=1)

    def _merge_step(
        self, symbols_S: tf.Tensor, word_S: tf.Tensor, words: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Merge, in every word, all occurrences of its best pair; the last value says whether any word had one.

        A pair is the symbol at a place and the one after it. Its table entry is rank * V + id of what it makes: two
        merges may make the same id, so one cannot be told from the other.
        """
        pair_S = symbols_S * self.vocabulary_size + shifted(symbols_S, 1, 0)
        inside_S = shifted(word_S, 1, -1) == word_S
        entry_S = tf.where(inside_S, self._merges.lookup(pair_S), _NO_MERGE)
        best_S = tf.gather(tf.math.unsorted_segment_min(entry_S, word_S, words), word_S)
        hit_S = (entry_S == best_S) & (entry_S != _NO_MERGE)
        # In a run of hits, such as those of "a a" in "aaaa", every second one overlaps the one before it.
        place_S = tf.range(tf.size(symbols_S))
        run_S = tf.cumsum(tf.cast(~hit_S, tf.int32))
        start_S = tf.gather(tf.math.segment_min(place_S, run_S), run_S)
        start_S = tf.where(run_S == 0, -1, start_S)
        left_S = hit_S & ((place_S - start_S) % 2 == 1)
        symbols_S = tf.where(left_S, entry_S % self.vocabulary_size, symbols_S)
        kept_S = ~shifted(left_S, -1, False)
        go_on = tf.reduce_any(hit_S)
        return tf.boolean_mask(symbols_S, kept_S), tf.boolean_mask(word_S, kept_S), go_on

    # === Ids to text ===

    def detokenize(
        self, ids: tf.RaggedTensor | tf.Tensor, lengths_B: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The bytes of each row of ids, string (B,): ragged ids, or dense ones (B, T) of which `lengths_B` count."""
        with tf.device("cpu"):
            if not isinstance(ids, tf.RaggedTensor):
                ids = tf.RaggedTensor.from_tensor(ids, lengths_B)
            pieces = tf.gather(self._token_bytes_V, ids.values)
            return tf.strings.reduce_join(ids.with_values(pieces), axis=1)


# === Tables ===


def _table(keys: Any, values: Any, key_dtype: tf.DType, default: int) -> tf.lookup.StaticHashTable:
    initializer = tf.lookup.KeyValueTensorInitializer(
        tf.constant(keys, key_dtype), tf.constant(values, tf.int64)
    )
    return tf.lookup.StaticHashTable(initializer, default)


def _merge_table(tokenizer: Tokenizer) -> tf.lookup.StaticHashTable:
    """The pair left id * V + right id, to rank * V + id of what they make."""
    ids, size = tokenizer.vocabulary, tokenizer.vocabulary_size
    pairs = [ids[left] * size + ids[right] for left, right in tokenizer.merges]
    entries = [
        rank * size + ids[left + right] for rank, (left, right) in enumerate(tokenizer.merges)
    ]
    # No pair has the key -1, so a vocabulary without merges gets a table all the same.
    return _table([*pairs, -1], [*entries, _NO_MERGE], tf.int64, _NO_MERGE)


def _tokens_of_their_own(tokenizer: Tokenizer) -> list[int]:
    """Ids of the tokens that, as words, become just themselves; special tokens and unreachable ones do not."""
    spell = tokenizer.backend.model.tokenize
    special = set(tokenizer.special_tokens)
    return [
        token
        for symbols, token in tokenizer.vocabulary.items()
        if symbols not in special and [piece.id for piece in spell(symbols)] == [token]
    ]


# === Keras ===


@keras.saving.register_keras_serializable(package="kgpt")
class GraphTokenizer(keras_nlp.tokenizers.BytePairTokenizer):
    """A Keras layer from strings to the ids of a `kgpt.text.tokenizer.Tokenizer`, eagerly and in graphs.

    keras-nlp's own layer splits text as Llama 3 does and alters some characters; here every id is right. The layer
    runs on TensorFlow and gives TensorFlow tensors. It is saved with its whole vocabulary.

    Args:
        tokenizer: the definition; or `vocabulary` (token to id) and `merges` ("left right") as keras-nlp has them,
            and `pre_tokenization`.
        sequence_length: cut or fill each text to so many ids, with end-of-text ids. Defaults to ragged rows.

    Call arguments:
        inputs: strings (B,), or one string.

    Returns:
        int32 ids: ragged (B, T), dense (B, sequence_length), or (T,) for one string.

    Example:
        layer = GraphTokenizer(Tokenizer.load("saved_models/demo"))
        layer(tf.constant(["Marte é um planeta"]))
    """

    def __init__(
        self,
        tokenizer: Tokenizer | None = None,
        *,
        vocabulary: Mapping[str, int] | None = None,
        merges: Sequence[str] | None = None,
        pre_tokenization: str = GPT2.name,
        sequence_length: int | None = None,
        dtype: str = "int32",
        **kwargs: Any,
    ) -> None:
        if tokenizer is not None:
            vocabulary = tokenizer.vocabulary
            merges = [" ".join(pair) for pair in tokenizer.merges]
            pre_tokenization = tokenizer.pre_tokenization
        self._pre_tokenization = pre_tokenization
        super().__init__(vocabulary, merges, sequence_length=sequence_length, dtype=dtype, **kwargs)

    def set_vocabulary_and_merges(self, vocabulary: Any, merges: Any) -> None:
        """Take over a definition: a mapping and lines, as keras-nlp calls it."""
        if vocabulary is None or merges is None:
            raise KgptError(
                _("No tokenizer"),
                _("Expected a Tokenizer, or a vocabulary and merges. Received: None"),
                _("GraphTokenizer(Tokenizer.load(PATH))"),
            )
        pairs = [tuple(merge.split(" ")) for merge in merges]
        self._use(Tokenizer(vocabulary, pairs, self._pre_tokenization))

    def _use(self, tokenizer: Tokenizer) -> None:
        self._definition, self._pre_tokenization = tokenizer, tokenizer.pre_tokenization
        self.vocabulary = dict(tokenizer.vocabulary)
        self.merges = [" ".join(pair) for pair in tokenizer.merges]
        self._tokenizer = tokenizer.backend  # what the base class looks tokens up in
        self.graph = GraphBPE(tokenizer)
        self._compiled = tf.function(
            self.graph.tokenize, input_signature=[tf.TensorSpec([None], tf.string)]
        )

    def save_assets(self, dir_path: str) -> None:
        """Write the definition."""
        self._definition.save(dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Read the definition that `save_assets` wrote."""
        self._use(Tokenizer.load(dir_path))

    def tokenize(self, inputs: Any) -> Any:
        """As calling the layer."""
        texts = tf.convert_to_tensor(inputs, tf.string)
        if texts.shape.rank not in (0, 1):
            raise ValueError(
                f"Expected one string or a vector of them. Received shape {texts.shape}"
            )
        ids = self._compiled(tf.reshape(texts, [-1]))
        if self.sequence_length:
            ids = ids.to_tensor(self.graph.end_of_text, shape=[None, self.sequence_length])
        return ids if texts.shape.rank else ids[0]

    def detokenize(self, inputs: Any) -> Any:
        """Bytes of each row of ids: ragged, dense or nested lists (B, T) give (B,), and (T,) gives a scalar."""
        if isinstance(inputs, (list, tuple)):
            inputs = tf.ragged.constant(inputs, dtype=tf.int32)
        ids = inputs if isinstance(inputs, tf.RaggedTensor) else tf.convert_to_tensor(inputs)
        if ids.shape.rank == 1:
            return self.graph.detokenize(ids[tf.newaxis])[0]
        return self.graph.detokenize(ids)

    def compute_output_spec(self, input_spec: Any) -> Any:
        """Shape and type of the ids."""
        return keras.KerasTensor((*input_spec.shape, self.sequence_length), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Everything needed to make the layer again."""
        config = super().get_config()
        for name in ("add_prefix_space", "unsplittable_tokens"):
            config.pop(name, None)
        return {
            **config,
            "vocabulary": dict(self.vocabulary),
            "merges": list(self.merges),
            "pre_tokenization": self._pre_tokenization,
        }
