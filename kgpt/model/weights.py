"""A model's weights in safetensors files, named by Keras path; and the model of a run's checkpoint.

In: a model or a checkpoint folder. Out: a file, or a model whose every weight was found, checked and set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig, from_dict
from kgpt.errors import KgptError, KgptFailure
from kgpt.files import read_json, write_atomically
from kgpt.model.gpt import GPT, build_gpt
from kgpt.runs import Checkpoint, RunFolder

WEIGHTS_FILE = "weights.safetensors"


def save_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """Write a safetensors file atomically and return its sha256."""
    from safetensors.numpy import save

    content = save(
        {name: np.asarray(value, order="C") for name, value in tensors.items()}, dict(metadata)
    )
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def load_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file.

    Raises:
        KgptFailure: the file is missing, cut or not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise KgptFailure(
            "Missing file",
            f"There is no {path}.",
            "Choose another checkpoint: `--checkpoint last`, best or a step.",
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise KgptFailure(
            "Damaged file",
            f"{path} cannot be read: {error}",
            "Choose another checkpoint: `--checkpoint last`, best or a step.",
        ) from None


def tensors_of(variables: Iterable[Any]) -> dict[str, np.ndarray]:
    """Values of Keras variables by path."""
    return {variable.path: np.array(variable) for variable in variables}


def assign(variables: Iterable[Any], tensors: Mapping[str, np.ndarray], source: object) -> None:
    """Set every variable from the tensor of its path; nothing may be missing, left over or of another shape.

    Raises:
        KgptError: names and shapes do not match; nothing has been changed then.
    """
    by_path = check_fit(variables, tensors, source)
    for path, variable in by_path.items():
        variable.assign(tensors[path])


def check_fit(
    variables: Iterable[Any], tensors: Mapping[str, np.ndarray], source: object
) -> dict[str, Any]:
    """The variables by path, each of which has a tensor of its shape.

    Raises:
        KgptError: names and shapes do not match.
    """
    by_path = {variable.path: variable for variable in variables}
    missing, extra = sorted(set(by_path) - set(tensors)), sorted(set(tensors) - set(by_path))
    if missing or extra:
        raise KgptError(
            "Weights do not fit the model",
            f"{source}: {len(missing)} missing {missing[:3]}, {len(extra)} not expected {extra[:3]}.",
            "The configuration in run.json must be the one that the weights were trained with.",
        )
    for path, variable in by_path.items():
        if tuple(variable.shape) != tensors[path].shape:
            raise KgptError(
                "Weights do not fit the model",
                f"{source}: {path} has shape {tensors[path].shape}, expected {tuple(variable.shape)}.",
                "The configuration in run.json must be the one that the weights were trained with.",
            )
    return by_path


def model_weights(model: GPT) -> list[Any]:
    """The variables that make the model: its weights, without the state of random generators."""
    return list(model.weights)


def model_config(run: RunFolder) -> ModelConfig:
    """Architecture of a run, from its `run.json`."""
    return from_dict(run.configuration()).model


def verify_checksum(checkpoint: Path, file: str) -> None:
    """Compare a checkpoint's file with the sha256 in its `state.json`.

    Raises:
        KgptFailure: the file is missing or is not what was written.
    """
    expected = read_json(checkpoint / "state.json").get("sha256", {}).get(file)
    path = checkpoint / file
    if not path.is_file():
        load_tensors(path)  # raises with the right words
    with open(path, "rb") as content:
        received = hashlib.file_digest(content, "sha256").hexdigest()
    if received != expected:
        raise KgptFailure(
            "Damaged checkpoint",
            f"{path} is cut or changed: sha256 {received[:12]}…, expected {str(expected)[:12]}….",
            "Choose another checkpoint: `--checkpoint last`, best or a step.",
        )


def load_checkpoint_model(
    run: RunFolder, checkpoint: Checkpoint, precision: str = "float32"
) -> GPT:
    """The model of a run with the weights of one of its checkpoints.

    Raises:
        KgptError: the weights do not fit the run's configuration.
        KgptFailure: a file is missing or damaged.
    """
    verify_checksum(checkpoint.path, checkpoint.weights_file)
    model = build_gpt(model_config(run), precision)
    path = checkpoint.path / checkpoint.weights_file
    assign(model_weights(model), load_tensors(path), path)
    return model
