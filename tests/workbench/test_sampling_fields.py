"""The fields of the Generate screen: texts in, options out, and back."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.protocol import GenerateOptions
from workbench.sampling_fields import (
    ALL_FIELDS,
    PRESETS,
    num_samples,
    options_of,
    preset,
    preset_of,
    texts_of,
)
from workbench.settings import Settings


def test_every_option_has_a_field_and_a_remembered_value() -> None:
    names = {field.name for field in ALL_FIELDS}
    assert names == {item.name for item in dataclasses.fields(GenerateOptions)} | {"num_samples"}
    assert options_of({name: getattr(Settings(), name) for name in names}).temperature == 0.8


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "1,5", 1.5),
        ("top_k", "7", 7),
        ("top_p", "0.5", 0.5),
        ("max_tokens", "9", 9),
        ("seed", "3", 3),
        ("min_p", "0.1", 0.1),
        ("typical_p", "0.2", 0.2),
        ("repetition_penalty", "1.3", 1.3),
        ("frequency_penalty", "-0.5", -0.5),
        ("presence_penalty", "0.25", 0.25),
        ("no_repeat_ngram_size", "3", 3),
        ("stop", 'Fim, \\n\\n, "a, b"', ("Fim", "\n\n", "a, b")),
        ("logit_bias", "5:-100, 6:2.5", {5: -100.0, 6: 2.5}),
        ("forbidden", "5, 6", (5, 6)),
    ],
)
def test_each_field_reaches_its_option(name: str, text: str, value: object) -> None:
    assert getattr(options_of({name: text}), name) == value
    assert getattr(options_of({name: " "}), name) == getattr(GenerateOptions(), name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "hot"), ("top_k", "1.5"), ("seed", "-1"), ("stop", '"open'), ("stop", '"a" b'),
        ("logit_bias", "5"), ("logit_bias", "x:1"), ("forbidden", "5 6"), ("min_p", "1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(name: str, text: str) -> None:
    with pytest.raises(KgptError, match=name):
        options_of({name: text})


@pytest.mark.parametrize("text", ["0", "21", "x", "1.5"])
def test_samples_have_bounds(text: str) -> None:
    with pytest.raises(KgptError, match="num_samples"):
        num_samples({"num_samples": text})
    assert [num_samples({"num_samples": good}) for good in ("", "1", "20")] == [1, 1, 20]


@given(
    st.lists(st.text(min_size=1, max_size=6), max_size=4),
    st.dictionaries(st.integers(0, 99), st.integers(-9, 9).map(float), max_size=3),
    st.lists(st.integers(0, 99), max_size=3),
)
def test_options_survive_the_fields(
    stop: list[str], bias: dict[int, float], ids: list[int]
) -> None:
    options = GenerateOptions(
        stop=tuple(stop), logit_bias=bias, forbidden=tuple(ids), seed=5, top_p=0.9
    )
    assert options_of(texts_of(options)) == options


def test_presets_differ_and_are_recognised() -> None:
    fields = {"max_tokens": "9", "top_k": "3", "presence_penalty": "1"}
    assert preset_of(fields) == ""
    options = {name: options_of({**fields, **preset(name)}) for name in PRESETS}
    assert options["greedy"].temperature == 0 and options["wild"].temperature > 1
    assert {each.max_tokens for each in options.values()} == {9}
    assert {each.presence_penalty for each in options.values()} == {0.0}
    assert [preset_of({**fields, **preset(name)}) for name in PRESETS] == list(PRESETS)
    assert preset_of({"top_k": "x"}) == ""
