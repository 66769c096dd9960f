"""What can be done with the run under the cursor, on the Runs screen and on the Watch screen alike.

Dialogs are imported with the first question: the first frame does not wait for them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from kgpt.errors import KgptError
from kgpt.language import _, ngettext
from workbench.screens.base import WorkbenchScreen

if TYPE_CHECKING:
    from workbench.run_summary import RunSummary


class RunActions(WorkbenchScreen):
    """Start, stop, resume, rename, delete. The subclass says which run is meant."""

    begun_run: str | None = None
    """A run that has been started here and is not in the list yet."""

    @property
    def run_in_hand(self) -> RunSummary | None:
        """The run that an action is about."""
        raise NotImplementedError

    def action_stop(self) -> None:
        """Ask, then have the trainer save and end; the second time, kill it."""
        run, launcher = self.run_in_hand, self.workbench.launcher
        if run is None:
            return
        from kgpt.runs import RunFolder
        from workbench.screens.dialogs import ConfirmScreen

        folder = RunFolder(run.path)
        try:
            launcher.check_trainer(folder)
        except KgptError as error:
            self.workbench.show_error(error)
            return
        ending = launcher.ending_of(folder)
        text = {
            "asked": _("It ends after this step and saves a checkpoint."),
            "killed": _(
                "It has been asked already. What it has learned since its last checkpoint is lost."
            ),
        }[ending]
        title = (
            _("kill {name}?", name=run.name)
            if ending == "killed"
            else _("stop {name}?", name=run.name)
        )

        def stop() -> None:
            done = launcher.stop(folder)
            said = (
                _("It saves a checkpoint and ends.")
                if done == "asked"
                else _("Its process was killed.")
            )
            self.notify(said, title=_("Stopping {name}", name=run.name), markup=False)

        self._ask(ConfirmScreen(title, text), lambda _answer: self._try(stop))

    def action_resume(self) -> None:
        """Go on with a run that has stopped, in a process of its own."""
        run = self.run_in_hand
        if run is None:
            return

        def resume() -> None:
            self.workbench.launcher.resume(run.name)
            self.notify(
                _("Loading Keras takes a few seconds."),
                title=_("Going on with {name}", name=run.name),
                markup=False,
            )

        self._try(resume)

    def action_rename(self) -> None:
        """Ask for another name, and give it."""
        run = self.run_in_hand
        if run is None:
            return

        from kgpt.runs import RunFolder
        from workbench import housekeeping
        from workbench.screens.dialogs import AskScreen

        def rename(name: str) -> None:
            housekeeping.rename(RunFolder(run.path), name)
            self.workbench.forget_run(run.name, name)

        dialog = AskScreen(_("rename {name}", name=run.name), _("Its new name:"), run.name)
        self._ask(dialog, lambda name: self._try(functools.partial(rename, name)))

    def action_delete(self) -> None:
        """Have the name typed, then delete."""
        run = self.run_in_hand
        if run is None:
            return
        from workbench.screens.dialogs import AskScreen

        text = ngettext(
            "{path} and its {count} checkpoint will be gone for good.\nType {name} to delete it.",
            "{path} and its {count} checkpoints will be gone for good.\nType {name} to delete it.",
            len(run.checkpoints),
            path=run.path,
            name=run.name,
        )

        def delete() -> None:
            self.workbench.runs.delete(run.name)

        dialog = AskScreen(_("delete {name}", name=run.name), text, expected=run.name)
        self._ask(dialog, lambda _answer: self._try(delete))

    def action_new(self) -> None:
        """Open the form of a new run."""
        from workbench.screens.new_run import NewRunScreen

        def begun(name: str) -> None:
            self.workbench.chosen_run = name
            self.begun_run = name
            self.notify(
                _("Loading Keras takes a few seconds."),
                title=_("Training {name}", name=name),
                markup=False,
            )

        self._ask(NewRunScreen(), begun)

    def _ask(self, dialog: Screen[Any], then: Callable[[Any], None]) -> None:
        self.app.push_screen(dialog, lambda answer: then(answer) if answer is not None else None)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except KgptError as error:
            self.workbench.show_error(error)
        self.workbench.runs.look_again()
