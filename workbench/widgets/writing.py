"""Texts that are written again and again: the same text costs nothing, one of fixed size moves no other widget."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

_SHOWN = "_shown_text"


def write(static: Static, text: Content | str, *, is_fixed: bool = True) -> None:
    """Show a text in a widget, unless it is there. `is_fixed`: the widget's size does not depend on its text.

    A layout of the whole screen, for which Textual takes tens of milliseconds, follows only where the size may change.
    """
    content = text if isinstance(text, Content) else Content(text)
    mark = (content.plain, tuple(content.spans))
    if getattr(static, _SHOWN, None) != mark:
        setattr(static, _SHOWN, mark)
        static.update(content, layout=not is_fixed)
