"""What has been written, the newest first, each with the texts that branch off from it below it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from kgpt.language import _
from workbench.generations import Generation, tree

MARKS = {"done": ("✓", "$success"), "stopped": ("■", "$warning"), "failed": ("✗", "$error")}


class History(OptionList):
    """A line for each; choosing one shows it again."""

    def __init__(self) -> None:
        super().__init__(id="history", compact=True)
        self.border_title = _("history")
        self._shown: list[str] = []
        self._numbers: list[int] = []

    def show(self, generations: Sequence[Generation], shown: Generation | None) -> None:
        """Show the tree of these generations; the option's id is the generation's number."""
        rows = tree(generations)
        lines = [_line(lead, item, item is shown) for lead, item in rows]
        if [line.markup for line in lines] == self._shown:
            return
        self._shown = [line.markup for line in lines]
        before = self._numbers
        highlighted = self.highlighted
        chosen = (
            before[highlighted] if highlighted is not None and highlighted < len(before) else None
        )
        self._numbers = [item.number for _, item in rows]
        self.clear_options()
        self.add_options(
            Option(line, id=str(item.number)) for line, (_, item) in zip(lines, rows, strict=True)
        )
        if chosen in self._numbers:
            self.highlighted = self._numbers.index(chosen)


def _line(lead: str, generation: Generation, is_shown: bool) -> Content:
    mark, style = MARKS.get(generation.state, ("…", "$accent"))
    text = " ".join(generation.prompt.split()) or _("(empty prompt)")
    if lead:  # what its parent wrote too is the same in every branch: the end tells them apart
        text = "…" + text[-24:] if len(text) > 24 else text
    pair = "⇄ " if generation.partner is not None else ""
    weight = "bold" if is_shown else ""
    return Content.assemble(
        (lead, "$foreground-muted"), (f"{mark} ", style), pair, (text[:60], weight)
    )
