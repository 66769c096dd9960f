"""A checkpoint as a folder that ai-edge-litert alone can use: graphs, embeddings, tokenizer, and an example."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from kgpt.files import write_json, written_aside
from kgpt.inference.litert_files import converted_file, embeddings_of
from kgpt.interop.destination import check_destination
from kgpt.interop.exports import Report
from kgpt.model.tensors import model_config
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.tokenizer import Tokenizer

ABOUT_FILE = "model.json"
EXAMPLE = Path(__file__).with_name("litert_example.py")


def export_litert(
    run: RunFolder,
    checkpoint: Checkpoint,
    output: Path,
    weights: str = "float32",
    *,
    overwrite: bool = False,
    report: Report = lambda stage: None,
) -> Path:
    """Write the folder `output`; `weights` are float32 or int8.

    Raises:
        KgptError: something is at `output` that may not be replaced.
        KgptFailure: the checkpoint is damaged, or the disk is full.
    """
    check_destination(output, overwrite, lambda path: (path / ABOUT_FILE).is_file())
    tokenizer, config = Tokenizer.load(run.tokenizer_folder), model_config(run)
    file = converted_file(run, checkpoint, weights, report)
    embedding, positions = embeddings_of(run, checkpoint, config)
    with written_aside(output) as aside:
        aside.mkdir()
        shutil.copyfile(file, aside / "model.tflite")
        np.save(aside / "embedding.npy", embedding(range(config.vocabulary_size)))
        if positions is not None:
            np.save(aside / "positions.npy", positions)
        tokenizer.save(aside / "tokenizer")
        shutil.copyfile(EXAMPLE, aside / "example.py")
        write_json(
            aside / ABOUT_FILE,
            {
                "run": run.name,
                "step": checkpoint.step,
                "weights": weights,
                "layers": config.num_layers,
                "heads": config.kv_heads,
                "head_dim": config.head_dim,
                "context": config.context_length,
                "positions": config.positions,
                "rotary_base": config.rotary_base,
                "end_of_text": tokenizer.end_of_text,
            },
        )
    return output
