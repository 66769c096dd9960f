"""What the cleaning steps share: their types, the values they are given, and lists of words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from kgpt.errors import KgptError
from kgpt.language import _

Change = Callable[[str], str]
"""From a text to the changed one."""
Keep = Callable[[str, bool], bool]
"""Whether to keep a document: from its text, or a piece's, and whether that is the whole document."""

LISTS = Path(__file__).parent / "lists"
LANGUAGE_NAMES = {
    **{
        "ar": "arabic",
        "ca": "catalan",
        "da": "danish",
        "de": "german",
        "el": "greek",
        "en": "english",
    },
    **{
        "es": "spanish",
        "fi": "finnish",
        "fr": "french",
        "hi": "hindi",
        "hu": "hungarian",
        "id": "indonesian",
    },
    **{
        "it": "italian",
        "nl": "dutch",
        "no": "norwegian",
        "pt": "portuguese",
        "ro": "romanian",
        "ru": "russian",
    },
    **{
        "sv": "swedish",
        "tr": "turkish",
        "pl": "polish",
        "cs": "czech",
        "fa": "persian",
        "et": "estonian",
    },
    **{
        "eu": "basque",
        "ga": "irish",
        "hy": "armenian",
        "lt": "lithuanian",
        "sr": "serbian",
        "ta": "tamil",
    },
}
"""Languages by their codes, as lists of stop words and stemmers name them."""
_WORD = re.compile(r"[\w']+")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; an apostrophe belongs to its word."""
    return _WORD.findall(text.lower().replace("’", "'"))


def whole_number(value: str, step: str, largest: int) -> int:
    """A value that must be a whole number from 1 to `largest`.

    Raises:
        KgptError: it is none.
    """
    if value.isascii() and value.isdigit() and 1 <= int(value[:20]) <= largest:
        return int(value)
    raise bad_value(
        step,
        value,
        _("a whole number from 1 to {largest:,}", largest=largest),
        _("Write {step}=200, for instance.", step=step),
    )


def bad_value(step: str, value: str, expected: str, hint: str) -> KgptError:
    """The error for a value that a step does not take."""
    return KgptError(
        _("Bad value of a cleaning step"),
        _(
            "{step} expects {expected}; received {value!r}.",
            step=step,
            expected=expected,
            value=value,
        ),
        hint,
    )


def one_of(value: str, known: Iterable[str], step: str, what: str) -> str:
    """`value`, which must be one of `known`.

    Raises:
        KgptError: it is not; the hint names the nearest, or all.
    """
    known = sorted(known)
    if value in known:
        return value
    close = difflib.get_close_matches(value, known, 1)
    hint = (
        _("Did you mean {close}?", close=close[0])
        if close
        else _("There are: {known}.", known=", ".join(known))
    )
    raise bad_value(step, value, what, hint)


def word_list(value: str, step: str, shipped: str = "") -> frozenset[str]:
    """The lower-case words and phrases of lists joined by `+`: languages whose list `shipped` is ours, or files.

    A file has a word or a phrase a line; empty lines and those that start with `#` do not count.

    Raises:
        KgptError: there is no such list, it cannot be read as UTF-8, or it is empty.
    """
    names = [value] if Path(value).is_file() else value.split("+")
    entries: set[str] = set()
    for name in names:
        ours = LISTS / f"{shipped}-{name}.txt"
        path = ours if shipped and re.fullmatch("[a-z]+", name) and ours.is_file() else Path(name)
        entries |= _entries(path, step, shipped)
    return frozenset(entries)


def _entries(path: Path, step: str, shipped: str) -> set[str]:
    ours = (
        sorted(file.stem.rpartition("-")[2] for file in LISTS.glob(f"{shipped}-*.txt"))
        if shipped
        else []
    )
    expected = _(" or ").join([*ours, _("a file of one word a line")])
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise KgptError(
            _("A word list is not UTF-8"),
            _(
                "{path}, for {step}: the byte at offset {start} does not decode.",
                path=path,
                step=step,
                start=error.start,
            ),
            _("Save the file as UTF-8."),
        ) from error
    except OSError as error:
        raise bad_value(step, str(path), expected, f"{path}: {error.strerror or error}.") from error
    lines = (line.strip() for line in content.splitlines())
    entries = {" ".join(words_of(line)) for line in lines if line and not line.startswith("#")} - {
        ""
    }
    if not entries:
        raise KgptError(
            _("A word list is empty"),
            _("{path}, for {step}, has no words.", path=path, step=step),
            _("Write one word a line."),
        )
    return entries
