"""Fixtures of the workbench's tests: an empty folder of runs, an app over it, an engine without a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # read when Textual is imported

import fixture_runs  # noqa: E402
import pytest  # noqa: E402
from pilots import TRAINER, MakeApp, engine_command  # noqa: E402

from workbench.app import WorkbenchApp  # noqa: E402


@pytest.fixture(autouse=True)
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's settings are read or written, and no colour setting of the caller shows."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("KGPT_SAVED_MODELS", raising=False)
    monkeypatch.setenv("KGPT_DATA", str(tmp_path / "data"))
    return tmp_path / "config"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder of runs."""
    folder = tmp_path / "saved_models"
    folder.mkdir()
    return folder


@pytest.fixture
def make_app(root: Path) -> MakeApp:
    """Makes an app over `root` whose engine has the given manners and whose clock stands still."""

    def make(*manners: str, **options: Any) -> WorkbenchApp:
        options.setdefault("clock", lambda: fixture_runs.NOW)
        options.setdefault("poll_seconds", 0.15)
        options.setdefault("kgpt_command", TRAINER)
        return WorkbenchApp(root, engine_command=engine_command(*manners), **options)

    return make
