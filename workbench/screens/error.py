"""The last error in full: what happened, what to do, what the engine's log said; to read and to copy."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from kgpt.errors import KgptError
from kgpt.language import _
from workbench.widgets.bindings import TranslatedKeys, bindings_of


class ErrorScreen(TranslatedKeys, ModalScreen[None]):
    """Title, message and hint, and the end of a log where there is one."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("error")]
    place: ClassVar[str] = "error"

    def __init__(self, error: KgptError, log: str = "") -> None:
        super().__init__()
        self.error, self.log_tail = error, log

    def compose(self) -> ComposeResult:
        """One page that scrolls."""
        with VerticalScroll(id="error") as page:
            page.border_title = _("error")
            page.border_subtitle = _("y copies · esc closes")
            yield Static(self._content(), id="error-text")

    def _content(self) -> Content:
        error = self.error
        parts = [
            Content.styled(error.title, "bold $error"),
            Content(error.message),
            Content.styled(error.hint, "$accent"),
            Content.styled(self.log_tail, "$foreground-muted"),
        ]
        return Content("\n\n").join([part for part in parts if part.plain])

    def on_click(self, event: object) -> None:
        """A click beside the page closes it."""
        if getattr(event, "widget", None) is self:
            self.dismiss()

    def action_copy(self) -> None:
        """Copy all of it."""
        self.app.copy_to_clipboard(self._content().plain)
        self.notify(_("Copied the error."), timeout=3)
