"""Alt and a key, as terminals send it: an escape, then the key.

Textual reads some of these as the characters that macOS types with its Option key (`ESC 4` as a cent sign), or as
movements (`ESC b`). Where the workbench has given such a key a meaning, it is the key that arrives.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

ALT = "alt+"


def release(keys: Iterable[str]) -> None:
    """Let these keys, such as `alt+4`, arrive as what they are; others stay as they were."""
    for key in keys:
        character = key.removeprefix(ALT)
        if key.startswith(ALT) and len(character) == 1:
            ANSI_SEQUENCES_KEYS.pop(f"\x1b{character}", None)  # type: ignore[attr-defined]
