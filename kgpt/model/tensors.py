"""Tensors in safetensors files, and what a run says of its model. Nothing here loads Keras.

In: a checkpoint's folder, a run. Out: NumPy arrays by name, checked; a `ModelConfig`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kgpt.config import ModelConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptFailure
from kgpt.files import read_json, write_atomically
from kgpt.runs import RunFolder

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


def model_config(run: RunFolder) -> ModelConfig:
    """Architecture of a run, from its `run.json`."""
    return from_dict(run.configuration()).model
