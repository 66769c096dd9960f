"""Where text is typed, without taking the keys of the alternate layer for letters.

Terminals send alt+v as an escape and a `v`, which Textual reports as a key with a printable character; a text area
would write it. Here such a key goes on to the bindings of the screen.
"""

from __future__ import annotations

from textual import events
from textual.widgets import Input, TextArea


def _keep_for_bindings(event: events.Key) -> None:
    if event.key.startswith("alt+"):
        event.prevent_default()


class Entry(Input):
    """A line of text."""

    async def _on_key(self, event: events.Key) -> None:
        _keep_for_bindings(event)


class TextEntry(TextArea):
    """Lines of text."""

    async def _on_key(self, event: events.Key) -> None:
        _keep_for_bindings(event)
