"""Set up every test run."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

os.environ["KGPT_LANGUAGE"] = "en"  # whatever the language of whoever runs the tests

settings.register_profile("random", deadline=None)
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure() -> None:
    """Hear Ctrl-C, also where a shell started the tests in the background and had it ignored: tests send it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
