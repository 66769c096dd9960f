"""Small questions over a screen: yes or no, and a line of text."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Footer, Input, Static

from kgpt.language import _
from workbench.key import Place
from workbench.widgets.bindings import TranslatedKeys, bindings_of


class Dialog(TranslatedKeys, ModalScreen[Any]):
    """A box in the middle; `esc` closes it with None."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("dialog")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]
    place: ClassVar[Place] = "dialog"

    def __init__(self, title: str, text: str = "") -> None:
        super().__init__()
        self.box_title, self.text = title, text

    def compose(self) -> ComposeResult:
        """Title, text, what the subclass adds, keys."""
        with Vertical(classes="dialog") as box:
            box.border_title = self.box_title
            if self.text:
                yield Static(self.text, markup=False, classes="dialog-text")
            yield from self.compose_body()
        yield Footer(compact=True)

    def compose_body(self) -> ComposeResult:
        """What lies below the text."""
        raise NotImplementedError

    def action_cancel(self) -> None:
        """Close, with nothing."""
        self.dismiss(None)


class ConfirmScreen(Dialog):
    """Comes back with True for yes, None for no."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("confirm")]
    place = "confirm"

    def compose_body(self) -> ComposeResult:
        """Two buttons, the harmless one first."""
        with Horizontal(classes="buttons"):
            yield Button(_("No"), id="no", compact=True)
            yield Button(_("Yes"), id="yes", variant="error", compact=True)

    def action_yes(self) -> None:
        """Close, with a yes."""
        self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """What the mouse says."""
        self.dismiss(True if event.button.id == "yes" else None)


class AskScreen(Dialog):
    """Comes back with the text that was typed; with `expected` given, only that text closes it."""

    def __init__(self, title: str, text: str, value: str = "", expected: str | None = None) -> None:
        super().__init__(title, text)
        self.value, self.expected = value, expected

    def compose_body(self) -> ComposeResult:
        """The line, and what is wrong with it."""
        yield Input(self.value, id="answer", compact=True)
        yield Static("", id="answer-note", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter answers."""
        answer = event.value.strip()
        if self.expected is not None and answer != self.expected:
            self.query_one("#answer-note", Static).update(
                _("Type {expected} to go on.", expected=self.expected)
            )
        elif answer:
            self.dismiss(answer)
