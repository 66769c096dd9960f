"""A walk through the prompts of before; past the newest waits what was being written. Knows no Textual."""

from __future__ import annotations

from collections.abc import Sequence


class PromptHistory:
    """Where the walk is."""

    def __init__(self) -> None:
        self._draft = ""
        self._place: int | None = None

    def forget(self) -> None:
        """The walk is over: something has been asked."""
        self._place = None

    def step(self, direction: int, text: str, prompts: Sequence[str]) -> str | None:
        """The prompt before (-1) or after (1) `text`, of `prompts` from the oldest on; None where there is none."""
        known = list(dict.fromkeys(prompts))
        if self._place is None:
            if direction > 0 or not known:
                return None
            self._draft, self._place = text, len(known)
        self._place = max(0, self._place + direction)
        if self._place < len(known):
            return known[self._place]
        self._place = None
        return self._draft
