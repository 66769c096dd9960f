"""Where an export goes: checked first, written beside its place, renamed into it when it is whole.

In: the path that the user gave. Out: a path to write to; what was there before stays until the new one is complete.
Standard library only.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kgpt.errors import KgptError, KgptFailure


def check_destination(
    target: Path, overwrite: bool, is_replaceable: Callable[[Path], bool]
) -> None:
    """Raise a `KgptError` unless `target` is free, an empty folder, or an export that may be overwritten."""
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if is_replaceable(target):
        if overwrite:
            return
        message, hint = "holds an earlier export", "Add --overwrite to replace it, or choose"
    else:
        message, hint = "is there already, and is no export of this format", "Choose"
    raise KgptError("Output exists", f"{target} {message}.", f"{hint} another --output.")


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A path beside `target` for a file or folder, renamed to `target` when the block ends, removed when it fails.

    Raises:
        KgptFailure: the disk is full, or the place cannot be written.
    """
    target = Path(os.path.realpath(target))
    aside = target.with_name(f".{target.stem}-{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _rename(aside, target)
    except OSError as error:
        raise _failure(error, target) from error
    finally:
        _remove(aside)


def size_in_bytes(path: Path) -> int:
    """Size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def _rename(aside: Path, target: Path) -> None:
    if not target.is_dir():
        os.replace(aside, target)
        return
    before = aside.with_name(f"{aside.name}.before")
    os.rename(target, before)
    try:
        os.rename(aside, target)
    except OSError:
        os.rename(before, target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _failure(error: OSError, target: Path) -> KgptFailure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return KgptFailure(
            "No space left on the disk",
            f"Could not write {target}. Nothing half-made was left.",
            "Free some space, or choose an --output on another disk.",
        )
    return KgptFailure(
        "Cannot write",
        f"{target}: {error.strerror or error}",
        "Check the folder and its permissions, or choose another --output.",
    )
