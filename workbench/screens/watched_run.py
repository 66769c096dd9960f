"""The run that is watched, and those drawn over it: which they are, how they look, what happened in them.

What can be done with them is here too; how they are drawn is the subclass's.
"""

from __future__ import annotations

from kgpt.language import _
from kgpt.runs import RunFolder
from workbench import housekeeping
from workbench.curves import XAxis
from workbench.events import Event, EventLook, events_of
from workbench.launcher import last_words
from workbench.palette import Look
from workbench.run_summary import RunSummary
from workbench.screens.curve_files import CurveFiles
from workbench.screens.dialogs import AskScreen


class WatchedRun(CurveFiles):
    """The chosen run, else the liveliest."""

    _last_words: tuple[tuple[str, str], list[str]] = (("", ""), [])

    @property
    def step_in_hand(self) -> int | None:
        """The step that a note is about; None for the run's last."""
        raise NotImplementedError

    @property
    def run(self) -> RunSummary | None:
        """The run that is watched: the chosen one, else the liveliest."""
        app = self.workbench
        return app.catalog.get(app.chosen_run or "") or app.default_run()

    @property
    def run_in_hand(self) -> RunSummary | None:
        """The run that is watched."""
        return self.run

    def overlaid_folders(self) -> list[RunFolder]:
        """The runs to draw over the one that is watched; those that are gone are passed over."""
        app, watched = self.workbench, self.run
        found = (app.catalog.get(name) for name in app.comparison.overlaid)
        return [
            RunFolder(run.path)
            for run in found
            if run is not None and not run.problem and run != watched
        ]

    def looks(self) -> dict[str, Look]:
        """How each run is drawn; empty for a run alone."""
        run, others = self.run, [folder.name for folder in self.overlaid_folders()]
        if run is None or not others:
            return {}
        app = self.workbench
        chosen = [name for name in app.comparison.overlaid if name in (*others, run.name)]
        looks = app.run_looks([*chosen, run.name])
        return {name: looks[name] for name in (run.name, *others)}

    def broken_steps(self) -> list[float]:
        """Where the loss of the watched run stopped being a number."""
        recording = self.workbench.follower.recording
        return [float(x) for x in recording.history.broken("step")] if recording else []

    def events(self) -> list[Event]:
        """What happened on the way of the watched run."""
        run, recording = self.run, self.workbench.follower.recording
        if run is None or recording is None:
            return events_of(run, ()) if run else []
        told = [*recording.notes, *recording.said]
        return events_of(run, self.broken_steps(), told)

    def marks(self, x_axis: XAxis) -> list[tuple[float, EventLook]]:
        """The same along the x axis."""
        recording = self.workbench.follower.recording
        if recording is None:
            return []
        history = recording.history
        places = [(history.x_of_step(event.step, x_axis), event.look) for event in self.events()]
        return [(x, look) for x, look in places if x is not None]

    def words_of_the_dead(self) -> list[str]:
        """What the trainer of a run that has failed printed last; read once."""
        run = self.run
        if run is None or run.state not in ("crashed", "failed"):
            return []
        if self._last_words[0] != (run.name, run.state):
            words = last_words(self.workbench.catalog.root, run.name)
            self._last_words = ((run.name, run.state), words)
        return self._last_words[1]

    # === Actions ===

    def action_overlay(self) -> None:
        """Keep this run on the chart when another is watched, or no longer."""
        if self.run is not None:
            name, comparison = self.run.name, self.workbench.comparison
            comparison.overlay(name)
            text = (
                _("{name} stays on the chart beside others.", name=name)
                if name in comparison.overlaid
                else _("{name} is drawn alone again.", name=name)
            )
            self.notify(text, timeout=3, markup=False)

    def action_pin(self) -> None:
        """Compare the others with this run."""
        if self.run is not None:
            comparison = self.workbench.comparison
            comparison.pin(self.run.name)
            text = _("Pinned: {pinned}", pinned=comparison.pinned or _("none"))
            self.notify(text, timeout=3, markup=False)

    def action_note(self) -> None:
        """Note something at the crosshair, or at the last step."""
        run = self.run
        if run is None or self.workbench.follower.recording is None:
            return
        step = self.step_in_hand or run.step or 0

        def note(text: str) -> None:
            housekeeping.add_note(RunFolder(run.path), step, text)

        dialog = AskScreen(
            _("note at step {step:,}", step=step), _("What is to be remembered of this step?")
        )
        self._ask(dialog, lambda text: self._try(lambda: note(text)))

    def action_other_run(self, direction: int) -> None:
        """Watch a neighbour of this run."""
        names = [run.name for run in self.workbench.catalog.summaries if not run.problem]
        run = self.run
        if run is not None and run.name in names:
            place = (names.index(run.name) + direction) % len(names)
            self.workbench.chosen_run = names[place]
            self.show_runs()

    def action_generate(self) -> None:
        """Write with this run."""
        if self.run is not None:
            self.workbench.open_run("generate", self.run.name)
