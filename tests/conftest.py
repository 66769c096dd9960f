"""Set up every test run."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Hear Ctrl-C, also where a shell started the tests in the background and had it ignored: tests send it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
