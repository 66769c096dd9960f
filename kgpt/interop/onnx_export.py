"""A run as an ONNX model with a cache, for onnxruntime and what stands on it.

In: a run's checkpoint. Out: a folder with the graph, its weights in a file beside it (an ONNX file holds 2 GB at most,
and weights outside are mapped instead of read), the tokenizer, and a card with an example. Tensors pass one by one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig
from kgpt.files import write_atomically, written_aside
from kgpt.interop.destination import check_destination
from kgpt.interop.exports import Report
from kgpt.interop.model_card import CARD_FILE, Card, has_card
from kgpt.language import _
from kgpt.model.shapes import PREFIX, tensor_shapes
from kgpt.model.tensors import CheckpointWeights, model_config
from kgpt.packages import optional_package
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.tokenizer import Tokenizer

MODEL_FILE, DATA_FILE = "model.onnx", "model.onnx.data"
ALIGNMENT = 4096
"""Bytes to whose multiples tensors are moved, so that they can be mapped."""
_USE = """`model.onnx` takes `input_ids`, `attention_mask` (1 for each token of cache and input), `position_ids` and a
cache of keys and values for each layer, empty at first; it gives `logits` and the cache to go on with.

```python
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("FOLDER/tokenizer/tokenizer.json")
session = onnxruntime.InferenceSession("FOLDER/model.onnx")
names = [item.name for item in session.get_inputs() if item.name.startswith("past")]
_, heads, _, size = next(item.shape for item in session.get_inputs() if item.name == names[0])
cache = {name: np.zeros((1, heads, 0, size), np.float32) for name in names}
ids, new = [], tokenizer.encode("{prompt}").ids
for _ in range(20):
    ids += new
    logits, *values = session.run(None, {
        "input_ids": np.array([new], np.int64),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "position_ids": np.arange(len(ids) - len(new), len(ids), dtype=np.int64)[None],
        **cache,
    })
    cache = dict(zip(names, values))
    new = [int(logits[0, -1].argmax())]
print(tokenizer.decode(ids))
```"""


def export_onnx(
    run: RunFolder,
    checkpoint: Checkpoint,
    output: Path,
    *,
    overwrite: bool = False,
    report: Report = lambda stage: None,
) -> Path:
    """Write the folder `output`.

    Raises:
        KgptError: something is there that may not be replaced, or onnx is not installed.
        KgptFailure: the checkpoint is damaged, or the disk is full.
    """
    check_destination(output, overwrite, has_card)
    optional_package("onnx", "onnx", _("An export to ONNX"))
    from kgpt.interop.onnx_graph import gpt_graph

    config, tokenizer = model_config(run), Tokenizer.load(run.tokenizer_folder)
    stored = CheckpointWeights(run, checkpoint)
    report(_("writing the ONNX model"))
    with written_aside(output) as aside:
        aside.mkdir()
        weights = _write_weights(stored, aside, config)
        (aside / MODEL_FILE).write_bytes(gpt_graph(config, weights).SerializeToString())
        tokenizer.save(aside / "tokenizer")
        card = Card(run, checkpoint, config, "onnx", _USE)
        write_atomically(aside / CARD_FILE, card.text())
    return output


def _write_weights(stored: CheckpointWeights, folder: Path, config: ModelConfig) -> list[Any]:
    """Write the tensors one after the other; the result says of each where it lies."""
    from onnx import TensorProto

    described = []
    with open(folder / DATA_FILE, "wb") as file:
        for name, shape in tensor_shapes(config).items():
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            place = {
                "location": DATA_FILE,
                "offset": file.tell(),
                "length": 4 * math.prod(shape),
            }
            file.write(np.asarray(stored[PREFIX + name], "<f4", "C").data)
            tensor = TensorProto(
                name=name,
                dims=shape,
                data_type=TensorProto.FLOAT,
                data_location=TensorProto.EXTERNAL,
            )
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            described.append(tensor)
    return described
