"""The LiteRT files of a checkpoint: made on first use, kept beside its weights, made anew when those have changed.

In: a run, a checkpoint and a variant (`float32` or `int8`). Out: a decoder. A child process converts, so
that TensorFlow is never loaded here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.config import ModelConfig
from kgpt.errors import KgptError, KgptFailure
from kgpt.files import read_json, write_json
from kgpt.inference.folding import centred
from kgpt.inference.litert import LiteRTDecoder
from kgpt.inference.litert_model import LiteRTModel
from kgpt.language import _
from kgpt.model.tensors import model_config, verify_checksum
from kgpt.runs import Checkpoint, RunFolder

FORMAT = 5
"""Raised when the graphs change."""
VARIANTS = ("float32", "int8")
TOKEN_EMBEDDING = "gpt/token_embedding/embeddings"


@dataclass(frozen=True)
class About:
    """What a file was made of, kept beside it."""

    format: int
    weights_sha256: str
    size: int
    modified: int
    """Time of its writing, in nanoseconds: while it and the size are the same, so is the content."""
    sha256: str


def load_litert_decoder(
    run: RunFolder,
    checkpoint: Checkpoint,
    variant: str = "float32",
    report: Callable[[str], object] = lambda stage: None,
) -> LiteRTDecoder:
    """The decoder of a checkpoint; converts it first where that was not done.

    Raises:
        KgptError: the run writes no text, the package ai-edge-litert is missing, or the conversion failed.
        KgptFailure: a file is missing or damaged, or the disk is full.
    """
    file = converted_file(run, checkpoint, variant, report)
    config = model_config(run)
    embedding, positions = embeddings_of(run, checkpoint, config)
    return LiteRTDecoder(LiteRTModel(file, embedding, positions, config, _packed(file)))


def converted_file(
    run: RunFolder,
    checkpoint: Checkpoint,
    variant: str,
    report: Callable[[str], object] = lambda stage: None,
) -> Path:
    """The file of these weights, made now if it is not there. Raises as `load_litert_decoder`."""
    run.check_writes()
    file = current_file(checkpoint, variant)
    if file is None:
        verify_checksum(checkpoint.path, checkpoint.weights_file)
        report(_("converting for LiteRT in {variant} (once for each checkpoint)", variant=variant))
        file = convert(run, checkpoint, variant, report)
    return file


def embeddings_of(
    run: RunFolder, checkpoint: Checkpoint, config: ModelConfig
) -> tuple[Embedding, Any]:
    """What a file reads in the place of ids: token vectors, and a table (T, C) of positions where they are learned."""
    from safetensors import safe_open

    tensors: Any = safe_open(checkpoint.path / checkpoint.weights_file, framework="numpy")
    if TOKEN_EMBEDDING not in tensors.keys():  # adapters alone: the rest is the base's
        tensors = safe_open(run.base_file, framework="numpy")
    embedding = Embedding(tensors, is_centred=config.norm == "layer")
    if config.positions != "learned":
        return embedding, None
    return embedding, embedding.centred(tensors.get_tensor("gpt/position_embedding/embeddings"))


class Embedding:
    """Rows of the token embedding, read from the file as they are needed."""

    def __init__(self, tensors: Any, is_centred: bool) -> None:
        self._rows = tensors.get_slice(TOKEN_EMBEDDING)
        self._is_centred = is_centred

    def __call__(self, tokens: Sequence[int]) -> Any:
        """Vectors (N, C) of N ids."""
        return self.centred(np.concatenate([self._rows[token : token + 1] for token in tokens]))

    def centred(self, rows: Any) -> Any:
        """What `kgpt.inference.folding` makes of them."""
        return centred(rows) if self._is_centred else rows


# === Files ===


def files_of(checkpoint: Checkpoint, variant: str) -> list[Path]:
    """Where a file may lie: beside the weights, or in the user's cache where that cannot be written."""
    name = f"{Path(checkpoint.weights_file).stem}-{variant}.tflite"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgpt" / "litert"
    return [checkpoint.path / "litert" / name, cache / _weights_sha256(checkpoint)[:16] / name]


def current_file(checkpoint: Checkpoint, variant: str) -> Path | None:
    """The file, if it is there, whole, and made of these weights."""
    for file in files_of(checkpoint, variant):
        with contextlib.suppress(KgptError, OSError, TypeError):
            about = About(**read_json(_about(file)))
            if about.format == FORMAT and about.weights_sha256 == _weights_sha256(checkpoint):
                status = file.stat()
                is_untouched = (status.st_size, status.st_mtime_ns) == (about.size, about.modified)
                if is_untouched or _sha256(file) == about.sha256:
                    return file
    return None


def convert(
    run: RunFolder,
    checkpoint: Checkpoint,
    variant: str,
    report: Callable[[str], object] = lambda stage: None,
) -> Path:
    """Make the file, in a process of its own.

    Raises:
        KgptFailure: the conversion failed, or no folder can be written.
    """
    file = _writable(files_of(checkpoint, variant))
    command = [sys.executable, "-m", "kgpt.inference.litert_convert", str(run.path)]
    command += [str(checkpoint.path / checkpoint.weights_file), variant, str(file)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads would fill up
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": log, "text": True}
        with subprocess.Popen(command, env=environment, **pipes) as child:
            for line in child.stdout or ():
                report(line.strip())
        log.seek(0)
        errors = log.read()
    if child.returncode:
        raise KgptFailure(
            _("Conversion failed"),
            (errors.strip().splitlines() or [_("LiteRT's converter gave no reason.")])[-1][:500],
            _("Use --decoder keras."),
        )
    # What XNNPACK packed of other weights would be taken for these.
    _packed(file).unlink(missing_ok=True)
    status = file.stat()
    about = About(
        FORMAT, _weights_sha256(checkpoint), status.st_size, status.st_mtime_ns, _sha256(file)
    )
    write_json(_about(file), asdict(about))
    return file


def _writable(files: list[Path]) -> Path:
    for file in files:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            if os.access(file.parent, os.W_OK):
                return file
    raise KgptFailure(
        _("No place for the LiteRT file"),
        _(
            "Neither {parent} nor {parent_2} can be written.",
            parent=files[0].parent,
            parent_2=files[1].parent,
        ),
        _("Make one of them writable, or use --decoder keras."),
    )


def _packed(file: Path) -> Path:
    return file.with_suffix(".packed")


def _about(file: Path) -> Path:
    return file.with_suffix(".json")


def _weights_sha256(checkpoint: Checkpoint) -> str:
    stored = read_json(checkpoint.path / "state.json").get("sha256", {})
    return str(stored.get(checkpoint.weights_file, ""))


def _sha256(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
