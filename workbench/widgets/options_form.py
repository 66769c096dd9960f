"""The form of the Generate screen: which model writes, and how."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Select

from kgpt.errors import KgptError
from kgpt.protocol import GenerateOptions
from workbench import wording
from workbench.catalog import RunSummary
from workbench.playground import Target
from workbench.settings import Settings

FIELDS = (
    ("temperature", "temperature", "0.8", "0 is greedy; higher is bolder"),
    ("top_k", "top-k", "off", "choose among the k likeliest tokens; 0 is off"),
    ("top_p", "top-p", "1.0", "choose among the likeliest that sum up to p"),
    ("max_tokens", "max tokens", "120", "the longest continuation"),
    ("seed", "seed", "random", "the same seed writes the same text"),
)
"""Name, label, placeholder and tooltip of the fields."""


class OptionsForm(Vertical):
    """Run, checkpoint, five fields, one button."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(id="form")
        self._settings = settings
        self._runs: tuple[RunSummary, ...] = ()

    def compose(self) -> ComposeResult:
        """A line for each choice."""
        yield self._row("run", Select[str]([], prompt="none yet", compact=True, id="run"))
        yield self._row(
            "checkpoint", Select[str]([], prompt="none yet", compact=True, id="checkpoint")
        )
        for name, label, placeholder, tooltip in FIELDS:
            value = str(getattr(self._settings, name))
            field = Input(value, placeholder, compact=True, id=name, tooltip=tooltip)
            field.cursor_blink = False
            yield self._row(label, field)
        yield Button("Generate", variant="primary", compact=True, id="go")

    def _row(self, label: str, field: Select[str] | Input) -> Horizontal:
        return Horizontal(Label(label), field, classes="row")

    # === Run and checkpoint ===

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Offer the runs that can write; the choice stays where it can."""
        newest_first = sorted(runs, key=lambda run: run.created, reverse=True)
        writers = tuple(run for run in newest_first if run.checkpoints and not run.problem)
        if _menu(writers) != _menu(self._runs):
            self._runs = writers
            select = self.query_one("#run", Select)
            _fill(select, [(run.name, run.name) for run in writers])
            self._show_checkpoints()

    def choose_run(self, name: str) -> None:
        """Choose a run, if it can write."""
        if name in [run.name for run in self._runs]:
            self.query_one("#run", Select).value = name
            self._show_checkpoints()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another run has other checkpoints."""
        if event.select.id == "run":
            self._show_checkpoints()

    @property
    def run(self) -> RunSummary | None:
        """The chosen run."""
        name = self.query_one("#run", Select).value
        return next((run for run in self._runs if run.name == name), None)

    @property
    def target(self) -> Target | None:
        """The chosen model."""
        run, checkpoint = self.run, self.query_one("#checkpoint", Select).value
        if run is None or not isinstance(checkpoint, str):
            return None
        steps = {"best": [c.step for c in run.checkpoints if c.is_best]}
        steps["last"] = [c.step for c in run.checkpoints if c.is_last]
        found = steps.get(checkpoint, [int(checkpoint)] if checkpoint.isdigit() else [])
        return Target(run.path, checkpoint, found[0] if found else run.checkpoints[-1].step)

    def _show_checkpoints(self) -> None:
        run = self.run
        options: list[tuple[str, str]] = []
        for item in reversed(run.checkpoints if run else ()):
            step, loss = wording.whole(item.step), wording.decimal(item.validation_loss, 2)
            if item.is_best:
                options.insert(0, (f"best ({step})", "best"))
            if item.is_last:
                options.append((f"last ({step})", "last"))
            options.append((f"{step} · {loss}", str(item.step)))
        _fill(self.query_one("#checkpoint", Select), options)

    # === Fields ===

    def options(self) -> GenerateOptions:
        """The options as they stand.

        Raises:
            KgptError: a field holds no number, or one out of range.
        """
        seed = self._text("seed")
        return GenerateOptions(
            max_tokens=int(self._number("max_tokens", is_whole=True)),
            temperature=self._number("temperature"),
            top_k=int(self._number("top_k", is_whole=True)),
            top_p=self._number("top_p"),
            seed=int(self._number("seed", is_whole=True)) if seed else None,
        )

    def remember(self, settings: Settings) -> None:
        """Put the fields into the settings."""
        for name, *_ in FIELDS:
            setattr(settings, name, self._text(name))

    def set_busy(self, is_busy: bool) -> None:
        """The button stops what it has started."""
        button = self.query_one("#go", Button)
        button.label, button.variant = ("Stop", "error") if is_busy else ("Generate", "primary")

    def set_field(self, name: str, value: str) -> None:
        """Put a value into a field."""
        self.query_one(f"#{name}", Input).value = value

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _number(self, name: str, is_whole: bool = False) -> float:
        text = self._text(name)
        default = getattr(GenerateOptions(), name)
        if not text:
            return float(default or 0)
        try:
            return int(text) if is_whole else float(text.replace(",", "."))
        except ValueError:
            kind = "a whole number" if is_whole else "a number"
            raise KgptError(
                "Not a number", f"{name} must be {kind}. Received: {text!r}", "Correct the field."
            ) from None


def _menu(runs: Sequence[RunSummary]) -> list[tuple[object, ...]]:
    return [(run.name, run.checkpoints) for run in runs]


def _fill(select: Select[str], options: list[tuple[str, str]]) -> None:
    """Put options into a menu; the choice stays if it is still there, else it is the first."""
    before = select.value
    with select.prevent(Select.Changed):
        select.set_options(options)
        values = [value for _, value in options]
        if values:
            select.value = before if before in values else values[0]
