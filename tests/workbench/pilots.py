"""What the workbench's tests share beside fixtures: the processes that stand in for others, and waiting."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.css.query import NoMatches
from textual.pilot import Pilot

from workbench.app import WorkbenchApp

FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")
TRAINER = (sys.executable, str(Path(__file__).with_name("fake_trainer.py")))

MakeApp = Callable[..., WorkbenchApp]


def engine_command(*manners: str) -> list[str]:
    """An engine without a model, with the given manners."""
    return [sys.executable, str(FAKE_ENGINE), *manners]


async def until(pilot: Pilot[Any], holds: Callable[[], object], seconds: float = 40.0) -> None:
    """Wait until something holds, and the widgets that it asks are there; fail when it never does."""
    for _ in range(int(seconds / 0.02)):
        with contextlib.suppress(NoMatches):
            if holds():
                await pilot.pause()
                return
        await pilot.pause(0.02)
    raise AssertionError("waited in vain")
