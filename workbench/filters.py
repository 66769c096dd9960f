"""The language that picks runs: `shake val<3.2 lr>=1e-4 state:live -old | pinned words`.

In: a text. Out: a `Filter` that a run matches or not, or a `FilterError` that says what is wrong. Words are looked for
in name, state, preset and task (in the name also with letters between them); `key<value` compares; `-` before a term
turns it around; terms side by side must all hold, and `|` separates alternatives. Knows no Textual.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kgpt.language import _
from workbench.run_summary import RunSummary
from workbench.tail import is_number

Test = Callable[[RunSummary, float], bool]
"""Whether a run matches, at a time in seconds since the epoch."""

NUMBERS = {
    "step": "step",
    "steps": "steps",
    "tokens": "tokens",
    "params": "parameters",
    "train": "train_loss",
    "val": "validation_loss",
    "best": "best_validation_loss",
    "bits": "bits_per_byte",
    "speed": "tokens_per_second",
    "size": "size",
    "progress": "progress",
}
"""Keys that compare numbers, and the attribute of a `RunSummary`."""

TEXTS = {"state": "state", "name": "name", "preset": "preset", "task": "task"}

SHORT_KEYS = {"lr": "optimizer.learning_rate", "batch": "batch_size", "layers": "model.num_layers"}
"""Other names of keys of the configuration."""

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
}
TERM = re.compile(r"([A-Za-z_][\w.]*)(<=|>=|!=|<|>|=|:)(.*)")
NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)([a-zA-Z%]?)")
SIZES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "%": 0.01}
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class FilterError(ValueError):
    """A term that means nothing; the text says why."""


@dataclass(frozen=True)
class Filter:
    """Alternatives, each a list of tests that must all hold."""

    alternatives: tuple[tuple[Test, ...], ...] = ((),)

    def matches(self, run: RunSummary, now: float) -> bool:
        """Whether a run is to be shown."""
        return any(all(test(run, now) for test in tests) for tests in self.alternatives)


def parse(text: str) -> Filter:
    """The filter that a text means; the empty text lets all runs through.

    Raises:
        FilterError: a term compares with what is no number, or a key is unknown.
    """
    parts = [part.split() for part in text.split("|")]
    filled = [part for part in parts if part] or [[]]
    return Filter(tuple(tuple(_term(term) for term in part) for part in filled))


def _term(term: str) -> Test:
    if term.startswith("-") and len(term) > 1:
        test = _term(term[1:])
        return lambda run, now: not test(run, now)
    match = TERM.fullmatch(term)
    return _comparison(*match.groups()) if match else _word(term.lower())


def _word(word: str) -> Test:
    def test(run: RunSummary, now: float) -> bool:
        text = f"{run.name} {run.state} {run.preset} {run.task}".lower()
        return word in text or _has_letters(run.name.lower(), word)

    return test


def _has_letters(name: str, word: str) -> bool:
    """Whether the letters of a word come in this order in the name."""
    rest = iter(name)
    return all(letter in rest for letter in word)


def _comparison(key: str, sign: str, value: str) -> Test:
    if not value:
        raise FilterError(_("{key}{sign} needs something to compare with", key=key, sign=sign))
    compare = COMPARE[sign]
    if key in TEXTS:
        return _text_test(key, sign, value.lower())
    if key == "age":
        limit = _quantity(key, value, SECONDS, _("90m or 2d"))
        return lambda run, now: bool(run.updated) and compare(now - run.updated, limit)
    if key in NUMBERS:
        limit, name = _quantity(key, value, SIZES, _("3.2 or 10M")), NUMBERS[key]
        return lambda run, now: _holds(compare, getattr(run, name), limit)
    return _configuration_test(_configuration_key(key), compare, value)


def _text_test(key: str, sign: str, value: str) -> Test:
    if sign not in ("=", ":", "!="):
        raise FilterError(_("{key} is a text: write {key}:{value}", key=key, value=value))
    name = TEXTS[key]

    def test(run: RunSummary, now: float) -> bool:
        if key == "state" and value == "live":
            return run.is_live
        return value in str(getattr(run, name)).lower()

    return (lambda run, now: not test(run, now)) if sign == "!=" else test


def _quantity(key: str, value: str, units: Mapping[str, float], example: str) -> float:
    match = NUMBER.fullmatch(value)
    if not match or match[2] not in units:
        raise FilterError(
            _(
                "{key} compares with a number such as {example}, not {value!r}",
                key=key,
                example=example,
                value=value,
            )
        )
    return float(match[1]) * units[match[2]]


def _holds(compare: Callable[[Any, Any], bool], value: Any, limit: float) -> bool:
    return is_number(value) and compare(value, limit)


def _configuration_test(key: str, compare: Callable[[Any, Any], bool], value: str) -> Test:
    match = NUMBER.fullmatch(value)
    number = float(match[1]) * SIZES[match[2]] if match and match[2] in SIZES else None
    if number is None and compare not in (operator.eq, operator.ne):
        raise FilterError(_("{key} compares with a number, not {value!r}", key=key, value=value))

    def test(run: RunSummary, now: float) -> bool:
        found = configured(run.configuration, key)
        if found is None:
            return False
        if number is not None and is_number(found):
            return compare(found, number)
        is_order = compare not in (operator.eq, operator.ne)
        return not is_order and compare(str(found).lower(), value.lower())

    return test


def configured(configuration: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key in a run's configuration; None where there is none."""
    value: Any = configuration
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _configuration_key(key: str) -> str:
    known = _configuration_keys()
    key = SHORT_KEYS.get(key, key)
    if key in known:
        return key
    ending = [name for name in known if name.endswith("." + key)]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise FilterError(_("{key} is several keys: {ending}", key=key, ending=", ".join(ending)))
    columns = ", ".join([*NUMBERS, "age", *TEXTS, *SHORT_KEYS])
    raise FilterError(
        _(
            "no key {key!r}; there is {columns}, and those of the configuration",
            key=key,
            columns=columns,
        )
    )


@lru_cache(maxsize=1)
def _configuration_keys() -> tuple[str, ...]:
    from kgpt.config_values import dotted
    from kgpt.presets import preset

    return tuple(dotted(preset("demo")))
