"""Named configurations to start from, and what sets them apart from the defaults. Standard library only."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from typing import Any

from kgpt.config import TrainConfig, from_dict
from kgpt.errors import KgptError


def _gpt2(num_layers: int, num_heads: int, width: int) -> dict[str, Any]:
    return {
        "model": {
            "num_layers": num_layers,
            "num_heads": num_heads,
            "width": width,
            "context_length": 1024,
            "dropout": 0.0,
        },
        "optimizer": {"learning_rate": 6e-4, "warmup_steps": 700},
        "steps": 20000,
        "batch_size": 8,
        "precision": "bfloat16",
        "evaluate_every": 500,
        "checkpoint_every": 500,
    }


PRESETS: Mapping[str, dict[str, Any]] = types.MappingProxyType(
    {
        "demo": {
            "model": {
                "context_length": 128,
                "num_layers": 2,
                "num_heads": 4,
                "width": 128,
                "feed_forward_width": 256,
                "positions": "rotary",
                "norm": "rms",
                "norm_epsilon": 1e-6,
                "qk_norm": True,
                "activation": "swiglu",
                "bias": False,
                "tied_head": False,
                "initialization": "zero-output",
            },
            "optimizer": {
                "name": "muon",
                "learning_rate": 0.01,
                "embedding_learning_rate": 0.03,
                "muon_learning_rate": 0.03,
                "schedule": "linear",
                "warmup_steps": 0,
                "final_fraction": 0.0,
                "weight_decay": 0.0,
            },
            "steps": 1000,
            "minutes": 2.8,
            "batch_size": 16,
            "evaluate_every": 250,
            "checkpoint_every": 250,
        },
        "char-cpu": {
            "model": {"context_length": 64, "num_layers": 4, "num_heads": 4, "width": 128},
            "optimizer": {"learning_rate": 1e-3, "warmup_steps": 100, "beta_2": 0.99},
            "steps": 2000,
            "batch_size": 12,
        },
        "char-gpu": {
            "model": {
                "context_length": 256,
                "num_layers": 6,
                "num_heads": 6,
                "width": 384,
                "dropout": 0.2,
            },
            "optimizer": {"learning_rate": 1e-3, "warmup_steps": 100},
            "steps": 5000,
            "batch_size": 64,
            "precision": "bfloat16",
        },
        "gpt2-124m": _gpt2(12, 12, 768),
        "gpt2-355m": _gpt2(24, 16, 1024),
        "gpt2-774m": _gpt2(36, 20, 1280),
        "gpt2-1558m": _gpt2(48, 25, 1600),
    }
)
"""Named starting points, as nested values over the defaults."""


def preset(name: str) -> TrainConfig:
    """The `TrainConfig` of a preset."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        raise KgptError(
            "Unknown preset",
            f"There is no preset {name!r}." + (f" Did you mean {near[0]}?" if near else ""),
            f"Presets: {', '.join(PRESETS)}.",
        )
    return from_dict(PRESETS[name])
