"""Where the prompt is written: a text area whose first line leads back to earlier prompts."""

from __future__ import annotations

from typing import Literal

from textual.message import Message

from kgpt.language import N_, _
from workbench.widgets.entry import TextEntry

PLACEHOLDER = N_("Write how it begins; ctrl+g lets the model go on.")

Kind = Literal["text", "chat", "labels"]
"""What a run makes of a text: it goes on with it, answers it, or labels it."""

CALLS: dict[Kind, tuple[str, str]] = {
    "text": (N_("prompt"), PLACEHOLDER),
    "chat": (N_("message"), N_("Write a message; ctrl+g sends it, ctrl+n begins anew.")),
    "labels": (N_("text to label"), N_("Write or paste a text.")),
}


class Prompt(TextEntry):
    """Up on the first line and down on the last ask for the prompt before and after."""

    class Recall(Message):
        """Another prompt of the history is wanted: -1 the one before, 1 the one after."""

        def __init__(self, direction: int) -> None:
            super().__init__()
            self.direction = direction

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=True,
            show_line_numbers=False,
            id="prompt",
            compact=True,
            placeholder=_(PLACEHOLDER),
        )
        self.border_title = _("prompt")
        self.cursor_blink = False

    def put(self, text: str) -> None:
        """Replace the text, in a way that undo takes back, with the cursor at its end."""
        if text != self.text:
            self.replace(text, (0, 0), self.document.end)
        self.move_cursor(self.document.end)

    def call_for(self, kind: Kind) -> None:
        """Say what is to be written: the beginning of a text, a message, a text to label."""
        title, placeholder = CALLS[kind]
        self.border_title, self.placeholder = _(title), _(placeholder)

    @property
    def _drawn_line(self) -> int:
        """The line that the cursor is on, as the text is wrapped."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def action_cursor_up(self, select: bool = False) -> None:
        """A line up; from the first one into the history."""
        if not select and self._drawn_line == 0:
            self.post_message(self.Recall(-1))
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A line down; from the last one back out of the history."""
        if not select and self._drawn_line == self.wrapped_document.height - 1:
            self.post_message(self.Recall(1))
        else:
            super().action_cursor_down(select)
