"""Files and folders that are there whole or not at all: atomic writes, JSON that every reader accepts, JSON lines.

Writers raise a `KgptFailure` where the disk is full; readers accept half-written last lines and missing files.
Standard library only.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kgpt.errors import KgptFailure
from kgpt.language import N_, _


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write aside, sync, rename: a reader sees the old content or the new, and a full disk keeps the old.

    Raises:
        KgptFailure: the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise disk_failure(error, path) from error


def remove_leftovers(folder: Path, of: str = "") -> None:
    """Remove what killed processes left of files they were writing (those whose names begin with `of`).

    For whoever alone may write them: what another process is writing at the moment would be lost.
    """
    for path in folder.glob(f".{of}*.tmp"):
        remove(path)


@contextmanager
def written_aside(
    target: Path, hint: str = N_("Free some space, or choose an --output on another disk.")
) -> Iterator[Path]:
    """A path beside `target` for a file or folder, renamed to `target` when the block ends, removed when it fails.

    `hint` is for a full disk.

    Raises:
        KgptFailure: the disk is full, or the place cannot be written.
    """
    target = Path(os.path.realpath(target))
    aside = target.with_name(f".{target.stem}-{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        put_in_place(aside, target)
    except OSError as error:
        raise disk_failure(error, target, hint) from error
    finally:
        remove(aside)


def put_in_place(new: Path, target: Path) -> None:
    """Rename `new`, beside `target`, to `target`; an older folder there goes only once the new one is in place."""
    if not target.is_dir():
        os.replace(new, target)
        return
    old = target.with_name(f".{target.name}-{secrets.token_hex(4)}.old")
    os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, as far as that is possible."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def disk_failure(
    error: OSError, path: Path, hint: str = N_("Free some space, then continue with --resume.")
) -> KgptFailure:
    """The `KgptFailure` that tells a user what an `OSError` while writing `path` means; `hint` is for a full disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = _("Could not write {path}. What was saved before is untouched.", path=path)
        return KgptFailure(_("No space left on the disk"), message, _(hint))
    return KgptFailure(
        _("Cannot write"),
        f"{path}: {error.strerror or error}",
        _("Check the folder and its permissions."),
    )


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as JSON; numbers that are not finite become null."""
    write_atomically(
        path, json.dumps(json_safe(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`, or an empty one where the file is missing or unreadable."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def json_safe(value: Any) -> Any:
    """`value` with every number that JSON cannot hold (NaN, infinities) replaced by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_safe(item) for item in value]
    return value


def is_number(value: Any) -> bool:
    """Whether a value read from a file is a finite number."""
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_one and abs(value) <= sys.float_info.max


def append_json_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON object as a line, in a single write; a half-written line before it stays a line of its own.

    Raises:
        KgptFailure: the disk is full or the folder cannot be written.
    """
    line = json.dumps(json_safe(row), ensure_ascii=False, allow_nan=False) + "\n"
    try:
        with open(path, "ab+") as file:
            file.seek(max(0, file.tell() - 1))
            is_new_line = file.read(1) in (b"", b"\n")
            file.write((line if is_new_line else "\n" + line).encode())
    except OSError as error:
        raise disk_failure(error, path) from error


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, a line each; lines that do not parse (the last may be half-written) are skipped."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict):
                    yield row
    except OSError:
        return
