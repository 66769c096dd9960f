"""The few templates of Wikipedia that stand for words in a sentence, in Portuguese and English.

In: what is between the double braces of a template, already plain. Out: its words; nothing for all other templates.
"""

from __future__ import annotations

from collections.abc import Callable

_MONTHS = "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"


def rendered(inner: str) -> str:
    """The words that a template stands for.

    Args:
        inner: its name and its arguments, separated by bars.
    """
    name, *given = inner.split("|")
    name = name.strip().casefold().replace("_", " ")
    if name.startswith("formatnum:"):
        return name.removeprefix("formatnum:").strip()
    make = _first if name.startswith("lang-") else _TEMPLATES.get(name)
    if make is None:
        return ""
    arguments = []
    for argument in given:
        key, equals, value = argument.partition("=")
        if not equals:
            arguments.append(argument.strip())
        elif key.strip() in _TEXT_KEYS:
            arguments.append(value.strip())
    return make([argument for argument in arguments if argument])


_TEXT_KEYS = frozenset({"1", "2", "3", "text", "texto", "quote"})
"""Names of arguments that are words; the others say how these look."""


def _first(arguments: list[str]) -> str:
    return arguments[0] if arguments else ""


def _second(arguments: list[str]) -> str:
    return arguments[1] if len(arguments) > 1 else ""


def _two(arguments: list[str]) -> str:
    return " ".join(arguments[:2])


def _measure(arguments: list[str]) -> str:
    """A number and its unit, or a range: `{{convert|5|to|6|km|mi}}`."""
    is_range = len(arguments) > 3 and arguments[2][:1].isdigit()
    return " ".join(arguments[: 4 if is_range else 2])


def _date(arguments: list[str]) -> str:
    """Day, month and year in Portuguese; any of them may be missing at the end, and the month may be a number."""
    months = _MONTHS.split()
    words = [
        months[int(word) - 1] if place == 1 and word.isdecimal() and 0 < int(word) < 13 else word
        for place, word in enumerate(arguments[:3])
    ]
    return " de ".join(words)


def _constant(words: str) -> Callable[[list[str]], str]:
    return lambda arguments: words


def _before_first(words: str) -> Callable[[list[str]], str]:
    return lambda arguments: words + _first(arguments)


_TEMPLATES: dict[str, Callable[[list[str]], str]] = {
    **dict.fromkeys(("nowrap", "nobr", "nobreak", "small", "big", "smaller", "larger"), _first),
    **dict.fromkeys(("quote", "cquote", "blockquote", "quotation", "citação", "citação2"), _first),
    **dict.fromkeys(
        ("abbr", "abrev", "tooltip", "sup", "sub", "smallcaps", "sc", "em", "strong"), _first
    ),
    **dict.fromkeys(("ill", "interlanguage link", "link", "nihongo", "val", "fmtn", "num"), _first),
    **dict.fromkeys(
        ("lang", "língua", "langx", "color", "cor", "font color", "visible anchor"), _second
    ),
    **dict.fromkeys(("convert", "cvt", "converter"), _measure),
    **dict.fromkeys(("unidade", "unit"), _two),
    **dict.fromkeys(("dtlink", "dtext", "data", "data2", "dlink"), _date),
    **dict.fromkeys(("spaced ndash", "snd", "spnd", "spaced en dash"), _constant(" – ")),
    **dict.fromkeys(("ndash", "en dash"), _constant("–")),
    **dict.fromkeys(("mdash", "em dash"), _constant("—")),
    **dict.fromkeys(("nbsp", "space", "spaces"), _constant(" ")),
    **dict.fromkeys(("circa", "c."), _before_first("c. ")),
    **dict.fromkeys(("séc", "século"), _before_first("século ")),
    "as of": _before_first("As of "),
    "us$": _before_first("US$"),
    "usd": _before_first("US$"),
    "fmtbrl": _before_first("R$ "),
    "=": _constant("="),
    "!": _constant("|"),
}
