"""kgpt: GPT models from scratch with Keras 3.

Importing it loads neither Keras nor TensorFlow: every name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgpt.api import Run, open_run, train
    from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
    from kgpt.errors import KgptError
    from kgpt.presets import preset
    from kgpt.text.tokenizer import Tokenizer

_HOMES = {
    "KgptError": "kgpt.errors",
    "ModelConfig": "kgpt.config",
    "OptimizerConfig": "kgpt.config",
    "Run": "kgpt.api",
    "Tokenizer": "kgpt.text.tokenizer",
    "TrainConfig": "kgpt.config",
    "open_run": "kgpt.api",
    "preset": "kgpt.presets",
    "train": "kgpt.api",
}

__all__ = [
    "KgptError",
    "ModelConfig",
    "OptimizerConfig",
    "Run",
    "Tokenizer",
    "TrainConfig",
    "open_run",
    "preset",
    "train",
]

if "keras" in sys.modules:  # so that keras.models.load_model knows the classes of a .keras file
    importlib.import_module("kgpt.model.gpt")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kgpt' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
