"""From what a user names to sources: files, folders, globs, standard input, data sets, the built-in corpus.

In: a name. Out: `Source`s. In folders and globs, hidden files and what cannot be read by its kind are passed over and
counted; a file named by itself must be readable.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from kgpt.text.formats.kinds import advice, format_of, known
from kgpt.text.formats.reading import Source

ENCYCLOPEDIA = "encyclopedia"
SHUFFLED_ENCYCLOPEDIA = "encyclopedia:shuffled"
"""The control: the same sentences about facts that are mixed up, so that nothing true can be learnt."""
BUILT_IN = (ENCYCLOPEDIA, SHUFFLED_ENCYCLOPEDIA)
HUB = "hf:"

Report = Callable[[str], None]


def sources_of(name: str, report: Report) -> list[Source]:
    """The sources that a name means, in the order of their paths.

    Args:
        name: as the user wrote it.
        report: told what is passed over in a folder or glob.

    Raises:
        KgptError: there is nothing of that name, or a file is not of a kind that can be read.
        KgptFailure: a folder cannot be read, or standard input could not be copied to the disk.
    """
    if name in BUILT_IN:
        return [Source(name, "encyclopedia")]
    if name.startswith(HUB):
        return [Source(name, "hub")]
    if name == "-" or name.startswith("-."):
        from kgpt.text.formats.standard_input import copy_of

        return [copy_of(name)]
    try:
        return _on_disk(name, report)
    except OSError as error:
        raise KgptFailure(
            _("Cannot read"),
            f"{error.filename}: {error.strerror}.",
            _("Check the folder and its permissions."),
        ) from None


def _on_disk(name: str, report: Report) -> list[Source]:
    path = Path(name)
    if path.is_file():
        return [_file(path)]
    if path.is_dir():
        return _readable(_files(path), _("are in {name}", name=name), report)
    if path.exists():
        raise KgptError(
            _("Source not readable"),
            _("Expected a file or a folder. Received a device or pipe: {name}", name=name),
            _("Let kgpt read standard input: give - as the source, and < to the shell."),
        )
    return _glob(name, report)


def _file(path: Path) -> Source:
    found = format_of(path.name)
    if found is None:
        raise KgptError(
            _("Source not readable"),
            _("Expected a file that ends in {known}. Received: {path}", known=known(), path=path),
            advice(str(path)),
        )
    return Source(str(path), found.kind, found.compression, path)


def _glob(name: str, report: Report) -> list[Source]:
    matches = [Path(match) for match in glob.glob(name, recursive=True)]
    if not matches:
        raise KgptError(
            _("Source not found"),
            _("There is no file, folder or built-in corpus {name!r}.", name=name),
            _(
                "Give files, a folder of them, a glob in quotes, - for standard input, hf:NAME or "
                "encyclopedia."
            ),
        )
    files = {path for path in matches if path.is_file()}
    if "**" not in name:
        files.update(path for match in matches if match.is_dir() for path in _files(match))
    return _readable(files, f"match {name}", report)


def _files(folder: Path) -> Iterator[Path]:
    """The files in a folder at any depth, hidden ones too, but nothing in hidden folders."""
    for parent, folders, names in os.walk(folder, onerror=_give_up):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names)


def _give_up(error: OSError) -> None:
    raise error


def _readable(files: Iterable[Path], where: str, report: Report) -> list[Source]:
    found: list[Source] = []
    passed_over: Counter[str] = Counter()
    for path in sorted(files):
        if path.name.startswith("."):
            passed_over["hidden"] += 1
        elif format_of(path.name) is None:
            passed_over[path.suffix or "without suffix"] += 1
        else:
            found.append(_file(path))
    others = ", ".join(f"{count} {kind}" for kind, count in passed_over.most_common())
    if not found:
        raise KgptError(
            _("Source not found"),
            _("Of the files that {where}, none can be read: {others}.", where=where, others=others)
            if others
            else _("No files {where}.", where=where),
            _("Give files that end in {known}.", known=known()),
        )
    if others:
        report(_("Passed over files that {where}: {others}", where=where, others=others))
    return found
