"""Which language is spoken, and how numbers are written in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from babel.numbers import format_decimal, format_percent

from kgpt import language
from kgpt.language import N_, _, ngettext, number


@pytest.fixture
def portuguese() -> Iterator[None]:
    """Portuguese is spoken."""
    language.use(language.PORTUGUESE)
    yield
    language.use(language.ENGLISH)


@pytest.mark.parametrize(
    ("environment", "preferred", "expected"),
    [
        ({}, "", "en"),
        ({"LANG": "pt_BR.UTF-8"}, "", "pt_BR"),
        ({"LANG": "pt"}, "", "pt_BR"),
        ({"LANG": "pt_PT.UTF-8"}, "", "pt_BR"),
        ({"LANG": "de_DE.UTF-8"}, "", "en"),
        ({"LANG": "C"}, "", "en"),
        ({"LANG": "ptx"}, "", "en"),
        ({"LANG": "de_DE", "LC_MESSAGES": "pt_BR"}, "", "pt_BR"),
        ({"LANG": "pt_BR", "LC_MESSAGES": "en_US"}, "", "en"),
        ({"LC_MESSAGES": "pt_BR", "LC_ALL": "C.UTF-8"}, "", "en"),
        ({"LANG": "pt_BR", "LC_ALL": ""}, "", "pt_BR"),
        ({"LANG": "en_US"}, "pt-BR", "pt_BR"),
        ({"LANG": "pt_BR"}, "en", "en"),
        ({"LANG": "pt_BR", "KGPT_LANGUAGE": "en"}, "pt_BR", "en"),
        ({"LANG": "en_US", "KGPT_LANGUAGE": "pt"}, "en", "pt_BR"),
        ({"LANG": "pt_BR", "KGPT_LANGUAGE": ""}, "", "pt_BR"),
    ],
)
def test_what_decides(environment: dict[str, str], preferred: str, expected: str) -> None:
    assert language.language_of(environment, preferred) == expected


def test_english_loads_no_catalog() -> None:
    code = (
        "import sys; from kgpt.language import _;"
        "assert _('{steps:,} x', steps=1234) == '1,234 x'; print('gettext' in sys.modules)"
    )
    environment = {"KGPT_LANGUAGE": "en", "LANG": "pt_BR.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


def test_english_is_the_text_itself() -> None:
    assert _("Copied {what}.", what="it") == "Copied it."
    assert ngettext("{count} run", "{count} runs", 1) == "1 run"
    assert ngettext("{count:,} row", "{count:,} rows", 12345) == "12,345 rows"
    assert _("{braces} without values stay") == "{braces} without values stay"


@pytest.mark.usefixtures("portuguese")
def test_portuguese() -> None:
    assert _("Copied {what}.", what="isto") == "Copiado: isto."
    assert _(N_("Delete")) == "Apagar"
    assert ngettext("{count} run", "{count} runs", 1) == "1 treino"
    assert ngettext("{count} run", "{count} runs", 0) == "0 treinos"
    assert ngettext("{count:,} row", "{count:,} rows", 12345) == "12.345 linhas"
    assert _("a text that no catalog has: {steps:,}", steps=1234).endswith(": 1.234")


@pytest.mark.usefixtures("portuguese")
@pytest.mark.parametrize("value", [0.0, 1.5, -2.25, 1234.5, 1234567.891, 999999.996])
def test_numbers_are_written_as_in_brazil(value: float) -> None:
    expected = format_decimal(value, format="#,##0.00", locale="pt_BR")
    assert number(value, ",.2f") == expected
    assert _("{value:,.2f}", value=value) == expected
    share = value / 1e7
    assert number(share, ".1%") == format_percent(share, format="0.0%", locale="pt_BR")


@pytest.mark.usefixtures("portuguese")
def test_what_is_typed_stays_as_it_is_typed() -> None:
    """A value without a format is one that a command takes: it keeps its point."""
    assert _("{name} is gone.", name=0.5) == "0.5 não existe mais."
    assert _("{name} is gone.", name="run-1.5") == "run-1.5 não existe mais."


@pytest.mark.usefixtures("portuguese")
def test_values_are_no_formats() -> None:
    assert _("{name} is gone.", name="{name}") == "{name} não existe mais."
