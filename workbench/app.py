"""The workbench: six screens over one catalog, one follower and one playground.

In: the folder of the runs. Out: the user's evening. Long-lived work belongs to the app, so that it survives a change
of screen; workers only post messages, and every change of a widget happens in a message's handler.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from kgpt.errors import KgptError
from kgpt.language import _
from workbench import parts, settings
from workbench.comparison import Comparison
from workbench.modals import ModalApp
from workbench.screens.base import WorkbenchScreen
from workbench.screens.runs import RunsScreen
from workbench.services import News
from workbench.stylesheet import KeptStylesheet
from workbench.widgets.bindings import bindings_of

if TYPE_CHECKING:  # the first frame waits for nothing that it does not show
    from workbench.palette import Look
    from workbench.preferences import Preferences
    from workbench.run_summary import RunSummary

SWITCH_SECONDS = 0.0005
"""How long a thread that parses a long file may keep the interpreter from answering a key."""

SHOWN_BY: dict[News, str] = {
    "catalog": "show_runs",
    "recording": "show_recording",
    "playground": "show_playground",
    "attention": "show_attention",
    "corpora": "show_corpora",
    "tokenizers": "show_tokenizers",
    "machine": "show_machine",
}
"""The method of a screen that draws what has changed."""


def _later(module: str, name: str) -> Callable[[], Screen[Any]]:
    """A screen that is imported when it is first shown: numpy and the chart alone take 0.2 s."""

    def make() -> Screen[Any]:
        from importlib import import_module

        screen: Screen[Any] = getattr(import_module(f"workbench.screens.{module}"), name)()
        return screen

    return make


class Changed(Message):
    """Something that is read in the background has changed; one that waits already stands for all of its kind."""

    def __init__(self, what: News) -> None:
        super().__init__()
        self.what = what

    def can_replace(self, message: Message) -> bool:
        """The newest says it all."""
        return isinstance(message, Changed) and message.what == self.what


class Commands(NamedTuple):
    """What runs the engine and kgpt's commands; empty for this Python's."""

    engine: Sequence[str] = ()
    kgpt: Sequence[str] = ()


class WorkbenchApp(ModalApp):
    """See `workbench.main` for the command line."""

    TITLE = "kgpt"
    CSS_PATH = Path(__file__).with_name("workbench.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("everywhere")]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "runs": RunsScreen,
        "watch": _later("watch", "WatchScreen"),
        "generate": _later("generate", "GenerateScreen"),
        "attention": _later("attention", "AttentionScreen"),
        "data": _later("data", "DataScreen"),
        "system": _later("system", "SystemScreen"),
    }
    DEFAULT_MODE = "runs"

    kgpt_command = cached_property(parts.kgpt_command)
    data_folder = cached_property(parts.data_folder)
    launcher = cached_property(parts.launcher)
    catalog = cached_property(parts.catalog)
    follower = cached_property(parts.follower)
    crowd = cached_property(parts.crowd)
    playground = cached_property(parts.playground)
    attention = cached_property(parts.attention)
    labelling = cached_property(parts.labelling)
    bench = cached_property(parts.bench)
    runs = cached_property(parts.runs)
    exports = cached_property(parts.exports)
    writing = cached_property(parts.writing)
    studies = cached_property(parts.studies)
    data = cached_property(parts.data)
    machine = cached_property(parts.machine)
    device = cached_property(parts.device)

    def __init__(
        self,
        root: Path,
        *,
        run_name: str | None = None,
        settings_path: Path | None = None,
        state_path: Path | None = None,
        is_read_only: bool = False,
        preferences: Preferences | None = None,
        preferences_path: Path | None = None,
        engine_command: Sequence[str] = (),
        kgpt_command: Sequence[str] = (),
        poll_seconds: float | None = None,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(preferences, preferences_path, is_read_only)
        self.stylesheet = KeptStylesheet(variables=self.get_css_variables())
        self.root = root
        self.clock, self.stopwatch = clock, stopwatch
        self.commands = Commands(engine_command, kgpt_command)
        self.poll_seconds = poll_seconds or float(self.preferences["refresh"])
        self.settings_path = settings_path
        self.settings = settings.load(settings_path) if settings_path else settings.Settings()
        self.state_path = state_path
        """The folder of what is remembered without being asked to."""
        self.comparison = Comparison(
            self.settings.overlaid, self.settings.pinned, partial(self.tell, "catalog")
        )
        self.chosen_run = run_name
        self.chosen_checkpoint: str | None = None
        """What the Generate screen is to turn to."""
        self._has_all_styles = False
        self._first_mode = "watch" if run_name else "runs"

    # === Life ===

    def on_load(self) -> None:
        """The colours, before any style is read: what is styled twice takes twice as long to show."""
        self.set_out(self.settings.theme)

    def on_mount(self) -> None:
        """The work in the background."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self.theme_changed_signal.subscribe(self, lambda _: self._restyle())
        if self._first_mode != "runs":
            self.complete_styles()
            self.switch_mode(self._first_mode)

    def on_ready(self) -> None:
        """From now on the screen is drawn; the rest waits until it has been."""
        self._screen_stacks["runs"][0].call_after_refresh(self._begin_work)

    async def _begin_work(self) -> None:
        self.say_problems()
        self.writing.recall_history()
        self.in_background(self.runs.follow, "catalog")
        self.in_background(self.follower.run, "follower")
        runs_screen = self._screen_stacks["runs"][0]
        if isinstance(runs_screen, RunsScreen):
            await runs_screen.furnish()

    def adjust_work(self) -> None:
        """Another pace; the engine begins anew with its next request, on the device that was chosen."""
        self.poll_seconds = float(self.preferences["refresh"])
        for reader in (self.runs, self.follower, self.crowd):
            reader.poll_seconds = self.poll_seconds
        engine = self.playground.engine
        if engine.environment != self.device.environment:
            engine.environment = self.device.environment
            self.in_background(engine.kill, "engine")

    def complete_styles(self) -> None:
        """Read the styles of the other screens."""
        if not self._has_all_styles:
            self._has_all_styles = True
            self.stylesheet.read(Path(__file__).with_name("screens.tcss"))
            self.stylesheet.parse()
            self.stylesheet.update(self)

    def _restyle(self) -> None:
        from workbench.widgets.run_table import RunTable

        for stack in self._screen_stacks.values():
            for screen in stack:
                for table in screen.query(RunTable):
                    table.restyle()
        self.tell("catalog")

    async def on_unmount(self) -> None:
        """Engine and exports go with the workbench, trainers stay; what was set and written is kept."""
        await self.exports.close()
        await self.crowd.close()
        await self.writing.close()
        self._write_title("")
        if self.settings_path and not self.is_read_only:
            self.settings.theme = self.theme
            self.settings.overlaid = " ".join(self.comparison.overlaid)
            self.settings.pinned = self.comparison.pinned or ""
            try:
                settings.save(self.settings_path, self.settings)
            except (OSError, KgptError) as error:
                self.log.error(error)

    # === What services need of it ===

    def in_background(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        """Do some work for as long as the app lives; errors are the work's own to tell."""
        self.run_worker(work, group=group, exit_on_error=False)

    def tell(self, news: News) -> None:
        """Have the screen that shows it draw it again."""
        self.post_message(Changed(news))

    def on_changed(self, event: Changed) -> None:
        """Hand the news to the screen that shows it."""
        show = SHOWN_BY[event.what]
        for screen in self.screen_stack:
            if isinstance(screen, WorkbenchScreen) and hasattr(screen, show) and screen.is_mounted:
                getattr(screen, show)()

    def tell_damage(self, error: Exception) -> None:
        """Note an error that the user can do nothing about."""
        self.log.error(error)

    def show_error(self, error: KgptError) -> None:
        """A toast with what happened and what to do; `E` shows all of it."""
        self.last_error = error, self.playground.engine.log_tail(20)
        text = "\n".join(line for line in (error.message, error.hint) if line)
        self.notify(text, title=error.title, severity="error", timeout=12, markup=False)

    def announce(self, text: str, title: str, is_bad: bool = False) -> None:
        """Say what has happened."""
        severity = "error" if is_bad else "information"
        self.notify(text, title=title, severity=severity, markup=False)  # type: ignore[arg-type]

    def ring(self, run: RunSummary) -> None:
        """Call somebody who is at another window: a run has ended."""
        from workbench import wording

        look = wording.look(run.state)
        self.bell()
        self._write_title(f"{look.dot} {run.name} {look.word}")

    def _write_title(self, text: str) -> None:
        """Put a text into the title of the terminal's window."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(f"\033]2;{text or self.TITLE}\007")

    # === What the screens share ===

    def default_run(self) -> RunSummary | None:
        """The run to watch when none was chosen: a live one, else the newest."""
        readable = [run for run in self.catalog.summaries if not run.problem]
        return max(readable, key=lambda run: (run.is_live, run.updated), default=None)

    def open_run(self, mode: str, name: str) -> None:
        """Show a run on another screen."""
        self.chosen_run = name
        self.action_show(mode)

    def load_checkpoint(self, name: str, checkpoint: str) -> None:
        """Show the Generate screen with one checkpoint of a run chosen."""
        self.chosen_checkpoint = checkpoint
        self.open_run("generate", name)

    def forget_run(self, name: str, new_name: str | None = None) -> None:
        """A run has another name now, or is gone."""
        self.comparison.forget(name, new_name)
        self.chosen_run = new_name if self.chosen_run == name else self.chosen_run

    def run_looks(self, names: Iterable[str]) -> dict[str, Look]:
        """How runs that are drawn together look on this theme."""
        from workbench.palette import looks

        return looks(names, self.current_theme.dark)

    def copy(self, text: str, what: str) -> None:
        """Copy through the terminal (OSC 52), which works over SSH too."""
        self.copy_to_clipboard(text)
        self.notify(_("Copied {what}.", what=what), timeout=3, markup=False)

    def copy_run_path(self, name: str | None) -> None:
        """Copy the path of a run."""
        run = self.catalog.get(name or "")
        if run:
            self.copy(str(run.path.resolve()), str(run.path))

    @property
    def unfinished(self) -> Sequence[str]:
        """Where exports go that are at work."""
        return [str(item.order.output) for item in self.exports.at_work]

    # === Actions ===

    def action_show(self, mode: str) -> None:
        """Bring a screen to the front."""
        if len(self.screen_stack) == 1 and mode != self.current_mode:
            self.complete_styles()
            self.switch_mode(mode)

    async def action_back(self) -> None:
        """One step back, in the end to the runs; it never leaves."""
        screen = self.screen
        if isinstance(screen, WorkbenchScreen) and not screen.go_back():
            self.action_show("runs")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: every action of the table, every run and checkpoint, and what Textual brings."""
        from workbench.commands import commands

        for command in super().get_system_commands(screen):
            is_writing = self.is_read_only and command.title == "Screenshot"
            if not is_writing and command.title != "Theme":  # T shows them as one chooses
                yield SystemCommand(_(command.title), _(command.help), command.callback)
        yield from commands(self, screen)
