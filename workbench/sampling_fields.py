"""The fields of the Generate screen's form: which there are, what a preset puts into them, and what they mean.

In: texts by name. Out: `GenerateOptions`, or an error that names the field. Knows no Textual.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.protocol import GenerateOptions

MAX_SAMPLES = 20


@dataclass(frozen=True)
class Field:
    """One field of the form; its name is that of the option, with the same default."""

    name: str
    label: str
    placeholder: str
    help: str


FIELDS = (
    Field("temperature", N_("temperature"), "0.8", N_("0 is greedy; higher is bolder")),
    Field("top_k", "top-k", N_("off"), N_("choose among the k likeliest tokens; 0 is off")),
    Field("top_p", "top-p", "1.0", N_("choose among the likeliest that sum up to p")),
    Field("max_tokens", N_("max tokens"), "120", N_("the longest continuation")),
    Field("seed", N_("seed"), N_("random"), N_("the same seed writes the same text")),
)
MORE_FIELDS = (
    Field(
        "num_samples",
        N_("samples"),
        "1",
        N_("so many texts, each with the next seed; {most} at most"),
    ),
    Field(
        "min_p", "min-p", N_("off"), N_("drop what is less likely than this share of the likeliest")
    ),
    Field(
        "typical_p",
        "typical-p",
        "1.0",
        N_("keep the tokens that surprise about as much as expected"),
    ),
    Field(
        "repetition_penalty",
        N_("repetition"),
        "1.0",
        N_("above 1: what was seen becomes less likely"),
    ),
    Field(
        "frequency_penalty",
        N_("frequency"),
        "0",
        N_("off a token's score for each time it was written"),
    ),
    Field("presence_penalty", N_("presence"), "0", N_("off a token's score once it was written")),
    Field(
        "no_repeat_ngram_size",
        N_("no repeat"),
        N_("off"),
        N_("no run of so many tokens comes twice"),
    ),
    Field(
        "stop",
        N_("stop"),
        N_("none"),
        N_('texts that end it, comma between; \\n is a new line, "," a comma'),
    ),
    Field(
        "logit_bias",
        N_("bias"),
        N_("none"),
        N_("id:value, comma between: added to the scores of these ids"),
    ),
    Field("forbidden", N_("forbid"), N_("none"), N_("ids that are never taken, comma between")),
)
ALL_FIELDS = (*FIELDS, *MORE_FIELDS)

_SAMPLING = (
    "temperature top_k top_p min_p typical_p repetition_penalty frequency_penalty presence_penalty"
    " no_repeat_ngram_size"
).split()
"""What a preset sets: how to choose, not how much or where to end."""
_PRESETS: dict[str, dict[str, str]] = {
    N_("greedy"): {"temperature": "0"},
    N_("balanced"): {"temperature": "0.8", "top_k": "40", "top_p": "0.95"},
    N_("wild"): {"temperature": "1.3", "min_p": "0.02"},
}
PRESETS = tuple(_PRESETS)


def preset(name: str) -> dict[str, str]:
    """The texts that a preset puts into fields: its own, and the others as if they were not there."""
    default = GenerateOptions()
    plain = {field: f"{getattr(default, field):g}" for field in _SAMPLING}
    return {**plain, **_PRESETS[name]}


def preset_of(texts: Mapping[str, str]) -> str:
    """The preset that fields stand for; empty if none."""
    try:
        now = options_of(texts)
        for name in PRESETS:
            if now == options_of({**texts, **preset(name)}):
                return name
    except KgptError:
        pass
    return ""


def options_of(texts: Mapping[str, str]) -> GenerateOptions:
    """The options that fields hold; an empty or absent field is its option's default.

    Raises:
        KgptError: a field cannot be read, or is out of range.
    """
    values = {
        item.name: _READERS[item.name](item.name, texts[item.name].strip())
        for item in dataclasses.fields(GenerateOptions)
        if texts.get(item.name, "").strip()
    }
    return GenerateOptions(**values)


def num_samples(texts: Mapping[str, str]) -> int:
    """How many texts are wanted.

    Raises:
        KgptError: the field holds no number, or one out of range.
    """
    text = texts.get("num_samples", "").strip()
    number = _whole("num_samples", text) if text else 1
    if not 1 <= number <= MAX_SAMPLES:
        raise _bad("num_samples", _("1 to {most}", most=MAX_SAMPLES), text)
    return number


def texts_of(options: GenerateOptions) -> dict[str, str]:
    """The texts of fields for options, as `options_of` reads them."""
    texts = {}
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        if item.name == "stop":
            text = ", ".join(_written_stop(stop) for stop in value)
        elif item.name == "logit_bias":
            text = ", ".join(f"{token}:{bias:g}" for token, bias in value.items())
        elif item.name == "forbidden":
            text = ", ".join(map(str, value))
        else:
            text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        texts[item.name] = text
    return texts


# === Reading ===


def _bad(name: str, expected: str, text: str, is_number: bool = False) -> KgptError:
    return KgptError(
        _("Not a number") if is_number else _("Bad generation option"),
        _("{name} must be {expected}. Received: {text!r}", name=name, expected=expected, text=text),
        _("Correct the field."),
    )


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _bad(name, _("a whole number"), text, is_number=True) from None


def _decimal(name: str, text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise _bad(name, _("a number"), text, is_number=True) from None


def _parts(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]


def _ids(name: str, text: str) -> tuple[int, ...]:
    return tuple(_whole(name, part) for part in _parts(text))


def _biases(name: str, text: str) -> dict[int, float]:
    biases = {}
    for part in _parts(text):
        token, colon, value = part.partition(":")
        if not colon:
            raise _bad(name, _("id:value, such as 50256:-100"), part)
        biases[_whole(name, token.strip())] = _decimal(name, value.strip())
    return biases


def _stops(name: str, text: str) -> tuple[str, ...]:
    """Texts between commas; one in double quotes is a JSON text, so that it can hold anything."""
    stops, rest = [], text.strip()
    while rest:
        if rest.startswith('"'):
            try:
                stop, end = json.JSONDecoder().raw_decode(rest)
            except ValueError:
                raise _bad(
                    name, _("texts with a comma between; a quote is not closed"), text
                ) from None
            rest = rest[end:].lstrip()
            if rest and not rest.startswith(","):
                raise _bad(name, _("texts with a comma between"), text)
            rest = rest[1:].lstrip()
        else:
            stop, _comma, rest = rest.partition(",")
            stop, rest = stop.strip().replace("\\n", "\n").replace("\\t", "\t"), rest.lstrip()
        if stop:
            stops.append(str(stop))
    return tuple(stops)


def _written_stop(stop: str) -> str:
    plain = stop == stop.strip() and not any(sign in stop for sign in ',"\\\n\t')
    return stop if plain else json.dumps(stop, ensure_ascii=False)


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "max_tokens": _whole,
    "temperature": _decimal,
    "top_k": _whole,
    "top_p": _decimal,
    "min_p": _decimal,
    "typical_p": _decimal,
    "repetition_penalty": _decimal,
    "frequency_penalty": _decimal,
    "presence_penalty": _decimal,
    "no_repeat_ngram_size": _whole,
    "logit_bias": _biases,
    "forbidden": _ids,
    "stop": _stops,
    "seed": _whole,
}
