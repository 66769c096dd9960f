"""The command palette's entries: every action of the table of keys, every run, every checkpoint.

In: the app and the screen over which the palette was opened. Out: commands, nearest first: those of the widget with the
focus, of the screen, of everywhere, then those of the other screens, which are shown before they act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.app import SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen

from kgpt.language import _
from workbench import wording
from workbench.key import PLACE_TITLES, Key, Place
from workbench.screens.base import WorkbenchScreen

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp


def commands(app: WorkbenchApp, screen: Screen[Any]) -> Iterable[SystemCommand]:
    """All that can be done, in the order in which it is offered."""
    for place, act in _places(app, screen):
        for key in app.keys_of(place):
            if not (app.is_read_only and key.writes):
                title = f"{_(PLACE_TITLES[place])}: {_(key.help)}"
                yield SystemCommand(title, key.written, partial(act, key))
    if isinstance(screen, WorkbenchScreen):
        yield from _runs(app)


Act = Callable[[Key], Any]


def _places(app: WorkbenchApp, screen: Screen[Any]) -> Iterable[tuple[Place, Act]]:
    focused = screen.focused
    within = getattr(focused, "place", None)
    here = _places_of(screen)
    if focused is not None and within in PLACE_TITLES and within not in here:
        yield within, partial(_run, app, focused)
    for place in here:
        yield place, partial(_run, app, screen)
    yield "everywhere", partial(_run, app, app)
    if isinstance(screen, WorkbenchScreen):
        for mode in app.MODES:
            if mode not in here:
                yield cast(Place, mode), partial(_show_and_run, app, mode)


def _places_of(screen: Screen[Any]) -> list[Place]:
    """The places whose keys a screen hears, its own first: a question is a dialog too."""
    bindings = [each for kind in type(screen).__mro__ for each in vars(kind).get("BINDINGS", ())]
    names = [str(getattr(each, "id", "")).partition(".")[0] for each in bindings]
    return [name for name in dict.fromkeys(names) if name in PLACE_TITLES]


async def _run(app: WorkbenchApp, node: DOMNode, key: Key) -> None:
    await app.run_action(key.action, node)


async def _show_and_run(app: WorkbenchApp, mode: str, key: Key) -> None:
    app.complete_styles()
    await app.switch_mode(mode)
    app.call_after_refresh(_run, app, app.screen, key)


def _runs(app: WorkbenchApp) -> Iterable[SystemCommand]:
    for run in app.catalog.summaries:
        state = wording.look(run.state).word
        yield SystemCommand(
            _("Open run {name}", name=run.name), state, partial(app.open_run, "watch", run.name)
        )
        yield SystemCommand(
            _("Generate with {name}", name=run.name),
            state,
            partial(app.open_run, "generate", run.name),
        )
        for item in run.checkpoints:
            marks = [_("best")] * item.is_best + [_("last")] * item.is_last
            loss = _("validation {loss:.3f}", loss=item.validation_loss or float("nan"))
            yield SystemCommand(
                _("Load checkpoint {name} {step:,}", name=run.name, step=item.step),
                ", ".join([*marks, loss] if item.validation_loss is not None else marks),
                partial(app.load_checkpoint, run.name, str(item.step)),
            )
