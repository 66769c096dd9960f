"""Screen 3: a prompt, a model, and what it makes of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Button, OptionList, Select

from kgpt.errors import KgptError
from kgpt.files import append_json_line
from kgpt.language import _, ngettext
from workbench import terminal_programs
from workbench.generations import Generation, Target, neighbour, options_dict
from workbench.sampling_fields import texts_of
from workbench.screens.base import WorkbenchScreen
from workbench.widgets.bindings import bindings_of
from workbench.widgets.history import History
from workbench.widgets.label_bars import LabelBars
from workbench.widgets.options_form import OptionsForm
from workbench.widgets.output import VIEWS, Output
from workbench.widgets.prompt import Kind, Prompt
from workbench.widgets.token_details import TokenDetails

FRAME_SECONDS = 1 / 20
"""Tokens that come faster than this are drawn together."""
LABEL_SECONDS = 0.25
"""Without a key for so long, a text is labelled."""
SAVED = "generations.jsonl"
"""In a run's folder: the texts that the user saved, beside the trainer's own samples.jsonl."""


class GenerateScreen(WorkbenchScreen):
    """Prompt and output on the left, options and history on the right."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("generate")]
    AUTO_FOCUS = "#prompt"
    place = "generate"

    def compose_body(self) -> ComposeResult:
        """Two columns."""
        with Horizontal(id="generate-body"):
            with Vertical(id="writing"):
                yield Prompt()
                yield Output()
                yield LabelBars()
            with Vertical(id="side"):
                yield OptionsForm(self.workbench.settings)
                yield History()

    def on_mount(self) -> None:
        """Titles, and the clock that redraws while something is under way."""
        self._shown: Generation | None = None
        self._is_due = True
        self._run_shown: str | None = None
        self._recalled: int | None = None
        self._draft = ""
        self._is_fresh = False
        self._put_back: Generation | None = None
        self._label_timer: Timer | None = None
        self.query_one(LabelBars).display = False
        output = self.query_one(Output)
        output.border_title = _("output")
        output.view = self.workbench.settings.view
        self.query_one("#form").border_title = _("model")
        self.set_interval(FRAME_SECONDS, self._draw_if_due)

    # === Showing ===

    def show_runs(self) -> None:
        """Offer the runs, choose the one that the user comes from, and warm the engine up."""
        self.show_note()
        form = self.query_one(OptionsForm)
        form.show_runs(self.workbench.catalog.summaries)
        wanted = self.workbench.chosen_run
        if wanted and wanted != self._run_shown:
            form.choose_run(wanted)
            self._run_shown = wanted
        if checkpoint := self.workbench.chosen_checkpoint:
            self.workbench.chosen_checkpoint = None
            form.choose_checkpoint(checkpoint)
        if self.is_current:
            self._warm_up()
        self._show_kind()
        self.show_playground()

    @property
    def kind(self) -> Kind:
        """What the chosen run makes of a text."""
        run = self.query_one(OptionsForm).run
        if run is None:
            return "text"
        return "labels" if run.is_classifier else "chat" if run.answers else "text"

    def _show_kind(self) -> None:
        kind = self.kind
        self.query_one(Prompt).call_for(kind)
        self.query_one(Output).display = kind != "labels"
        self.query_one(LabelBars).display = kind == "labels"

    def _warm_up(self) -> None:
        target = self.query_one(OptionsForm).target
        if target is not None:
            self.workbench.warm_up(target)

    def show_playground(self) -> None:
        """Something has changed: draw it with the next frame."""
        self._is_due = True

    def _draw_if_due(self) -> None:
        playground = self.workbench.playground
        if not self.is_current or not (self._is_due or playground.is_busy or playground.stage):
            return
        self._is_due = False
        shown = self.shown
        if self.kind == "labels":
            self.query_one(LabelBars).show(self.workbench.labelling, playground.stage)
        if shown and shown.messages and shown.state == "failed" and shown is not self._put_back:
            self._put_back = shown  # what was written is not lost
            if not self.query_one(Prompt).text:
                self.query_one(Prompt).put(shown.prompt)
        self.query_one(Output).show(playground.pair(shown) if shown else (), playground)
        self.query_one(History).show(playground.history, shown)
        self.query_one(OptionsForm).set_busy(playground.is_busy)

    @property
    def shown(self) -> Generation | None:
        """The generation that is looked at: one that was recalled, else what was asked for last."""
        if self._is_fresh:
            return None
        playground = self.workbench.playground
        current = playground.current
        is_remembered = current is not None and not current.request_id
        return self._shown or (None if is_remembered else current)

    def _show(self, generation: Generation) -> None:
        """Look at a generation, with its prompt ready to be asked again."""
        self._shown, self._is_fresh = generation, False
        if not generation.messages:
            self.query_one(Prompt).put(generation.prompt)
        self.show_playground()

    # === Events ===

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another model: load it while the user is still writing."""
        form = self.query_one(OptionsForm)
        if event.select.id == "run" and form.run:
            self.workbench.chosen_run = self._run_shown = form.run.name
        self._show_kind()
        self._warm_up()
        self._label()
        self.show_playground()

    def on_text_area_changed(self) -> None:
        """A classifier says what it thinks as one types."""
        if self._label_timer is not None:
            self._label_timer.stop()
        self._label_timer = self.set_timer(LABEL_SECONDS, self._label)

    def _label(self) -> None:
        target, text = self.query_one(OptionsForm).target, self.query_one(Prompt).text
        if self.kind != "labels" or target is None:
            return
        if text.strip():
            self.workbench.label(target, text)
        else:
            self.workbench.labelling.forget()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The one button does and undoes."""
        self.workbench.stop_writing() if self.workbench.playground.is_busy else self.action_generate()

    def on_input_submitted(self) -> None:
        """Enter in a field writes."""
        self.action_generate()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Show a generation of before, and take its prompt and options."""
        generation = self.workbench.playground.get(int(event.option.id or 0))
        if generation:
            self._show(generation)

    def on_prompt_recall(self, event: Prompt.Recall) -> None:
        """Walk through the prompts of before; past the newest waits what was being written."""
        prompts = list(dict.fromkeys(item.prompt for item in self.workbench.playground.history))
        prompt = self.query_one(Prompt)
        if self._recalled is None:
            if event.direction > 0 or not prompts:
                return
            self._draft, self._recalled = prompt.text, len(prompts)
        self._recalled = max(0, self._recalled + event.direction)
        if self._recalled >= len(prompts):
            self._recalled = None
            prompt.put(self._draft)
        else:
            prompt.put(prompts[self._recalled])

    def on_token_details_taken(self, event: TokenDetails.Taken) -> None:
        """Go on from a token with another one in its place."""
        self._branch(event)

    # === Writing ===

    def action_generate(self) -> None:
        """Continue the prompt."""
        self._write()

    def action_again(self) -> None:
        """The same prompt with another seed; of a conversation, the last message once more."""
        shown = self.shown
        if self.kind == "chat" and shown is not None and shown.messages:
            self._shown = self.workbench.playground.get(shown.parent)
            self._is_fresh = self._shown is None
            self.query_one(Prompt).put(shown.prompt)
        self._write(seed=random.randrange(2**31))

    def _write(self, seed: int | None = None) -> None:
        form, prompt = self.query_one(OptionsForm), self.query_one(Prompt).text
        kind = self.kind
        if kind == "labels":
            self._label()
            return
        if kind == "chat" and not prompt.strip():
            self.notify(_("Write a message first."), timeout=3)
            return
        try:
            options, count = form.options(), form.num_samples()
        except KgptError as error:
            self.workbench.show_error(error)
            return
        if seed is not None:
            options = replace(options, seed=seed)
        target = form.target
        if self._may_write(target) and target is not None:
            form.remember(self.workbench.settings)
            before = self._conversation(target) if kind == "chat" else None
            self._shown, self._recalled, self._is_fresh = None, None, False
            second = form.second_target
            if second and options.seed is None:  # two models are compared on one seed
                options = replace(options, seed=random.randrange(2**31))
            self._shown = self.workbench.write(
                target, prompt, options, second, count, before, is_answer=kind == "chat"
            )
            if kind == "chat":
                self.query_one(Prompt).put("")

    def _conversation(self, target: Target) -> Generation | None:
        """The conversation that goes on: the one that is shown, with this run, as far as it was answered."""
        shown = self.shown
        if shown is None or not shown.messages or shown.target.run != target.run:
            return None
        return shown if shown.text else self.workbench.playground.get(shown.parent)

    def action_reset(self) -> None:
        """Begin anew; what was said stays in the history."""
        if not self.workbench.playground.is_busy:
            self._shown, self._is_fresh = None, True
            self.query_one(Prompt).put("")
            self.query_one(Prompt).focus()
            self.show_playground()

    def _may_write(self, target: Target | None) -> bool:
        if target is None:
            message = _("Train one first: kgpt-train. It appears here by itself.")
            self.notify(
                message, title=_("There is no checkpoint to write with"), severity="warning"
            )
        elif self.workbench.playground.is_busy:
            self.notify(_("esc stops it."), title=_("It is still writing"), severity="warning")
        else:
            return True
        return False

    def _branch(self, taken: TokenDetails.Taken) -> None:
        try:
            options = self.query_one(OptionsForm).options()
        except KgptError as error:
            self.workbench.show_error(error)
            return
        if taken.generation.messages:
            self.notify(_("An answer has no branches: ask again, with ctrl+r."), timeout=4)
            return
        if self._may_write(taken.generation.target):
            branch = self.workbench.write_branch(
                taken.generation, taken.place, taken.token, options
            )
            self._show(branch)
            self.query_one(Output).query_one("#tokens").focus()

    def action_stop(self) -> None:
        """Stop writing; when nothing is written, one step back."""
        focused = self.focused
        if self.workbench.playground.is_busy:
            self.workbench.stop_writing()
        elif focused is not None and focused.id == "alternatives":
            self.query_one(Output).pane_in_use.tokens.focus()
        elif focused is not None and focused.id != "history":
            self.query_one(History).focus()
        else:
            self.workbench.action_show("runs")

    # === The text that is shown ===

    def _shown_text(self) -> Generation | None:
        """The generation that is looked at: of two side by side, the one with the focus."""
        return self.query_one(Output).generation_in_use or self.shown

    def action_extend(self) -> None:
        """Take the text into the prompt, to go on from there."""
        generation = self._shown_text()
        if generation and not generation.is_active and not generation.messages:
            prompt = self.query_one(Prompt)
            prompt.put(generation.prompt + generation.text)
            prompt.focus()

    def action_copy(self) -> None:
        """Copy what was written."""
        generation = self._shown_text()
        if generation:
            self.workbench.copy(generation.whole, _("the text"))

    def action_save(self) -> None:
        """Append the text to a file in its run's folder."""
        generation = self._shown_text()
        if generation is None or generation.is_active:
            self.notify(_("There is no finished text to save."), severity="warning")
        elif self.workbench.is_read_only:
            self.notify(_("The workbench was opened with --read-only."), severity="warning")
        else:
            self._save(generation)

    def _save(self, generation: Generation) -> None:
        file = generation.target.run / SAVED
        row = {
            "step": generation.target.step,
            "prompt": generation.prompt,
            "text": generation.text,
            "tokens": generation.tokens,
            **({"messages": generation.messages} if generation.messages else {}),
            **options_dict(generation.options),
        }
        try:
            append_json_line(file, row)
        except KgptError as error:
            self.workbench.show_error(error)
            return
        message = ngettext(
            "Saved {count:,} token to {file}",
            "Saved {count:,} tokens to {file}",
            generation.tokens,
            file=file,
        )
        self.notify(message, timeout=5, markup=False)

    def action_pager(self) -> None:
        """Read the text in the pager."""
        generation = self._shown_text()
        if generation:
            text = generation.whole
            self._outside(lambda: terminal_programs.page(text))

    def action_editor(self) -> None:
        """Write the prompt in the editor."""
        prompt = self.query_one(Prompt)

        def edit() -> None:
            prompt.put(terminal_programs.edit(prompt.text))

        self._outside(edit)

    def _outside(self, work: Callable[[], None]) -> None:
        """Do something with the terminal to itself."""
        try:
            with self.app.suspend():
                work()
        except SuspendNotSupported:
            self.notify(_("This terminal cannot be lent to another program."), severity="warning")
        except KgptError as error:
            self.workbench.show_error(error)
        self.refresh()

    # === Around it ===

    def action_edit(self) -> None:
        """Back to the prompt."""
        self.query_one(Prompt).focus()

    def action_recall(self, direction: int) -> None:
        """The generation before or after the one that is shown."""
        history = self.workbench.playground.history
        if history:
            shown = self.shown
            place = history.index(shown) + direction if shown in history else len(history) - 1
            self._show(history[max(0, min(place, len(history) - 1))])

    def action_walk(self, where: Literal["up", "down", "before", "after"]) -> None:
        """Through the tree of texts and their branches."""
        shown = self.shown
        found = neighbour(self.workbench.playground.history, shown, where) if shown else None
        if found:
            self._show(found)
        else:
            self.notify(_("There is none."), timeout=2)

    def action_next_view(self) -> None:
        """Text, tokens, heat."""
        view = self.query_one(Output).view
        self.action_view(VIEWS[(VIEWS.index(view) + 1) % len(VIEWS)])

    def action_view(self, view: str) -> None:
        """See the same output in another way; whoever writes a prompt goes on writing it."""
        output = self.query_one(Output)
        output.view = self.workbench.settings.view = view
        self._is_due = True
        self._draw_if_due()
        if view != "text" and not self.query_one(Prompt).has_focus:
            output.pane_in_use.tokens.focus()

    def action_compare(self) -> None:
        """A second model, beside the first; or the first alone."""
        form = self.query_one(OptionsForm)
        form.is_comparing = not form.is_comparing

    def action_more_options(self) -> None:
        """Unfold all sampling options, or fold them."""
        form = self.query_one(OptionsForm)
        form.shows_more = not form.shows_more

    def action_preset(self, name: str) -> None:
        """How to choose among the tokens, in a word."""
        self.query_one(OptionsForm).use_preset(name)

    def action_look(self) -> None:
        """See what the model looked at in the text that is shown."""
        generation = self._shown_text()
        if generation and not generation.is_active:
            study = self.workbench.attention
            study.open(generation.target, generation.whole)
            self.workbench.action_show("attention")

    def action_reuse(self) -> None:
        """Put the options of the text that is shown into the form."""
        generation = self._shown_text()
        if generation:
            form = self.query_one(OptionsForm)
            form.fill(texts_of(generation.options))
