"""Renames and deletes runs, and writes notes into them.

In: a run folder. Out: the folder under another name, or no more; a line in `notes.jsonl`. A run that is being trained
is left alone: both hold its lock while they work. Knows no Textual.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from kgpt.errors import KgptError
from kgpt.files import append_json_line, disk_failure, remove
from kgpt.language import _
from kgpt.runs import RunFolder, new_run, owned
from workbench.launcher import output_file

MAX_NOTE = 500


def rename(folder: RunFolder, name: str) -> RunFolder:
    """Give a run another name.

    Raises:
        KgptError: the name is taken or cannot be one, or the run is being trained.
        KgptFailure: the folder cannot be renamed.
    """
    target = new_run(name, folder.path.parent)
    with owned(folder):
        _move(folder.path, target.path)
    output = output_file(folder.path.parent, folder.name)
    if output.exists():
        _move(output, output_file(folder.path.parent, name))
    return target


def delete(folder: RunFolder) -> None:
    """Remove a run with all that is in it: gone from the list at once, then from the disk.

    Raises:
        KgptError: the run is being trained.
        KgptFailure: the folder cannot be removed.
    """
    aside = folder.path.with_name(f".{folder.name}-{secrets.token_hex(4)}.old")
    with owned(folder):
        _move(folder.path, aside)
    remove(aside / folder.run_file.name)  # what is left if this process dies now is no run
    remove(aside)
    remove(output_file(folder.path.parent, folder.name))


def _move(path: Path, target: Path) -> None:
    try:
        os.rename(path, target)
    except OSError as error:
        raise disk_failure(error, path) from error


def notes_file(folder: RunFolder) -> Path:
    """The user's notes on a run, a JSON object with `step` and `text` a line."""
    return folder.path / "notes.jsonl"


def add_note(folder: RunFolder, step: int, text: str) -> None:
    """Note something about a step of a run.

    Raises:
        KgptError: there is nothing to note.
        KgptFailure: the file cannot be written.
    """
    text = " ".join(text.split())[:MAX_NOTE]
    if not text:
        raise KgptError(_("Empty note"), _("A note needs a few words."), "")
    append_json_line(notes_file(folder), {"step": step, "text": text})
