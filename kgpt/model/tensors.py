"""Tensors in safetensors files, and what a run says of its model. Nothing here loads Keras.

In: a checkpoint's folder, a run. Out: NumPy arrays by name, checked and with adapters merged; a `ModelConfig`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptError, KgptFailure
from kgpt.files import read_json, write_atomically
from kgpt.finetune_config import LoraConfig, lora_config
from kgpt.language import _
from kgpt.model.shapes import Shape
from kgpt.runs import Checkpoint, RunFolder

WEIGHTS_FILE = "weights.safetensors"
DOWN, UP = "adapter_down", "adapter_up"
"""Names of an adapter's variables A (I, R) and B (R, O)."""


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
            _("Missing file"),
            _("There is no {path}.", path=path),
            _("Choose another checkpoint: `--checkpoint last`, best or a step."),
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise KgptFailure(
            _("Damaged file"),
            _("{path} cannot be read: {error}", path=path, error=error),
            _("Choose another checkpoint: `--checkpoint last`, best or a step."),
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
            _("Damaged checkpoint"),
            _(
                "{path} is cut or changed: sha256 {received}…, expected {expected}….",
                path=path,
                received=received[:12],
                expected=str(expected)[:12],
            ),
            _("Choose another checkpoint: `--checkpoint last`, best or a step."),
        )


def checkpoint_tensors(run: RunFolder, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """All weights of a checkpoint; those of a run with adapters are its base's, with the adapters added.

    Raises:
        KgptError: the adapters belong to another base.
        KgptFailure: a file is missing or damaged.
    """
    verify_checksum(checkpoint.path, checkpoint.weights_file)
    return with_base(run, load_tensors(checkpoint.path / checkpoint.weights_file))


def with_base(run: RunFolder, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A checkpoint's tensors; where they are adapters, the base's weights with these added. Raises as above."""
    if not any(map(is_adapter, tensors)):
        return tensors
    values = run.read()
    return merged({**base_tensors(run, values), **tensors}, lora_config(values))


class CheckpointWeights:
    """The weights of a checkpoint by path, each read when it is asked for; adapters are added to their base's.

    Raises:
        KgptError: the adapters belong to another base.
        KgptFailure: a file is missing or damaged.
    """

    def __init__(self, run: RunFolder, checkpoint: Checkpoint) -> None:
        verify_checksum(checkpoint.path, checkpoint.weights_file)
        self._path = checkpoint.path / checkpoint.weights_file
        self.shapes = stored_shapes(self._path)
        """Of each tensor, adapters apart."""
        self._adapters: dict[str, np.ndarray] = {}
        if any(map(is_adapter, self.shapes)):
            values = run.read()
            check_base_file(run, values)
            self._scale = lora_config(values).scale
            self._adapters = load_tensors(self._path)
            self._path = run.base_file
            others = {
                path: value.shape for path, value in self._adapters.items() if not is_adapter(path)
            }
            self.shapes = {**stored_shapes(self._path), **others}

    def __getitem__(self, path: str) -> np.ndarray:
        """One tensor.

        Raises:
            KgptError: the file cannot be read, or has none of that name.
        """
        if path in self._adapters:
            return self._adapters[path]
        value = read_tensor(self._path, path)
        stem = path.removesuffix("/kernel")
        if (down_IR := self._adapters.get(f"{stem}/{DOWN}")) is not None:
            value = value + np.float32(self._scale) * (down_IR @ self._adapters[f"{stem}/{UP}"])
        return value


def base_tensors(run: RunFolder, values: Mapping[str, object]) -> dict[str, np.ndarray]:
    """The weights that the adapters of a run were trained beside. Arguments and errors as `check_base_file`."""
    check_base_file(run, values)
    return load_tensors(run.base_file)


def check_base_file(run: RunFolder, values: Mapping[str, object]) -> None:
    """Compare the base in a run with adapters with what `values`, the content of its `run.json`, says of it.

    Raises:
        KgptError: it is another.
        KgptFailure: the file is missing or damaged.
    """
    parent = values.get("parent")
    expected = parent.get("weights_sha256") if isinstance(parent, Mapping) else None
    if not run.base_file.is_file():
        load_tensors(run.base_file)  # raises with the right words
    with open(run.base_file, "rb") as content:
        received = hashlib.file_digest(content, "sha256").hexdigest()
    if received != expected:
        raise KgptError(
            _("Adapter for another base"),
            _(
                "{base_file} has sha256 {received}…; the adapters were trained on {expected}….",
                base_file=run.base_file,
                received=received[:12],
                expected=str(expected)[:12],
            ),
            _(
                "Put the base's own weights there: those of the run and checkpoint that run.json "
                "names as `parent`."
            ),
        )


def merged(tensors: Mapping[str, np.ndarray], lora: LoraConfig) -> dict[str, np.ndarray]:
    """Tensors by path in which every adapter is added to its kernel, W + scale * A B, and adapters are no more."""
    result = {path: tensor for path, tensor in tensors.items() if not is_adapter(path)}
    for path, down_IR in tensors.items():
        stem, _, name = path.rpartition("/")
        if name == DOWN:
            change_IO = np.float32(lora.scale) * (down_IR @ tensors[f"{stem}/{UP}"])
            result[f"{stem}/kernel"] = result[f"{stem}/kernel"] + change_IO
    return result


def is_adapter(path: str) -> bool:
    """Whether a variable of this path belongs to an adapter."""
    return path.endswith((f"/{DOWN}", f"/{UP}"))


def model_config(run: RunFolder) -> ModelConfig:
    """Architecture of a run, from its `run.json`."""
    return from_dict(run.configuration()).model


# === One tensor at a time ===


def write_tensors(
    path: Path, shapes: Mapping[str, Shape], tensors: Iterable[tuple[str, np.ndarray]]
) -> str:
    """Write a safetensors file of float32 tensors as they come, so that no two are in memory; return its sha256.

    `tensors` are those of `shapes`, in that order. Not atomic: write it where nobody looks.

    Raises:
        ValueError: they are others.
    """
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with open(path, "wb") as file:

        def write(content: Any) -> None:
            digest.update(content)
            file.write(content)

        write(struct.pack("<Q", len(text)))
        write(text)
        for (name, shape), (given, value) in zip(shapes.items(), tensors, strict=True):
            if given != name or value.shape != shape:
                raise ValueError(f"expected {name} {shape}, received {given} {value.shape}")
            values = np.ascontiguousarray(value, dtype="<f4")
            write(values.reshape(-1).view(np.uint8).data)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def read_tensor(path: Path, name: str) -> np.ndarray:
    """One tensor of a safetensors file. The file is mapped for this alone, so pages of others leave memory.

    Raises:
        KgptError: the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return np.asarray(file.get_tensor(name))
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged_file(path, error) from None


def stored_shapes(path: Path) -> dict[str, Shape]:
    """Shape of each tensor of a safetensors file, by name. Reads its head alone.

    Raises:
        KgptError: the file is missing, cut or not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged_file(path, error) from None


def damaged_file(path: Path, error: object) -> KgptError:
    """The error of a file of weights that somebody gave us and that cannot be read."""
    return KgptError(
        _("Damaged file"),
        _("{path} cannot be read: {error}", path=path, error=error),
        _("Fetch or write the file again."),
    )
