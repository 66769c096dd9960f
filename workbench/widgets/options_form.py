"""The form of the Generate screen: which model writes, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Label, Select, Static

from kgpt.language import N_, _
from kgpt.protocol import DECODERS, GenerateOptions
from workbench.generations import Target
from workbench.run_summary import RunSummary
from workbench.sampling_fields import (
    ALL_FIELDS,
    FIELDS,
    MAX_SAMPLES,
    MORE_FIELDS,
    PRESETS,
    Field,
    num_samples,
    options_of,
    preset,
    preset_of,
)
from workbench.settings import Settings
from workbench.widgets.entry import Entry
from workbench.widgets.model_picker import ModelPicker

COMPARED = (N_("beside it"), N_("checkpoint"))
"""Labels of the second model."""


class OptionsForm(Vertical):
    """One model or two, a preset, the fields that are always there and those that can be unfolded, one button."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(id="form")
        self._settings = settings

    def compose(self) -> ComposeResult:
        """A line for each choice."""
        with VerticalScroll(id="form-fields", can_focus=False):
            yield ModelPicker()
            yield ModelPicker("-2", COMPARED)
            yield Static(id="presets")
            for field in FIELDS:
                yield self._row(field)
            yield Static(id="more-line")
            with Vertical(id="more"):
                for field in MORE_FIELDS:
                    yield self._row(field)
                decoders = [(name, name) for name in DECODERS]
                menu = Select(decoders, compact=True, allow_blank=False, id="decoder")
                menu.tooltip = _("what computes; auto: LiteRT on a CPU, Keras on a GPU")
                yield Horizontal(Label(_("decoder")), menu, classes="row")
        yield Button(_("Generate"), variant="primary", compact=True, id="go")

    def _row(self, field: Field) -> Horizontal:
        value = str(getattr(self._settings, field.name))
        entry = Entry(
            value,
            _(field.placeholder),
            compact=True,
            id=field.name,
            tooltip=_(field.help, most=MAX_SAMPLES),
        )
        entry.cursor_blink = False
        return Horizontal(Label(_(field.label)), entry, classes="row")

    def on_mount(self) -> None:
        """As it was left."""
        self.is_comparing = False
        self.shows_more = self._settings.shows_all_options
        self._show_presets()

    # === Models ===

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Offer the runs that can write; the choice stays where it can."""
        for picker in self.query(ModelPicker):
            picker.show_runs(runs)

    def choose_run(self, name: str) -> None:
        """Choose a run, if it can write."""
        self.query_one("#model", ModelPicker).choose_run(name)

    def choose_checkpoint(self, step: str) -> None:
        """Choose a checkpoint of the chosen run by its step, if it has it."""
        self.query_one("#model", ModelPicker).choose_checkpoint(step)

    @property
    def run(self) -> RunSummary | None:
        """The chosen run."""
        return self.query_one("#model", ModelPicker).run

    @property
    def target(self) -> Target | None:
        """The chosen model."""
        return self._decoded(self.query_one("#model", ModelPicker).target)

    @property
    def second_target(self) -> Target | None:
        """The model beside it, where two are compared."""
        picker = self.query_one("#model-2", ModelPicker)
        return self._decoded(picker.target) if self.is_comparing else None

    def _decoded(self, target: Target | None) -> Target | None:
        decoder = self.query_one("#decoder", Select).value
        return replace(target, decoder=str(decoder)) if target else None

    @property
    def is_comparing(self) -> bool:
        """Two models write side by side."""
        return bool(self.query_one("#model-2").display)

    @is_comparing.setter
    def is_comparing(self, value: bool) -> None:
        second, target = self.query_one("#model-2", ModelPicker), self.target
        second.display = value
        if value and target:
            second.choose_other(target)

    # === Fields ===

    @property
    def shows_more(self) -> bool:
        """All options are unfolded."""
        return bool(self.query_one("#more").display)

    @shows_more.setter
    def shows_more(self, value: bool) -> None:
        self.query_one("#more").display = value
        self._settings.shows_all_options = value
        self._show_more_line()

    def _show_more_line(self) -> None:
        default = {field.name: "" for field in MORE_FIELDS}
        used = [name for name in default if self.texts()[name] not in ("", "0", "1", "1.0")]
        note = " · " + _("{count} set", count=len(used)) if used and not self.shows_more else ""
        sign = "▾" if self.shows_more else "▸"
        title = _("O all options")
        line = Content.from_markup(f"[@click=screen.more_options]{sign} {title}{note}[/]")
        self.query_one("#more-line", Static).update(line)

    def texts(self) -> dict[str, str]:
        """The fields as they stand."""
        return {field.name: self._text(field.name) for field in ALL_FIELDS}

    def options(self) -> GenerateOptions:
        """The options as they stand.

        Raises:
            KgptError: a field cannot be read, or is out of range.
        """
        return options_of(self.texts())

    def num_samples(self) -> int:
        """How many texts are wanted.

        Raises:
            KgptError: the field holds no number, or one out of range.
        """
        return num_samples(self.texts())

    def fill(self, texts: Mapping[str, str]) -> None:
        """Put texts into fields."""
        for name, text in texts.items():
            self.query_one(f"#{name}", Entry).value = text

    def use_preset(self, name: str) -> None:
        """Set how to choose, as a preset has it."""
        self.fill(preset(name))

    def on_input_changed(self) -> None:
        """The fields may be those of a preset now, or no longer."""
        self._show_presets()
        self._show_more_line()

    def _show_presets(self) -> None:
        now, words = preset_of(self.texts()), []
        for name in PRESETS:
            if name == now:
                words.append(Content.styled(_(name), "bold $primary"))
            else:
                words.append(Content.from_markup(f"[@click=screen.preset('{name}')]{_(name)}[/]"))
        self.query_one("#presets", Static).update(Content("  ").join(words))

    def remember(self, settings: Settings) -> None:
        """Put the fields into the settings."""
        for name, text in self.texts().items():
            setattr(settings, name, text)

    def set_busy(self, is_busy: bool) -> None:
        """The button stops what it has started."""
        button = self.query_one("#go", Button)
        button.label, button.variant = (
            (_("Stop"), "error") if is_busy else (_("Generate"), "primary")
        )

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Entry).value.strip()
