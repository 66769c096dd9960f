"""Standard input as a source: copied to a temporary file once, so that it can be read as often as a file.

In: `-`, or `-.jsonl`, `-.csv.gz` and so on, which say what comes in. Out: a `Source` that knows the content's sha256.
The copy is removed when the process ends.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from kgpt.errors import KgptError
from kgpt.files import disk_failure
from kgpt.language import _
from kgpt.text.formats.kinds import Format, advice, format_of
from kgpt.text.formats.reading import Source

_BLOCK = 1 << 20


def copy_of(name: str) -> Source:
    """Standard input, in the format that the name says; text by default.

    Raises:
        KgptError: the format is unknown, or there is no standard input.
        KgptFailure: the disk is full.
    """
    found = Format("text") if name == "-" else format_of(name)
    if found is None:
        raise KgptError(
            _("Source not readable"),
            _("Expected a known format after -. Received: {name}", name=name),
            advice(name),
        )
    path, sha256 = _copy()
    return Source(name, found.kind, found.compression, path, sha256)


@functools.cache
def _copy() -> tuple[Path, str]:
    """The file that holds all of standard input, and its sha256."""
    if sys.stdin is None:
        raise KgptError(
            _("No standard input"), _("It is closed."), _("Pipe a text into the command.")
        )
    number, name = tempfile.mkstemp(prefix="kgpt-stdin-")
    atexit.register(_remove, name, os.getpid())
    digest = hashlib.sha256()
    try:
        with open(number, "wb") as file:
            while block := sys.stdin.buffer.read(_BLOCK):
                file.write(block)
                digest.update(block)
    except OSError as error:
        _remove(name, os.getpid())
        raise disk_failure(
            error, Path(name), _("Free some space, or set TMPDIR to a folder on another disk.")
        ) from error
    return Path(name), digest.hexdigest()


def _remove(name: str, process: int) -> None:
    if os.getpid() == process:  # and not a child that a fork made
        with suppress(OSError):
            os.unlink(name)
