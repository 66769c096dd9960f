"""Rows of a test's data: files, folders, a zip file or a data set of the Hub in, (subset, place, fields) out.

JSON lines (plain or compressed), JSON, Parquet; of a folder or a zip file each JSONL file is a subset. Beside JSONL
without labels (`valid.jsonl`) a file of labels is looked for (`valid-labels.lst`), as PIQA comes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.evaluation.questions import Question
from kgpt.evaluation.tasks import TASKS, FieldError, Row, questions_of
from kgpt.language import _
from kgpt.text.formats.reading import Reading, ReadOptions, Source

Rows = Iterator[tuple[str, str, Row]]
ANY_CONFIGURATION = ":*:"


def read_questions(name: str, place: str | None, limit: int | None = None) -> list[Question]:
    """The questions of the test `name`, from the file, folder or data set `place`, by default from the Hub.

    Args:
        name: a key of `TASKS`.
        place: where the data lie.
        limit: of each subset, so many questions at most; all by default.

    Raises:
        KgptError: there is nothing there, or a row is broken (its line, or what it lacks, is named).
        KgptFailure: it cannot be read, or the Hub cannot be reached.
    """
    task = TASKS[name]
    if not place and not task.hub:
        raise KgptError(
            _("No file"),
            _("--task {name} needs --file.", name=name),
            _("A line of it: {example}", example=task.example),
        )
    source = place or task.hub
    found: dict[str, list[Question]] = {}
    try:
        for subset, rows in _subsets(source):
            for question in questions_of(task, rows):
                kept = found.setdefault(question.subset, [])
                if limit is None or len(kept) < limit:
                    kept.append(question)
                elif question.subset == subset:
                    break
    except FieldError as error:
        raise KgptError(
            _("Broken question"),
            f"{error}.",
            _("A row of {name}: {example}", name=name, example=task.example),
        ) from None
    questions = [question for items in found.values() for question in items]
    if not questions:
        raise KgptError(
            _("No questions"),
            _("There is no question in {source}.", source=source),
            _("A row of {name}: {example}", name=name, example=task.example),
        )
    return questions


def _subsets(source: str) -> Iterator[tuple[str, Rows]]:
    path = Path(source)
    if source.startswith("hf:"):
        yield from _hub(source)
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*.jsonl") if not file.name.startswith("."))
        for file in files:
            yield file.stem, _file(file, file.stem)
    elif path.suffix == ".zip":
        yield from _zip(path)
    else:
        yield "", _file(path, "")


def _hub(source: str) -> Iterator[tuple[str, Rows]]:
    from kgpt.text.formats.hub import configurations, whole_rows

    before, is_any, split = source.partition(ANY_CONFIGURATION)
    names = (
        {name: f"{before}:{name}:{split}" for name in configurations(before)}
        if is_any
        else {"": source}
    )
    for subset, name in names.items():
        rows = whole_rows(name)
        yield subset, ((subset, f"{name}, row {n}", row) for n, row in enumerate(rows, 1))


def _zip(path: Path) -> Iterator[tuple[str, Rows]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                member = Path(name)
                hidden = any(part.startswith((".", "__MACOSX")) for part in member.parts)
                if member.suffix == ".jsonl" and not hidden:
                    lines = archive.read(name).decode().splitlines()
                    yield member.stem, _lines(lines, f"{path}: {name}", member.stem)
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise KgptError(
            _("Cannot read the questions"),
            f"{path}: {error}",
            _("Give a zip file of JSONL files in UTF-8."),
        ) from None


def _file(path: Path, subset: str) -> Rows:
    from kgpt.text.formats.names import sources_of

    (source,) = sources_of(str(path), lambda line: None)
    if source.kind == "parquet":
        rows: Rows = _numbered(_parquet(path), f"{path}, row ", subset)
    elif source.kind == "json":
        rows = _numbered(_json(source), f"{path}, row ", subset)
    elif source.kind == "json-lines":
        from kgpt.text.formats.encoding import lines, text_blocks

        rows = _lines(lines(text_blocks(_reading(source))), str(path), subset)
    else:
        raise KgptError(
            _("Cannot read the questions"),
            _("{path} is no JSON lines, JSON or Parquet.", path=path),
            _(
                "Give a file that ends in .jsonl, .json, .parquet or .zip, a folder of .jsonl files, "
                "or hf:NAME."
            ),
        )
    labels = path.with_name(f"{path.stem}-labels.lst")
    return _labelled(rows, labels) if labels.is_file() else rows


def _reading(source: Source) -> Reading:
    return Reading(source, ReadOptions(), lambda reason, message: None)


def _lines(lines: Iterable[str], place: str, subset: str) -> Rows:
    for number, line in enumerate(lines, 1):
        if not line.strip(" \t\r\ufeff"):
            continue
        try:
            row = json.loads(line.strip("\ufeff"))
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or _("nested too deeply")
            raise _broken(f"{place}, line {number}: {reason}", line) from None
        if not isinstance(row, dict):
            raise _broken(
                _("{place}, line {number}: no JSON object", place=place, number=number), line
            )
        yield subset, f"{place}, line {number}", row


def _broken(problem: str, line: str) -> KgptError:
    shown = line.strip() if len(line) <= 100 else line.strip()[:100] + " ..."
    return KgptError(
        _("Broken JSON line"), f"{problem}: {shown}", _("Mend the line, or leave it out.")
    )


def _json(source: Source) -> Iterator[Any]:
    from kgpt.text.formats.encoding import text_blocks
    from kgpt.text.formats.json_stream import JsonStream, NotJsonError
    from kgpt.text.formats.json_values import rows_of

    try:
        yield from rows_of(JsonStream(text_blocks(_reading(source))))
    except NotJsonError as error:
        raise KgptError(_("Not JSON"), f"{source.name}:{error}.", _("Mend the file.")) from None


def _parquet(path: Path) -> Iterator[Any]:
    from pyarrow import parquet

    try:
        yield from parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two
        reason = str(error).splitlines()[0]
        raise KgptError(
            _("Damaged file"),
            _("{path}: no Parquet file, or cut or damaged ({reason}).", path=path, reason=reason),
            _("Copy it again."),
        ) from None


def _numbered(rows: Iterable[Any], place: str, subset: str) -> Rows:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise FieldError(
                _(
                    "{place}{number}: expected an object, received {received!r}",
                    place=place,
                    number=number,
                    received=str(row)[:60],
                )
            )
        yield subset, f"{place}{number}", row


def _labelled(rows: Rows, labels: Path) -> Rows:
    """Rows without a label, each with that of its line in a file of labels."""
    given = labels.read_text(encoding="utf-8").split()
    for number, (subset, place, row) in enumerate(rows):
        if "label" in row or number >= len(given):
            yield subset, place, row
        else:
            yield subset, place, {**row, "label": given[number]}
