"""What a classifier says of the text that is typed: each label with its probability as a bar, the likeliest first."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from kgpt.language import _, number
from workbench import wording
from workbench.labelling import Labelling
from workbench.widgets.colors import muted

MIN_BAR = 10


class LabelBars(Static):
    """A line a label."""

    def __init__(self) -> None:
        super().__init__(id="labels")
        self.border_title = _("labels")

    def show(self, labelling: Labelling, stage: str) -> None:
        """Show the newest result, and what is being waited for."""
        if labelling.error is not None:
            error = labelling.error
            self.update(
                Content.assemble((f"✗ {error.title}", "bold $error"), muted(f"\n{error.message}"))
            )
            return
        lines = self._lines(labelling)
        if stage or labelling.is_waiting:
            lines.append(Content.styled(f"… {stage}", "$accent"))
        elif not lines:
            lines.append(muted(_("Write a text: its labels appear here as you type.")))
        elif labelling.label is None:
            lines.append(muted(_("No label is probable enough for its threshold.")))
        self.update(Content("\n").join(lines))

    def _lines(self, labelling: Labelling) -> list[Content]:
        found = sorted(labelling.probabilities.items(), key=lambda item: -item[1])
        longest = max((len(name) for name, _ in found), default=0)
        width = max(MIN_BAR, (self.size.width or 60) - longest - 14)
        lines = []
        for name, probability in found:
            is_given = name == labelling.label
            done, rest = wording.bar(probability, width)
            lines.append(
                Content.assemble(
                    ("● " if is_given else "  ", "$success"),
                    (f"{name:<{longest}}  ", "bold" if is_given else "$foreground-muted"),
                    (done, "$success" if is_given else "$primary"),
                    (rest, "$foreground 20%"),
                    "  " + number(probability, ".2%").rjust(7),
                )
            )
        return lines
