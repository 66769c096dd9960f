"""The generations since the workbench was opened, the newest first."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.playground import Generation

MARKS = {"done": ("✓", "$success"), "stopped": ("■", "$warning"), "failed": ("✗", "$error")}


class History(OptionList):
    """A line for each; choosing one shows it again."""

    def __init__(self) -> None:
        super().__init__(id="history", compact=True)
        self.border_title = "history"
        self._shown: list[str] = []

    def show(self, generations: Sequence[Generation]) -> None:
        """Show these generations; the option's id is the place in the list."""
        lines = [_line(item) for item in generations]
        if [line.plain for line in lines] == self._shown:
            return
        self._shown = [line.plain for line in lines]
        highlighted = self.highlighted
        self.clear_options()
        numbered = list(enumerate(lines))
        self.add_options(Option(line, id=str(number)) for number, line in reversed(numbered))
        self.highlighted = highlighted


def _line(generation: Generation) -> Content:
    mark, style = MARKS.get(generation.state, ("…", "$accent"))
    text = " ".join(generation.prompt.split()) or "(empty prompt)"
    return Content.assemble((f"{mark} ", style), text[:60])
