"""Data sets of the Hugging Face Hub, streamed by the `datasets` library (the extra `hub`).

In: `hf:NAME`, `hf:NAME:CONFIG` or `hf:NAME:CONFIG:SPLIT`, where NAME is a data set of the Hub, or a folder or file
laid out as one. Without a split, `train` or the only one is read. Out: a document for each row, by the rules of
`rows`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import N_, _
from kgpt.packages import optional_package
from kgpt.text.documents import Piece
from kgpt.text.formats.kinds import format_of
from kgpt.text.formats.reading import Reading, without_surrogates
from kgpt.text.formats.rows import NoTextError, RowText

_BUILDERS = {
    "text": "text",
    "json-lines": "json",
    "json": "json",
    "csv": "csv",
    "parquet": "parquet",
}
"""What `datasets` calls the readers of single files."""


def read(reading: Reading) -> Iterator[Piece]:
    """The text of each row.

    Raises:
        KgptError: there is no such data set, configuration or split; `datasets` is missing; or a row has no text, and
            errors stop.
        KgptFailure: the Hub cannot be reached.
    """
    name = reading.source.name
    rows = rows_of(name)
    text_of = RowText(reading.options.text_field)
    reading.unit, number = "row", 0
    while True:
        number += 1
        try:
            text = text_of(next(rows))
        except StopIteration:
            return
        except NoTextError as error:
            reading.no_text(reading.place(number), error)
        except ConnectionError as error:
            raise _no_network(name, error) from None
        except Exception as error:  # whatever the readers of a hundred formats raise
            reading.damage(
                N_("Damaged data set"),
                _(
                    "{place} cannot be read ({error}).",
                    place=reading.place(number),
                    error=_first_line(error),
                ),
                _("Read what comes before it with --on-error skip."),
            )
            return
        else:
            yield from reading.row(without_surrogates(text), number)


def rows_of(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a data set, their fields as they are; what its reader raises comes through.

    Raises:
        KgptError: there is no such data set, configuration or split, or `datasets` is missing.
        KgptFailure: the Hub cannot be reached.
    """
    builder, split = _open(name)
    return iter(builder.as_streaming_dataset(split=split))


def whole_rows(name: str) -> Iterator[dict[str, Any]]:
    """As `rows_of`, with an error of ours for whatever else goes wrong.

    Raises:
        KgptError: as `rows_of`, or a row cannot be read.
        KgptFailure: the Hub cannot be reached.
    """
    try:
        yield from rows_of(name)
    except KgptError:
        raise
    except ConnectionError as error:
        raise _no_network(name, error) from None
    except Exception as error:  # whatever the readers of a hundred formats raise
        message = _("{name} cannot be read ({error}).", name=name, error=_first_line(error))
        raise KgptError(
            _("Damaged data set"), message, _("Download its files and give them.")
        ) from None


def configurations(name: str) -> list[str]:
    """The configurations of a data set (`hf:NAME`).

    Raises:
        KgptError: there is no such data set, or `datasets` is missing.
        KgptFailure: the Hub cannot be reached.
    """
    datasets = optional_package("datasets", "hub", name)
    try:
        return list(datasets.get_dataset_config_names(name.removeprefix("hf:")))
    except ConnectionError as error:
        raise _no_network(name, error) from None
    except Exception as error:
        raise _not_opened(name, name.removeprefix("hf:"), "", error) from None


def describe(name: str) -> tuple[int, str]:
    """The bytes that a data set says it has (0 if it says none), and a sha256 over its files' names and versions.

    Raises:
        KgptError: there is no such data set, configuration or split, or `datasets` is missing.
        KgptFailure: the Hub cannot be reached.
    """
    builder, split = _open(name)
    files = (builder.config.data_files or {}).get(split, [])
    versions = getattr(files, "origin_metadata", [])
    digest = hashlib.sha256(repr((builder.config.name, split, list(files), versions)).encode())
    return builder.info.dataset_size or builder.info.download_size or 0, digest.hexdigest()


@functools.cache
def _open(source: str) -> tuple[Any, str]:
    """The builder of a data set, and its split to read."""
    name, _colon, rest = source.removeprefix("hf:").partition(":")
    config, _second, split = rest.partition(":")
    datasets = optional_package("datasets", "hub", source)
    datasets.disable_progress_bars()
    path = Path(name)
    try:
        if path.is_file():
            found = format_of(name)
            kind = _BUILDERS.get(found.kind, "text") if found else "text"
            builder = datasets.load_dataset_builder(kind, data_files=str(path))
        else:
            builder = datasets.load_dataset_builder(name, config or None)
    except ConnectionError as error:
        raise _no_network(source, error) from None
    except FileNotFoundError as error:
        raise KgptError(
            _("Data set not found"),
            f"{source}: {_first_line(error)}",
            _(
                "Look for its name on https://huggingface.co/datasets, or give a folder. Private "
                "ones need HF_TOKEN."
            ),
        ) from None
    except Exception as error:
        raise _not_opened(source, name, config, error) from None
    splits = list(builder.config.data_files or builder.info.splits or ())
    if not split and ("train" in splits or len(splits) == 1):
        split = "train" if "train" in splits else splits[0]
    if split not in splits:
        raise KgptError(
            _("Which split?"),
            _(
                "{source}: {value}; there are: {str}.",
                source=source,
                value=_("there is no split {split!r}", split=split)
                if split
                else _("no split is named"),
                str=", ".join(map(str, splits)) or "none",
            ),
            _(
                "Name one: hf:{name}:{config}:SPLIT",
                name=name,
                config=config or builder.config.name,
            ),
        )
    return builder, split


def _not_opened(source: str, name: str, config: str, error: Exception) -> KgptError:
    import datasets

    try:
        configs = datasets.get_dataset_config_names(name)
    except Exception:  # nothing is known but the first error
        configs = []
    if configs and config not in configs:
        return KgptError(
            _("Which configuration?"),
            _(
                "{source}: {value}; there are: {configs}.",
                source=source,
                value=_("there is no configuration {config!r}", config=config)
                if config
                else _("no configuration is named"),
                configs=", ".join(configs),
            ),
            _("Name one: hf:{name}:CONFIG", name=name),
        )
    return KgptError(
        _("Data set not readable"),
        f"{source}: {_first_line(error)}",
        _("Download its files and give them instead."),
    )


def _no_network(source: str, error: Exception) -> KgptFailure:
    return KgptFailure(
        _("No network"),
        _(
            "{source}: the Hugging Face Hub cannot be reached ({error}).",
            source=source,
            error=_first_line(error),
        ),
        _("Check the connection, or download the data set's files elsewhere and give them."),
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
