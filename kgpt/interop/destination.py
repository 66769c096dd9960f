"""Whether an export may go where the user wants it, fits there, and how large it became. Standard library only."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from kgpt.errors import KgptError
from kgpt.language import _


def check_destination(
    target: Path, overwrite: bool, is_replaceable: Callable[[Path], bool]
) -> None:
    """Raise a `KgptError` unless `target` is free, an empty folder, or an export that may be overwritten."""
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if is_replaceable(target):
        if overwrite:
            return
        message, hint = _("holds an earlier export"), _("Add --overwrite to replace it, or choose")
    else:
        message, hint = _("is there already, and is no export of this format"), "Choose"
    raise KgptError(
        _("Output exists"), f"{target} {message}.", _("{hint} another --output.", hint=hint)
    )


def check_room(folder: Path, size: int) -> None:
    """Raise an `OSError` unless `size` more bytes fit into `folder`: for writers that do not survive a full disk."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if hasattr(os, "posix_fallocate"):  # which also meets a quota, and a limit on the size of files
        probe = folder / ".room"
        with open(probe, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        probe.unlink()


def size_in_bytes(path: Path) -> int:
    """Size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())
