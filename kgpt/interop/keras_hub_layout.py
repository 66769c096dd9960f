"""keras-hub's GPT-2 preset: names of its tensors, and a folder read without keras-hub.

In: a `ModelConfig`, or a preset's folder. Out: the table of correspondences, or a `ForeignModel`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.interop.correspondence import Array, Correspondence, StoredTensor
from kgpt.interop.foreign import ForeignModel, foreign_tokenizer
from kgpt.interop.huggingface_config import configuration_errors
from kgpt.language import _
from kgpt.model.shapes import POSITIONS, TOKENS
from kgpt.model.tensors import damaged_file

BACKBONE = "GPT2Backbone"
WEIGHTS_FILE = "model.weights.h5"
_NORMS = {
    "_self_attention_layer_norm": "attention_norm",
    "_feedforward_layer_norm": "feed_forward_norm",
}


def read_keras_hub(folder: Path, values: dict[str, Any]) -> ForeignModel:
    """The model in `folder`, whose `config.json` has `values`.

    Raises:
        KgptError: it is of another architecture, has no weights, or a file is damaged.
    """
    config = _model_config(values, folder / "config.json")
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise KgptError(
            _("No weights found"),
            _("There is no {weights_file} in {folder}.", weights_file=WEIGHTS_FILE, folder=folder),
            _("Fetch all files of the preset."),
        )
    return ForeignModel(
        family="keras-hub GPT-2",
        config=config,
        layout=keras_hub_layout(config),
        tensors=_tensors(file),
        tokenizer=foreign_tokenizer(folder / "assets" / "tokenizer"),
        weights_file=file,
    )


def _model_config(values: dict[str, Any], source: Path) -> ModelConfig:
    name, given = values.get("class_name"), values.get("config")
    if name != BACKBONE or not isinstance(given, dict):
        raise KgptError(
            _("Another architecture"),
            _(
                "Expected keras-hub's {backbone}. Received: {name} in {source}",
                backbone=BACKBONE,
                name=name,
                source=source,
            ),
            _("Of keras-hub's models, GPT-2 can be imported."),
        )
    with configuration_errors(source):
        width, hidden = given["hidden_dim"], given["intermediate_dim"]
        return ModelConfig(
            vocabulary_size=given["vocabulary_size"],
            context_length=given["max_sequence_length"],
            num_layers=given["num_layers"],
            num_heads=given["num_heads"],
            width=width,
            feed_forward_width=0 if hidden == 4 * width else hidden,
            dropout=float(given.get("dropout", 0.0)),
        )


def keras_hub_layout(config: ModelConfig) -> list[Correspondence]:
    """Its tensors as its weights file names them; each head has an axis of its own."""
    return list(_layout(config))


def _layout(c: ModelConfig) -> Iterator[Correspondence]:
    vector, heads = (c.width,), (c.num_heads, c.head_dim)
    dense = {
        "_self_attention_layer/query_dense": ("attention/query", (c.width, *heads), heads),
        "_self_attention_layer/key_dense": ("attention/key", (c.width, *heads), heads),
        "_self_attention_layer/value_dense": ("attention/value", (c.width, *heads), heads),
        "_self_attention_layer/output_dense": ("attention/output", (*heads, c.width), vector),
        "_feedforward_intermediate_dense": (
            "feed_forward/up",
            (c.width, c.hidden_width),
            (c.hidden_width,),
        ),
        "_feedforward_output_dense": ("feed_forward/down", (c.hidden_width, c.width), vector),
    }
    yield _weight("reversible_embedding", 0, TOKENS, (c.padded_vocabulary_size, c.width))
    yield _weight("position_embedding", 0, POSITIONS, (c.context_length, c.width))
    for index in range(c.num_layers):
        theirs = f"transformer_decoder{f'_{index}' if index else ''}"
        ours = f"block_{index}/"
        for norm, our_norm in _NORMS.items():
            yield _weight(f"{theirs}/{norm}", 0, f"{ours}{our_norm}/gamma", vector)
            yield _weight(f"{theirs}/{norm}", 1, f"{ours}{our_norm}/beta", vector)
        for name, (part, kernel, bias) in dense.items():
            yield _weight(f"{theirs}/{name}", 0, f"{ours}{part}/kernel", kernel)
            yield _weight(f"{theirs}/{name}", 1, f"{ours}{part}/bias", bias)
    yield _weight("layer_normalization", 0, "final_norm/gamma", vector)
    yield _weight("layer_normalization", 1, "final_norm/beta", vector)


def _weight(layer: str, index: int, ours: str, shape: tuple[int, ...]) -> Correspondence:
    return Correspondence(f"layers/{layer}/vars/{index}", (ours,), shape)


def _tensors(path: Path) -> dict[str, StoredTensor]:
    """The weights by their place in the file, without what random generators left there."""
    import h5py

    found: dict[str, StoredTensor] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "dropout" not in name:
            found[name] = StoredTensor(tuple(item.shape), lambda: _read(path, name))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(note)
    except (OSError, KeyError, ValueError) as error:
        raise damaged_file(path, error) from None
    return found


def _read(path: Path, name: str) -> Array:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file[name][()], dtype=np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise damaged_file(path, error) from None
