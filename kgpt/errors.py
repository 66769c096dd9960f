"""Errors meant for people: what happened, what was expected and received, and what to do next.

Every mistake that a user can make ends in a `KgptError`. A command prints its three lines and exits with
`exit_code`; the workbench shows title and message; the engine sends them as an `error` line.
"""

from __future__ import annotations


class KgptError(Exception):
    """A mistake of the caller: an argument, a file, a run that is not what was expected (exit code 2)."""

    exit_code = 2

    def __init__(self, title: str, message: str, hint: str = "") -> None:
        super().__init__(title, message, hint)
        self.title = title
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return "\n".join(line for line in (self.title, self.message, self.hint) if line)


class KgptFailure(KgptError):
    """A failure that the caller did not cause, such as a full disk or a lost file (exit code 1)."""

    exit_code = 1
