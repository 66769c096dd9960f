"""The small files of a checkpoint, written so that they are whole: its state with a checksum, and the marks beside it.

In: what is known of a step. Out: `state.json`, `last.json`, `best.json`, `stable.json`. Nothing here loads Keras.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgpt.files import json_safe, write_json
from kgpt.runs import RunFolder


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint's `state.json`, with its own sha256 in it."""
    write_json(folder / "state.json", {**state, "state_sha256": state_digest(state)})


def state_digest(state: Mapping[str, Any]) -> str:
    """sha256 of a state, whether or not it holds one."""
    content = json_safe({key: value for key, value in state.items() if key != "state_sha256"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def mark(run: RunFolder, name: str, step: int, **details: Any) -> None:
    """Note in `checkpoints/NAME.json` which checkpoint is the last, the best, or the last at the stable rate."""
    values = {"step": step, "path": f"step-{step:08d}", **details}
    write_json(run.checkpoints_folder / f"{name}.json", values)
