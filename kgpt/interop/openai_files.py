"""OpenAI's GPT-2 as it was published: a TensorFlow checkpoint, `hparams.json`, `encoder.json` and `vocab.bpe`.

In: a folder. Out: a `ForeignModel`. Loads TensorFlow, which alone reads its checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig
from kgpt.interop.correspondence import Array, Correspondence, StoredTensor
from kgpt.interop.foreign import ForeignModel, foreign_tokenizer, read_object
from kgpt.interop.huggingface_config import configuration_errors
from kgpt.interop.huggingface_layout import GPT2_DENSE, GPT2_NORMS, gpt2_dense_shapes
from kgpt.model.shapes import POSITIONS, TOKENS
from kgpt.model.tensors import damaged_file

HPARAMS = "hparams.json"


def read_openai(folder: Path) -> ForeignModel:
    """The model in `folder`.

    Raises:
        KgptError: `hparams.json` or the checkpoint is missing or damaged.
    """
    config = _model_config(read_object(folder / HPARAMS), folder / HPARAMS)
    tokenizer = foreign_tokenizer(folder)
    return ForeignModel(
        family="OpenAI GPT-2",
        config=config,
        layout=list(_layout(config)),
        tensors=_tensors(folder),
        tokenizer=tokenizer,
        weights_file=folder / "checkpoint",
    )


def _model_config(values: dict[str, Any], source: Path) -> ModelConfig:
    with configuration_errors(source):
        return ModelConfig(
            vocabulary_size=values["n_vocab"],
            context_length=values["n_ctx"],
            num_layers=values["n_layer"],
            num_heads=values["n_head"],
            width=values["n_embd"],
        )


def _layout(c: ModelConfig) -> Iterator[Correspondence]:
    """OpenAI's names; a matrix is a convolution of width one, hence the axis before it."""
    vector = (c.width,)
    yield Correspondence("model/wte", (TOKENS,), (c.padded_vocabulary_size, c.width))
    yield Correspondence("model/wpe", (POSITIONS,), (c.context_length, c.width))
    for index in range(c.num_layers):
        theirs, ours = f"model/h{index}/", f"block_{index}/"
        for norm, our_norm in GPT2_NORMS.items():
            yield Correspondence(f"{theirs}{norm}/g", (f"{ours}{our_norm}/gamma",), vector)
            yield Correspondence(f"{theirs}{norm}/b", (f"{ours}{our_norm}/beta",), vector)
        for name, shape in gpt2_dense_shapes(c).items():
            place = theirs + name.replace(".", "/")
            kernels = tuple(f"{ours}{part}/kernel" for part in GPT2_DENSE[name])
            biases = tuple(f"{ours}{part}/bias" for part in GPT2_DENSE[name])
            yield Correspondence(f"{place}/w", kernels, (1, *shape))
            yield Correspondence(f"{place}/b", biases, shape[1:])
    yield Correspondence("model/ln_f/g", ("final_norm/gamma",), vector)
    yield Correspondence("model/ln_f/b", ("final_norm/beta",), vector)


def _tensors(folder: Path) -> dict[str, StoredTensor]:
    """The model's variables; what an optimiser or a counter left beside them is none of them."""
    import tensorflow as tf

    with _checkpoint_errors(folder):
        reader = tf.train.load_checkpoint(str(folder))
        shapes = reader.get_variable_to_shape_map()

    def stored(name: str) -> StoredTensor:
        def read() -> Array:
            with _checkpoint_errors(folder):
                return np.asarray(reader.get_tensor(name), dtype=np.float32)

        return StoredTensor(tuple(shapes[name]), read)

    return {name: stored(name) for name in shapes if name.startswith("model/")}


@contextmanager
def _checkpoint_errors(folder: Path) -> Iterator[None]:
    """TensorFlow's reader raises errors of its own, and Python's of several kinds for a file that is cut."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, ValueError, RuntimeError, LookupError) as error:
        raise damaged_file(folder, str(error).splitlines()[0]) from None
