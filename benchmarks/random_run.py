"""A run with random weights, as the trainer would leave it: speed does not depend on what a model has learned.

    python -m benchmarks.random_run FOLDER LAYERS HEADS WIDTH CONTEXT [IDS]

With IDS the run has a tokenizer of so many ids, trained on the built-in encyclopedia; without, none, and as many ids as
GPT-2.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from kgpt.runs import RunFolder


def random_run(
    folder: Path, *, layers: int, heads: int, width: int, context: int, ids: int = 0
) -> RunFolder:
    """The run, written by a process of its own, so that this one stays free of TensorFlow."""
    sizes = [layers, heads, width, context, *([ids] if ids else [])]
    command = [sys.executable, "-m", "benchmarks.random_run", str(folder), *map(str, sizes)]
    subprocess.run(command, check=True, capture_output=True)
    return RunFolder(folder)


def _write(
    folder: Path, layers: int, heads: int, width: int, context: int, ids: int = 50257
) -> None:
    from kgpt.config import ModelConfig, TrainConfig
    from kgpt.config_values import to_dict
    from kgpt.files import write_json
    from kgpt.model.gpt import build_gpt
    from kgpt.model.tensors import WEIGHTS_FILE, save_tensors
    from kgpt.model.weights import model_weights, tensors_of

    config = ModelConfig(
        vocabulary_size=ids,
        context_length=context,
        num_layers=layers,
        num_heads=heads,
        width=width,
    )
    run = RunFolder(folder)
    checkpoint = run.checkpoints_folder / "step-00000001"
    checkpoint.mkdir(parents=True)
    save_tensors(checkpoint / WEIGHTS_FILE, tensors_of(model_weights(build_gpt(config))), {})
    digest = hashlib.sha256((checkpoint / WEIGHTS_FILE).read_bytes()).hexdigest()
    write_json(checkpoint / "state.json", {"step": 1, "sha256": {WEIGHTS_FILE: digest}})
    for name in ("best", "last"):
        write_json(run.checkpoints_folder / f"{name}.json", {"step": 1})
    configuration = to_dict(TrainConfig(run=run.name, model=config))
    write_json(run.run_file, {"format_version": 1, "task": "train", "configuration": configuration})


def _write_tokenizer(folder: Path, ids: int) -> None:
    from kgpt.text.tokenizer import Tokenizer

    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "kgpt", "prepare", "encyclopedia", "--output", data + "/d"]
        subprocess.run([*command, "--vocab-size", str(ids)], check=True, capture_output=True)
        Tokenizer.load(Path(data) / "d" / "tokenizer").save(RunFolder(folder).tokenizer_folder)


if __name__ == "__main__":
    place, *numbers = sys.argv[1:]
    _write(Path(place), *map(int, numbers))
    if len(numbers) > 4:
        _write_tokenizer(Path(place), int(numbers[4]))
