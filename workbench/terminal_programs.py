"""The user's editor and pager: a text in, the text that the editor left out. Knows no Textual."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kgpt.errors import KgptError
from kgpt.language import _


def edit(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text after `$VISUAL` or `$EDITOR` (else vi) had it; without the line's end that an editor adds.

    Raises:
        KgptError: the program is not there, or it failed: the text is as it was.
    """
    command = environment.get("VISUAL") or environment.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="kgpt-") as folder:
        file = Path(folder) / "prompt.md"
        file.write_text(text, encoding="utf-8")
        _run(command, file, "$EDITOR")
        edited = file.read_text(encoding="utf-8", errors="replace")
    return edited.removesuffix("\n") if not text.endswith("\n") else edited


def page(text: str, environment: Mapping[str, str] = os.environ) -> None:
    """Show a text in `$PAGER` (else less).

    Raises:
        KgptError: the program is not there, or it failed.
    """
    with tempfile.TemporaryDirectory(prefix="kgpt-") as folder:
        file = Path(folder) / "text.md"
        file.write_text(text, encoding="utf-8")
        _run(environment.get("PAGER") or "less", file, "$PAGER")


def _run(command: str, file: Path, variable: str) -> None:
    try:
        done = subprocess.run([*shlex.split(command), str(file)], check=False)
    except (OSError, ValueError) as error:
        raise KgptError(
            _("The program did not start"),
            f"{command}: {error}",
            _("Set {variable} to one that is there.", variable=variable),
        ) from None
    if done.returncode:
        raise KgptError(
            _("The program failed"),
            _(
                "{command} ended with exit code {returncode}.",
                command=command,
                returncode=done.returncode,
            ),
            _("Nothing was taken from it. Set {variable} to another one.", variable=variable),
        )
