"""What can be done with a text that a model wrote: go on from it, copy, keep, read it elsewhere, look into it."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import SuspendNotSupported

from kgpt.errors import KgptError
from kgpt.language import _, ngettext
from workbench import saved_texts, terminal_programs
from workbench.generations import Generation
from workbench.sampling_fields import texts_of
from workbench.screens.base import WorkbenchScreen
from workbench.widgets.options_form import OptionsForm
from workbench.widgets.prompt import Prompt


class TextActions(WorkbenchScreen):
    """Over a prompt and a form of options. The subclass says which text is meant."""

    @property
    def text_in_hand(self) -> Generation | None:
        """The generation that an action is about."""
        raise NotImplementedError

    def action_extend(self) -> None:
        """Take the text into the prompt, to go on from there."""
        generation = self.text_in_hand
        if generation and not generation.is_active and not generation.messages:
            prompt = self.query_one(Prompt)
            prompt.put(generation.prompt + generation.text)
            prompt.focus()

    def action_copy(self) -> None:
        """Copy what was written."""
        generation = self.text_in_hand
        if generation:
            self.workbench.copy(generation.whole, _("the text"))

    def action_save(self) -> None:
        """Append the text to a file in its run's folder."""
        generation = self.text_in_hand
        if generation is None or generation.is_active:
            self.notify(_("There is no finished text to save."), severity="warning")
        elif self.workbench.is_read_only:
            self.notify(_("The workbench was opened with --read-only."), severity="warning")
        else:
            self._save(generation)

    def _save(self, generation: Generation) -> None:
        try:
            file = saved_texts.save(generation)
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
        generation = self.text_in_hand
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

    def action_look(self) -> None:
        """See what the model looked at in the text."""
        generation = self.text_in_hand
        if generation and not generation.is_active:
            study = self.workbench.attention
            study.open(generation.target, generation.whole)
            self.workbench.action_show("attention")

    def action_reuse(self) -> None:
        """Put the options of the text into the form."""
        generation = self.text_in_hand
        if generation:
            self.query_one(OptionsForm).fill(texts_of(generation.options))
