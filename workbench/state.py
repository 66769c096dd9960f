"""Where the workbench keeps what it remembers by itself, and how: versioned JSON files, there whole or not at all.

In and out: `kgpt/NAME.json` in the user's state folder. What cannot be read is put aside and said, never lost.
Knows no Textual.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.files import json_safe, read_json, write_atomically
from kgpt.language import _


def state_folder() -> Path:
    """Where states lie: `$XDG_STATE_HOME`, else `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "kgpt"


def load_state(path: Path, version: int) -> dict[str, Any]:
    """The state in `path`; a missing file is an empty state.

    Raises:
        KgptError: the file is damaged or of another version. It has been renamed, so that nothing overwrites it.
    """
    if not path.exists():
        return {}
    values = read_json(path)
    if values.get("version") == version:
        return values
    aside = path.with_suffix(".unreadable")
    try:
        os.replace(path, aside)
        kept = _("It is kept as {aside}.", aside=aside)
    except OSError:
        kept = _("It stays where it is.")
    what = (
        _("{path} is of another version.", path=path)
        if "version" in values
        else _("{path} is damaged.", path=path)
    )
    raise KgptError(_("Not remembered"), what, kept)


def save_state(path: Path, version: int, values: dict[str, Any]) -> None:
    """Write a state, whole or not at all.

    Raises:
        OSError: the folder cannot be made.
        KgptFailure: the disk is full or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(json_safe({"version": version, **values}), ensure_ascii=False)
    write_atomically(path, content + "\n")
