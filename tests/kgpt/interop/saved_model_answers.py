"""What a SavedModel answers in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def answers_of(
    exported: Path, requests: dict[str, Any], folder: Path, command: Sequence[str] = ()
) -> dict[str, Any]:
    """What a process with TensorFlow alone answers; it may run `saved_model_cli` too."""
    task = {"folder": str(exported), "requests": requests, "command": command}
    child = Path(__file__).with_name("saved_model_child.py")
    subprocess.run(
        [sys.executable, "-I", str(child), str(folder / "result.json")],
        input=json.dumps(task),
        text=True,
        check=True,
        cwd=folder,
    )
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result
