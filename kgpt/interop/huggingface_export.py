"""A run as a folder of Hugging Face's: `GPT2LMHeadModel` or `Qwen3ForCausalLM`, and a tokenizer for `AutoTokenizer`.

In: a run's checkpoint. Out: a folder. Tensors pass one by one; neither Keras nor PyTorch is loaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig
from kgpt.files import write_atomically, write_json, written_aside
from kgpt.inference.chat import run_template
from kgpt.interop.adaptation import unfilled
from kgpt.interop.chat_template import jinja
from kgpt.interop.correspondence import Array, Correspondence
from kgpt.interop.destination import check_destination
from kgpt.interop.exports import Report
from kgpt.interop.huggingface_config import to_gpt2, to_qwen3
from kgpt.interop.huggingface_layout import gpt2_layout, qwen3_layout
from kgpt.interop.model_card import CARD_FILE, Card, has_card
from kgpt.model.shapes import PREFIX, tensor_shapes
from kgpt.model.tensors import CheckpointWeights, model_config, write_tensors
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.special_tokens import END_OF_TEXT, PADDING
from kgpt.text.templates import Template
from kgpt.text.tokenizer import Tokenizer

WEIGHTS_FILE = "model.safetensors"
_USE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModelForCausalLM.from_pretrained("FOLDER")
inputs = tokenizer("{prompt}", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))
```"""


def export_huggingface(
    run: RunFolder,
    checkpoint: Checkpoint,
    output: Path,
    *,
    overwrite: bool = False,
    report: Report = lambda stage: None,
) -> Path:
    """Write the folder `output`.

    Raises:
        KgptError: something is there that may not be replaced, or no class holds the model.
        KgptFailure: the checkpoint is damaged, or the disk is full.
    """
    check_destination(output, overwrite, has_card)
    config, tokenizer = unfilled(model_config(run)), Tokenizer.load(run.tokenizer_folder)
    values, layout = described(config)
    weights = CheckpointWeights(run, checkpoint)
    report(f"writing {values['architectures'][0]}")
    with written_aside(output) as aside:
        aside.mkdir()
        shapes = {item.name: item.shape for item in layout}
        write_tensors(aside / WEIGHTS_FILE, shapes, theirs(weights, layout, config))
        ids = {"bos_token_id": tokenizer.end_of_text, "eos_token_id": tokenizer.end_of_text}
        padding = tokenizer.end_of_text if tokenizer.padding is None else tokenizer.padding
        write_json(aside / "config.json", {**values, **ids, "dtype": "float32"})
        write_json(aside / "generation_config.json", {**ids, "pad_token_id": padding})
        template = run_template(run) if run.answers else None
        save_tokenizer(tokenizer, aside, config.context_length, template)
        card = Card(run, checkpoint, config, "transformers", _USE)
        write_atomically(aside / CARD_FILE, card.text())
    return output


def described(config: ModelConfig) -> tuple[dict[str, Any], list[Correspondence]]:
    """`config.json` and the tensors of the class that holds a model.

    Raises:
        KgptError: there is none; the message names the options.
    """
    if config.positions == "rotary":
        return to_qwen3(config), qwen3_layout(config)
    return to_gpt2(config), gpt2_layout(config)


def theirs(
    weights: CheckpointWeights, layout: Sequence[Correspondence], config: ModelConfig
) -> Iterator[tuple[str, Array]]:
    """Their tensors of a checkpoint, each read when it is asked for.

    A bias that the model has not is zero. Rows that only fill up its tables are left out where `config` has none.
    """
    shapes = tensor_shapes(dataclasses.replace(config, bias=True))

    def read(name: str) -> Array:
        if name.endswith(("/bias", "/beta")) and PREFIX + name not in weights.shapes:
            return np.zeros(shapes[name], np.float32)
        value = np.asarray(weights[PREFIX + name], dtype=np.float32)
        return value[tuple(map(slice, shapes[name]))]

    for item in layout:
        yield item.name, item.join(read)


def save_tokenizer(
    tokenizer: Tokenizer, folder: Path, context_length: int, template: Template | None = None
) -> None:
    """Write the files that `AutoTokenizer` opens; with a `template`, it has `apply_chat_template`."""
    tokenizer.save(folder)
    (folder / "vocabulary.json").rename(folder / "vocab.json")
    # transformers drops the first line, whatever it says
    merges = (folder / "merges.txt").read_text(encoding="utf-8")
    write_atomically(folder / "merges.txt", "#version: 0.2\n" + merges)
    names = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    if tokenizer.padding is not None:
        names["pad_token"] = PADDING
    write_json(folder / "special_tokens_map.json", names)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
    }
    chat = {"chat_template": jinja(template)} if template else {}
    write_json(folder / "tokenizer_config.json", {**names, **settings, **chat})
