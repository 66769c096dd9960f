"""The folder in which a corpus is made: hidden beside its place, owned by one process, kept when work is interrupted.

    .NAME.partial/   plan.json   .lock   chunks/   scratch/   corpus/

In: where the corpus is to be and the plan (sources and options). Out: a `Workspace`, with the work that an earlier call
with the same plan left, or empty. `corpus/` is renamed to its place once it is whole.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.files import (
    disk_failure,
    json_safe,
    put_in_place,
    read_json,
    remove_leftovers,
    write_json,
)
from kgpt.language import _

LAYOUT_VERSION = 1
"""Raised when what lies in a work folder changes its meaning: older ones are then thrown away."""


@dataclass(frozen=True)
class Workspace:
    """Paths in the work folder of one corpus."""

    target: Path
    """Where the corpus goes."""
    folder: Path

    @property
    def chunks(self) -> Path:
        """Cleaned text, a file a chunk."""
        return self.folder / "chunks"

    @property
    def scratch(self) -> Path:
        """Files that are made anew by every call."""
        return self.folder / "scratch"

    @property
    def corpus(self) -> Path:
        """The corpus as far as it is written."""
        return self.folder / "corpus"

    @property
    def progress_file(self) -> Path:
        """How far the writing of tokens has come."""
        return self.folder / "progress.json"

    def chunk(self, index: int) -> Path:
        """The file of a chunk."""
        return self.chunks / f"{index:08d}.arrow"

    def publish(self) -> None:
        """Put the corpus in its place and remove the rest."""
        put_in_place(self.corpus, self.target)
        shutil.rmtree(self.folder, ignore_errors=True)


def work_folder(target: Path) -> Path:
    """Where the corpus that goes to `target` is made."""
    target = Path(os.path.realpath(target))
    return target.with_name(f".{target.name}.partial")


def check_replaceable(folder: Path, overwrite: bool) -> None:
    """Refuse to write a corpus where something lies that is not to be replaced.

    Raises:
        KgptError: `folder` is a file, holds something other than prepared data, or `overwrite` is not set.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "manifest.json").is_file():
        raise KgptError(
            _("Output is in use"),
            _(
                "{folder} exists and is not prepared data; nothing in it was touched.",
                folder=folder,
            ),
            _("Choose another --output."),
        )
    if not overwrite:
        raise KgptError(
            _("Output exists"),
            _("{folder} holds prepared data already.", folder=folder),
            _("Replace it with --overwrite, or choose another --output."),
        )


@contextmanager
def opened(target: Path, plan: Mapping[str, Any]) -> Iterator[Workspace]:
    """The work folder for `target`, locked for this process; emptied unless it was made for the same plan.

    A mistake of the caller (`KgptError`) removes it: what comes next has another plan. Whatever else ends the work (a
    signal, a full disk, a killed process) leaves it, and the same call goes on from there.

    Raises:
        KgptError: another process prepares into `target`.
        KgptFailure: the disk is full or cannot be written.
    """
    target, folder = Path(os.path.realpath(target)), work_folder(target)
    hint = _("Free some space, then run the same command again: it goes on where it was.")
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        with _locked(folder, target):
            workspace = Workspace(target, folder)
            _fit(workspace, plan)
            try:
                yield workspace
            except KgptFailure:
                raise
            except KgptError:
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):
                    for parent in made:
                        parent.rmdir()
                raise
    except OSError as error:
        raise disk_failure(error, target, hint) from error


def _fit(workspace: Workspace, plan: Mapping[str, Any]) -> None:
    """Empty the folder unless it was made for `plan`."""
    wanted = json_safe({"layout_version": LAYOUT_VERSION, **plan})
    plan_file = workspace.folder / "plan.json"
    if read_json(plan_file) != wanted:
        plan_file.unlink(missing_ok=True)
        for item in workspace.folder.iterdir():
            if item.is_dir():
                shutil.rmtree(item)
            elif item.name != ".lock":
                item.unlink()
        write_json(plan_file, wanted)
    shutil.rmtree(workspace.scratch, ignore_errors=True)
    for folder in (workspace.chunks, workspace.scratch, workspace.corpus):
        folder.mkdir(exist_ok=True)
    for folder in (workspace.folder, workspace.corpus, workspace.corpus / "tokenizer"):
        remove_leftovers(folder)


@contextmanager
def _locked(folder: Path, target: Path) -> Iterator[None]:
    file = _lock(folder, target)
    try:
        yield
    finally:
        file.close()


def _lock(folder: Path, target: Path) -> IO[str]:
    """The lock on `folder`, which dies with this process."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / ".lock", "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            process = file.read().strip() or "?"
            file.close()
            raise KgptError(
                _("Output is in use"),
                _(
                    "Another process ({process}) prepares data into {target}.",
                    process=process,
                    target=target,
                ),
                _("Wait for it to end, or choose another --output."),
            ) from None
        # The process that held the lock before may have removed the folder in the meantime.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(folder / ".lock")):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                return file
        file.close()
