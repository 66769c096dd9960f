"""The language in which kgpt speaks to people: English texts in, the same in the reader's language out.

`KGPT_LANGUAGE` chooses it, else what `prefer` was given (a program's setting), else `LC_ALL`, `LC_MESSAGES`, `LANG`.
Every name of Portuguese means Portuguese of Brazil, everything else English, for which nothing is loaded. Log lines,
files, JSON and the answers of the HTTP server are for programs, and stay English.

The English texts are the keys of the catalog `locale/pt_BR/LC_MESSAGES/kgpt.po`; `make texts` keeps it.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gettext import GNUTranslations

LOCALE = Path(__file__).with_name("locale")
DOMAIN = "kgpt"
ENGLISH, PORTUGUESE = "en", "pt_BR"
VARIABLE = "KGPT_LANGUAGE"

_language: str | None = None
_catalog: GNUTranslations | None = None


def language_of(environment: Mapping[str, str], preferred: str = "") -> str:
    """The language that an environment and a setting ask for: `en` or `pt_BR`."""
    system = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    asked = next(filter(None, (environment.get(VARIABLE), preferred, *system)), ENGLISH)
    return PORTUGUESE if asked.replace("-", "_").lower().split("_")[0] == "pt" else ENGLISH


def use(language: str) -> None:
    """Speak `en` or `pt_BR` from now on."""
    global _language, _catalog
    _language, _catalog = language, None
    if language == PORTUGUESE:
        import gettext

        _catalog = gettext.translation(DOMAIN, LOCALE, [PORTUGUESE])


def prefer(preferred: str) -> None:
    """For a command: speak the language of a setting, where `KGPT_LANGUAGE` does not say otherwise.

    What argparse says itself, and child processes, follow.
    """
    language = language_of(os.environ, preferred)
    use(language)
    if preferred:
        os.environ[VARIABLE] = language
    if language == PORTUGUESE:
        import gettext

        gettext.bindtextdomain(DOMAIN, LOCALE)
        gettext.textdomain(DOMAIN)
        os.environ["LANGUAGE"] = language  # gettext's own choice, which argparse leaves to it


def current() -> str:
    """The language in use; by default the one that the environment asks for."""
    if _language is None:
        use(language_of(os.environ))
    return _language or ENGLISH


def _(message: str, /, **values: Any) -> str:
    """A text in the language in use, with `values` in the places that it names.

    Numbers whose place has a format (`{loss:.3f}`, `{steps:,}`) are written as the language writes them.
    """
    current()
    text = _catalog.gettext(message) if _catalog and message else message
    return _FORMATTER.format(text, **values) if values else text


def ngettext(singular: str, plural: str, count: int, /, **values: Any) -> str:
    """The text for one or for several; `count` is also the value of its place `{count}`."""
    current()
    if _catalog:
        text = _catalog.ngettext(singular, plural, count)
    else:
        text = singular if count == 1 else plural
    return _FORMATTER.format(text, **{"count": count, **values})


def N_(message: str, /) -> str:  # noqa: N802 - what every reader of catalogs looks for
    """The text as it is: marks one that stands in a table, to be translated where it is shown."""
    return message


def number(value: float, form: str) -> str:
    """`format(value, form)`, with the decimal comma and the points of Portuguese: `1.234,5`."""
    text = format(value, form)
    return with_decimal_comma(text) if current() == PORTUGUESE else text


def with_decimal_comma(text: str) -> str:
    """A number in English notation, `1,234.5`, in that of Portuguese: `1.234,5`."""
    return text.translate(_SWAPPED)


_SWAPPED = str.maketrans(",.", ".,")


class _Formatter(string.Formatter):
    """`str.format` whose formatted numbers are those of the language in use."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """A number by `number`; anything else as ever."""
        if format_spec and isinstance(value, (int, float)):
            return number(value, format_spec)
        return format(value, format_spec)

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Named places only."""
        return kwargs[str(key)]


_FORMATTER = _Formatter()
