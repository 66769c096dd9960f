"""A run as a keras-hub preset, for `GPT2CausalLM.from_preset`.

In: a run's checkpoint. Out: a folder. keras-hub writes its own files around an empty model; our tensors then take the
places of its weights one by one, in the table that also reads presets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.files import write_atomically, written_aside
from kgpt.interop.adaptation import unfilled
from kgpt.interop.destination import check_destination, check_room
from kgpt.interop.exports import Report
from kgpt.interop.huggingface_config import check_gpt2_parts, no_home
from kgpt.interop.huggingface_export import theirs
from kgpt.interop.keras_hub_layout import WEIGHTS_FILE, keras_hub_layout
from kgpt.interop.model_card import CARD_FILE, Card, has_card
from kgpt.language import _
from kgpt.model.size import parameter_count
from kgpt.model.tensors import CheckpointWeights, model_config
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.pretokenization import GPT2
from kgpt.text.tokenizer import Tokenizer

NORM_EPSILON = 1e-5
"""What keras-hub's GPT-2 has, and cannot change."""
OVERHEAD = 10_000_000
"""Bytes at most that a preset has besides its weights: the tokenizer's files, and HDF5's own."""
_USE = """```python
import keras_hub

model = keras_hub.models.GPT2CausalLM.from_preset("FOLDER")
print(model.generate("{prompt}", max_length=60))
```

keras-hub cuts text into words by another pattern than GPT-2, so runs of line ends and some other texts become other
tokens than those the model has learned from."""


def export_keras_hub(
    run: RunFolder,
    checkpoint: Checkpoint,
    output: Path,
    *,
    overwrite: bool = False,
    report: Report = lambda stage: None,
) -> Path:
    """Write the folder `output`.

    Raises:
        KgptError: something is there that may not be replaced, or keras-hub's GPT-2 does not hold the model.
        KgptFailure: the checkpoint is damaged, or the disk is full.
    """
    check_destination(output, overwrite, has_card)
    config, tokenizer = unfilled(model_config(run)), Tokenizer.load(run.tokenizer_folder)
    _check(config, tokenizer)
    weights = CheckpointWeights(run, checkpoint)
    report(_("starting TensorFlow"))
    import h5py

    model = _empty_model(config, tokenizer)
    report(_("writing the preset"))
    with written_aside(output) as aside:
        aside.mkdir()
        check_room(aside, 4 * parameter_count(config) + OVERHEAD)  # HDF5 crashes on a full disk
        model.save_to_preset(str(aside))
        layout = keras_hub_layout(config)
        with h5py.File(aside / WEIGHTS_FILE, "r+") as file:
            for name, value in theirs(weights, layout, config):
                file[name][...] = value
        card = Card(run, checkpoint, config, "keras-hub", _USE)
        write_atomically(aside / CARD_FILE, card.text())
    return output


def _check(config: ModelConfig, tokenizer: Tokenizer) -> None:
    home = "keras-hub's GPT-2"
    check_gpt2_parts(config, home)
    if not config.tied_head:
        raise no_home(home, ["model.tied_head=False"])
    if config.norm_epsilon != NORM_EPSILON:
        raise no_home(home, [f"model.norm_epsilon={config.norm_epsilon}"])
    if tokenizer.pre_tokenization != GPT2.name or not tokenizer.merges:
        kind = (
            _(
                "the pre-tokenization {pre_tokenization}",
                pre_tokenization=tokenizer.pre_tokenization,
            )
            if tokenizer.merges
            else _("no merges")
        )
        raise KgptError(
            _("No such tokenizer in keras-hub"),
            _(
                "{home} has byte-level BPE with GPT-2's words. Received: a tokenizer with {kind}",
                home=home,
                kind=kind,
            ),
            _(
                "`kgpt export` has formats for every tokenizer: saved-model, huggingface, litert and "
                "onnx."
            ),
        )


def _empty_model(config: ModelConfig, tokenizer: Tokenizer) -> Any:
    """keras-hub's model of this shape, its tokenizer with it."""
    import keras_nlp

    backbone = keras_nlp.models.GPT2Backbone(
        vocabulary_size=config.padded_vocabulary_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        hidden_dim=config.width,
        intermediate_dim=config.hidden_width,
        dropout=config.dropout,
        max_sequence_length=config.context_length,
        dtype="float32",
    )
    words = keras_nlp.models.GPT2Tokenizer(
        vocabulary=dict(tokenizer.vocabulary), merges=list(map(" ".join, tokenizer.merges))
    )
    preprocessor = keras_nlp.models.GPT2CausalLMPreprocessor(
        words, sequence_length=config.context_length
    )
    return keras_nlp.models.GPT2CausalLM(backbone, preprocessor=preprocessor)
