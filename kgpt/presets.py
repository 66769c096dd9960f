"""Named configurations to start from, and what sets them apart from the defaults. Standard library only."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.suggestions import did_you_mean


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
        "evaluate_every": 500,
        "checkpoint_every": 500,
    }


def _modern_parts(num_heads: int, width: int, num_kv_heads: int) -> dict[str, Any]:
    """Parts of Qwen3's architecture; feed-forward matrices with as many values as GPT-2's, in multiples of 64."""
    return {
        "num_heads": num_heads,
        "num_kv_heads": num_kv_heads,
        "width": width,
        "feed_forward_width": 64 * round(8 * width / 3 / 64),
        "positions": "rotary",
        "norm": "rms",
        "norm_epsilon": 1e-6,
        "qk_norm": True,
        "activation": "swiglu",
        "bias": False,
        "initialization": "zero-output",
    }


def _modern(num_layers: int, num_heads: int, width: int, num_kv_heads: int) -> dict[str, Any]:
    base = _gpt2(num_layers, num_heads, width)
    parts = _modern_parts(num_heads, width, num_kv_heads)
    optimizer = {
        "name": "muon",
        "learning_rate": 3e-3,
        "muon_learning_rate": 0.02,
        "warmup_steps": 200,
        "schedule": "wsd",
        "final_fraction": 0.0,
    }
    return {**base, "model": {**base["model"], **parts}, "optimizer": optimizer}


_MODERN_CHARACTERS: dict[str, Any] = {
    "name": "muon",
    "learning_rate": 0.01,
    "embedding_learning_rate": 0.03,
    "muon_learning_rate": 0.03,
    "schedule": "linear",
    "decay_fraction": 0.8,
    "warmup_steps": 0,
    "final_fraction": 0.0,
    "weight_decay": 0.1,
}


PRESETS: Mapping[str, dict[str, Any]] = types.MappingProxyType(
    {
        "demo": {
            "model": {
                **_modern_parts(4, 128, 0),
                "num_layers": 2,
                "context_length": 128,
                "feed_forward_width": 256,
                "tied_head": False,
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
        },
        "gpt2-124m": _gpt2(12, 12, 768),
        "gpt2-355m": _gpt2(24, 16, 1024),
        "gpt2-774m": _gpt2(36, 20, 1280),
        "gpt2-1558m": _gpt2(48, 25, 1600),
        "modern-char-cpu": {
            "model": {
                **_modern_parts(4, 128, 0),
                "num_layers": 4,
                "context_length": 64,
                "tied_head": False,
            },
            "optimizer": _MODERN_CHARACTERS,
            "steps": 1000,
            "batch_size": 16,
        },
        "modern-char-gpu": {
            "model": {
                **_modern_parts(6, 384, 0),
                "num_layers": 6,
                "context_length": 256,
                "tied_head": False,
                "dropout": 0.2,
            },
            "optimizer": _MODERN_CHARACTERS,
            "steps": 2500,
            "batch_size": 64,
        },
        "modern-124m": _modern(12, 12, 768, 4),
        "modern-355m": _modern(24, 16, 1024, 4),
        "modern-774m": _modern(36, 20, 1280, 5),
        "modern-1558m": _modern(48, 25, 1600, 5),
    }
)
"""Named starting points, as nested values over the defaults."""


def preset(name: str) -> TrainConfig:
    """The `TrainConfig` of a preset."""
    if name not in PRESETS:
        raise KgptError(
            _("Unknown preset"),
            _("There is no preset {name!r}.", name=name) + did_you_mean(name, PRESETS),
            _("Presets: {presets}.", presets=", ".join(PRESETS)),
        )
    return from_dict(PRESETS[name])
