"""Folders of prepared data that appear whole or not at all.

In: where a folder is to be. Out: a folder beside it to write into, which takes its place once everything is written.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgpt.errors import KgptError, KgptFailure
from kgpt.files import disk_failure


@contextmanager
def written_aside(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place at the end, or vanishes if anything goes wrong.

    Raises:
        KgptError: as `check_replaceable`.
        KgptFailure: the disk is full or cannot be written.
    """
    check_replaceable(folder, overwrite)
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        aside.mkdir(parents=True)
        yield aside
        _replace(folder, aside)
    except OSError as error:
        failure = disk_failure(error, folder)
        hint = "Free some space, or give another --output, then prepare again."
        raise KgptFailure(failure.title, failure.message, hint) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(folder: Path, aside: Path) -> None:
    if not folder.exists():
        os.rename(aside, folder)
        return
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    os.rename(folder, old)
    try:
        os.rename(aside, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(folder: Path, overwrite: bool) -> None:
    """Refuse to write a corpus where something lies that is not to be replaced.

    Raises:
        KgptError: `folder` is a file, holds something other than prepared data, or `overwrite` is not set.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "manifest.json").is_file():
        raise KgptError(
            "Output is in use",
            f"{folder} exists and is not prepared data; nothing in it was touched.",
            "Choose another --output.",
        )
    if not overwrite:
        raise KgptError(
            "Output exists",
            f"{folder} holds prepared data already.",
            "Replace it with --overwrite, or choose another --output.",
        )
