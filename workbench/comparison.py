"""Which runs are looked at together: those drawn over the one that is watched, and one that others are compared with.

Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Callable


class Comparison:
    """Names of runs, in the order in which they were chosen."""

    def __init__(self, overlaid: str, pinned: str, on_change: Callable[[], None]) -> None:
        self.overlaid = overlaid.split()
        """Drawn over the run that is watched."""
        self.pinned: str | None = pinned or None
        self._on_change = on_change

    def overlay(self, name: str) -> None:
        """Draw a run over the one that is watched, or no longer."""
        if name in self.overlaid:
            self.overlaid.remove(name)
        else:
            self.overlaid.append(name)
        self._on_change()

    def pin(self, name: str) -> None:
        """Compare the others with a run, or with none."""
        self.pinned = None if self.pinned == name else name
        self._on_change()

    def forget(self, name: str, new_name: str | None = None) -> None:
        """A run has another name now, or is gone."""
        new = [new_name] if new_name else []
        self.overlaid = [n for old in self.overlaid for n in (new if old == name else [old])]
        self.pinned = new_name if self.pinned == name else self.pinned
