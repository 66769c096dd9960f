"""The files of a Hugging Face model folder: configuration, weights in one file or in shards, tokenizer.

In: a folder. Out: a `ForeignModel`. Neither TensorFlow nor PyTorch is loaded.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.interop.correspondence import Array, StoredTensor
from kgpt.interop.foreign import ForeignModel, foreign_tokenizer
from kgpt.interop.huggingface_config import model_config
from kgpt.interop.huggingface_layout import gpt2_layout, qwen3_layout
from kgpt.interop.torch_files import read_torch_file
from kgpt.language import _
from kgpt.model.tensors import damaged_file, read_tensor, stored_shapes

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""In the order they are looked for; `NAME.index.json` beside shards stands for the file."""
_BUFFERS = re.compile(r"(transformer\.)?h\.\d+\.(attn|crossattention)\.(bias|masked_bias)")
"""Causal masks that older versions of transformers stored among the weights."""


def read_huggingface(folder: Path, values: dict[str, Any]) -> ForeignModel:
    """The model in `folder`, whose `config.json` has `values`.

    Raises:
        KgptError: it is of another architecture, has no weights, or a file is damaged.
    """
    config = model_config(values, folder / "config.json")
    tensors, file = _weights(folder)
    return ForeignModel(
        family=f"Hugging Face {values['model_type']}",
        config=config,
        layout=gpt2_layout(config) if config.positions == "learned" else qwen3_layout(config),
        tensors=_named_as_whole_model(tensors, config),
        tokenizer=foreign_tokenizer(folder),
        weights_file=file,
    )


def _weights(folder: Path) -> tuple[dict[str, StoredTensor], Path]:
    for name in WEIGHTS:
        file, index = folder / name, folder / f"{name}.index.json"
        if file.is_file():
            return _read_file(file), file
        if index.is_file():
            return _read_shards(index), index
    raise KgptError(
        _("No weights found"),
        _(
            "There is neither {weights} in {folder}, whole or in shards.",
            weights=" nor ".join(WEIGHTS),
            folder=folder,
        ),
        _("Fetch all files of the model."),
    )


def _read_file(path: Path) -> dict[str, StoredTensor]:
    if path.suffix == ".bin":
        return read_torch_file(path)
    return {name: _stored(path, name, shape) for name, shape in stored_shapes(path).items()}


def _stored(path: Path, name: str, shape: tuple[int, ...]) -> StoredTensor:
    def read() -> Array:
        return np.asarray(read_tensor(path, name), dtype=np.float32)

    return StoredTensor(shape, read)


def _read_shards(index: Path) -> dict[str, StoredTensor]:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = sorted(set(places.values()))
        paths = {name: index.parent / Path(name).name for name in files}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged_file(index, _("no weight_map: {error}", error=error)) from None
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        raise KgptError(
            _("Missing file"),
            _(
                "{index} names {count} shards; {count_2} are not there: {missing}.",
                index=index,
                count=len(paths),
                count_2=len(missing),
                missing=", ".join(missing[:5]),
            ),
            _("Fetch all files of the model."),
        )
    found: dict[str, StoredTensor] = {}
    for path in paths.values():
        found |= _read_file(path)
    return found


def _named_as_whole_model(
    tensors: dict[str, StoredTensor], config: ModelConfig
) -> dict[str, StoredTensor]:
    """Without masks; `wte` of a bare GPT-2 is `transformer.wte`; a tied head is the embedding."""
    kept = {name: tensor for name, tensor in tensors.items() if not _BUFFERS.fullmatch(name)}
    if config.positions == "learned":
        bare = ("wte.", "wpe.", "h.", "ln_f.")
        kept = {
            f"transformer.{name}" if name.startswith(bare) else name: tensor
            for name, tensor in kept.items()
        }
    if config.tied_head:
        kept.pop("lm_head.weight", None)
    return kept
