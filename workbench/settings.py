"""What the workbench remembers from one session to the next.

In and out: `kgpt/workbench.json` in the user's configuration folder. A missing, damaged or foreign file is the
defaults; a value out of range is its default.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.files import read_json, write_json

MAX_SMOOTHING = 0.999


@dataclass
class Settings:
    """The remembered values."""

    theme: str = "kgpt-dark"
    """`en` or `pt_BR`; empty: what the environment says."""
    x_axis: str = "step"
    smoothing: float = 0.8
    """Weight of the moving average, 0 (off) up to `MAX_SMOOTHING`."""
    is_log: bool = False
    overlaid: str = ""
    """Names of the runs that are drawn over the one that is watched, separated by spaces."""
    pinned: str = ""
    temperature: str = "0.8"
    top_k: str = "40"
    top_p: str = "1.0"
    max_tokens: str = "120"
    seed: str = ""
    num_samples: str = "1"
    min_p: str = ""
    typical_p: str = ""
    repetition_penalty: str = ""
    frequency_penalty: str = ""
    presence_penalty: str = ""
    no_repeat_ngram_size: str = ""
    stop: str = ""
    logit_bias: str = ""
    forbidden: str = ""
    shows_all_options: bool = False
    view: str = "text"
    """How the Generate screen shows what was written."""
    runs_pane: int = 0
    """Lines of the details below the runs; here and below, 0 is what the style sheet says."""
    watch_pane: int = 0
    """Lines of the tabs below the chart."""
    generate_pane: int = 0
    """Columns of options and history."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """Settings from plain values; unknown names and values of another type are passed over."""
        types = {item.name: type(item.default) for item in dataclasses.fields(cls)}
        known: dict[str, Any] = {
            name: v for name, v in values.items() if type(v) is types.get(name)
        }
        settings = cls(**known)
        if settings.x_axis not in ("step", "tokens", "hours"):
            settings.x_axis = cls.x_axis
        if not 0 <= settings.smoothing <= MAX_SMOOTHING:
            settings.smoothing = cls.smoothing
        for name in ("runs_pane", "watch_pane", "generate_pane"):
            setattr(settings, name, max(0, getattr(settings, name)))
        return settings


def settings_file() -> Path:
    """Where the settings lie: `$XDG_CONFIG_HOME`, else `~/.config`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "kgpt" / "workbench.json"


def load(path: Path) -> Settings:
    """The settings in `path`, or the defaults."""
    return Settings.from_dict(read_json(path))


def save(path: Path, settings: Settings) -> None:
    """Write the settings.

    Raises:
        OSError: the folder cannot be made.
        KgptFailure: the disk is full or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, dataclasses.asdict(settings))
