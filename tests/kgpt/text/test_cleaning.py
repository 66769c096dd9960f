"""Cleaning: which steps there are, in what order they work, what characters and lines they change."""

import sys
import unicodedata

import ftfy
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from kgpt.errors import KgptError
from kgpt.text.cleaning import Cleaned, Cleaner, describe_steps, step_names
from tests.kgpt.text.hard_text import any_character, hard_text

WITH_VALUE = {
    **{"min-length": "3", "max-length": "9000", "language": "pt", "stop-words": "pt", "stem": "pt"},
    **{"spam-words": "pt", "offensive-words": "pt"},
}


def clean(step: str, text: str, is_whole: bool = True) -> Cleaned:
    return Cleaner([step]).clean(text, is_whole)


def cleaned(step: str, text: str) -> str:
    return clean(step, text).text


def complaint(*steps: str) -> str:
    with pytest.raises(KgptError) as raised:
        Cleaner(steps)
    assert raised.value.exit_code == 2
    assert raised.value.hint
    return str(raised.value)


# === The list of steps ===


def test_without_steps_a_document_stays_as_it_is() -> None:
    assert Cleaner([]).clean("e\u0301 \x07") == Cleaned("e\u0301 \x07", (), None)


def test_steps_work_in_the_order_given_and_are_named() -> None:
    text = "A\x07bc"
    assert Cleaner(["control", "lower", "min-length=4"]).clean(text) == Cleaned(
        "abc", ("control", "lower"), "min-length"
    )
    assert Cleaner(["min-length=4", "control", "lower"]).clean(text) == Cleaned(
        "abc", ("control", "lower"), None
    )
    assert Cleaner(["nfc", "lower"]).clean("abc").changed_by == ()


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\x00"])
def test_a_document_that_ends_up_empty_is_dropped(text: str) -> None:
    assert Cleaner(["control"]).clean(text).dropped_by == "empty"
    assert Cleaner(["control"]).clean(text, is_whole=False).dropped_by is None


def test_every_step_is_described_and_can_be_built() -> None:
    assert [name for name, _, _ in describe_steps()] == list(step_names())
    for name, value, description in describe_steps():
        assert description
        assert (name in WITH_VALUE) == bool(value and not value.startswith("["))
        given = f"{name}={WITH_VALUE[name]}" if name in WITH_VALUE else name
        assert (
            Cleaner([given]).clean("Uma frase em português, sem nada de mais.").dropped_by is None
        )


def test_mistakes_say_what_is_expected() -> None:
    assert "Did you mean control?" in complaint("contrl")
    assert "nfc, control" in complaint("xyzzy")
    assert "takes no value" in complaint("nfc=yes")
    assert "needs a value" in complaint("min-length")
    assert "needs a value" in complaint("min-length=")
    assert "occurs more than once" in complaint("lower", "nfc", "lower")
    for value in ("0", "-1", "x", "1.5", "²", "9" * 30):
        assert "whole number" in complaint(f"min-length={value}")
    assert "whole number" in complaint("max-length=4194305")
    assert "whole number" in complaint("repeated-lines=all")
    assert "Did you mean" in complaint("language=ptt")
    assert "There are:" in complaint("stem=klingon")
    assert "existing file" in complaint("stop-words=missing.txt")
    assert "No such file" in complaint("spam-words=missing.txt")
    assert "en or pt or a file" in complaint("offensive-words=pt+xx")
    assert "percentage" in complaint("spam-words=pt:0")
    assert "percentage" in complaint("spam-words=pt:many")


@pytest.mark.parametrize(
    ("step", "package"),
    [
        ("encoding", "ftfy"),
        ("language=pt", "py3langid.langid"),
        ("stem=pt", "snowballstemmer"),
        ("stop-words=pt", "stop_words"),
    ],
)
def test_a_missing_package_is_named(
    step: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert "pip install 'kgpt[clean]'" in complaint(step)


@given(hard_text)
@settings(max_examples=300, deadline=None)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    steps = ["control", "nfc", "emails", "phones", "repeated-lines=1", "boilerplate"]
    once = Cleaner(steps).clean(text)
    assert (once.text == text) == (not once.changed_by)
    assert Cleaner(steps).clean(once.text).text == once.text


# === Characters ===


@given(hard_text)
def test_nfc_is_canonical_composition(text: str) -> None:
    assert cleaned("nfc", text) == unicodedata.normalize("NFC", text)


@given(st.text(any_character))
@settings(max_examples=300)
def test_control_leaves_no_control_characters_and_all_others(text: str) -> None:
    result = cleaned("control", text)
    assert not [c for c in result if unicodedata.category(c) == "Cc" and c not in "\n\t"]

    def visible(text: str) -> str:
        return "".join(c for c in text if unicodedata.category(c)[0] in "LMNPS")

    assert visible(result) == visible(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d\x0ce\x85f", "a\nb\nc\nd\ne\nf"),
        ("\ufeffol\xadá\u200b mun\u2060do\u202e\u200f", "olá mundo"),
        ("a\tb\n\x00c\x7f", "a\tb\nc"),
        ("no\u200dthing to jo\u200cin", "nothing to join"),
    ],
)
def test_control_removes_what_carries_nothing(text: str, expected: str) -> None:
    assert cleaned("control", text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧 ❤️‍🔥 🏳️‍🌈 ⛹🏻‍♂️",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "می\u200cخواهم",
        "क्\u200dष",
        "ภาษา\u200bไทย",
        "não\u00a0há espaço",
    ],
)
def test_control_keeps_what_emoji_and_scripts_need(text: str) -> None:
    assert clean("control", text) == Cleaned(text, (), None)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac_roman", "cp437"])
def test_encoding_mends_utf_8_that_was_read_otherwise(encoding: str) -> None:
    text = "A ação do coração: não há razão\npara ninguém sair às três."
    assert cleaned("encoding", text.encode().decode(encoding, "replace")) == text


@pytest.mark.parametrize(
    "text",
    [
        "“Não”, disse—ele… ‘É o ﬁm’; ｆｕｌｌ &amp; caf&eacute; \x1b[1m e\u0301 \r\n",
        "LIÇÃO À ESQUERDA, PÃO, MAÇÃ. Ângela; AVÔ 10º 1ª €5 «ÃO»",
        "Ελληνικά, русский, 日本語, العربية",
    ],
)
def test_encoding_touches_nothing_else(text: str) -> None:
    assert cleaned("encoding", text) == text


mojibake = st.builds(
    lambda text, encoding: text.encode().decode(encoding, "ignore"),
    st.text(st.sampled_from("aeoçãéêíóúàÁÉÇ“”—…ºª€ ñüß√日я"), max_size=8),
    st.sampled_from(["latin-1", "cp1252", "cp1250", "cp1251", "mac_roman", "cp437", "iso8859-2"]),
)


@given(st.lists(mojibake | hard_text | st.text("aão ÃÂ \xa0—é’", max_size=6), max_size=6))
@settings(max_examples=500, deadline=None)
def test_encoding_is_ftfy_on_every_line(parts: list[str]) -> None:
    text = " ".join(parts)
    assert cleaned("encoding", text) == "\n".join(map(ftfy.fix_encoding, text.split("\n")))


def test_lower_case() -> None:
    assert cleaned("lower", "ÀS Três HORAS") == "às três horas"


def test_digits_become_zeros() -> None:
    assert (
        cleaned("digits", "Ligue 0800-123 45 já: R$ 1,90 ½ ٣")
        == "Ligue 0000-000 00 já: R$ 0,00 ½ ٣"
    )


def test_a_cleaner_of_changes_has_no_filters() -> None:
    assert Cleaner.of_changes(["lower", "digits"]).clean("A 7").text == "a 0"
    with pytest.raises(KgptError, match="min-length changes no text") as raised:
        Cleaner.of_changes(["lower", "min-length=3"])
    assert "lower" in raised.value.hint and "language" not in raised.value.hint


# === Lines ===

LINE = "Esta linha tem mais de trinta caracteres."


def test_repeated_lines_go_but_for_the_first() -> None:
    text = f"{LINE}\noutra\n  {LINE}\n\nSim.\nSim.\n\n{LINE}"
    assert cleaned("repeated-lines", text) == f"{LINE}\noutra\n\nSim.\nSim.\n"
    assert cleaned("repeated-lines=4", text) == f"{LINE}\noutra\n\nSim.\n"
    assert cleaned("repeated-lines=100", text) == text


def test_boilerplate_goes_and_prose_stays() -> None:
    text = (
        "Leia mais\nUtilizamos cookies para melhorar a sua experiência.\nO mar estava calmo.\n"
        "Skip to content\n© 2024 Jornal. Todos os direitos reservados.\n» Compartilhar\n"
        "Quem somos nós? Leia mais poesia e coma biscoitos.\nRead more »"
    )
    assert cleaned("boilerplate", text) == (
        "O mar estava calmo.\nQuem somos nós? Leia mais poesia e coma biscoitos."
    )
    prose = "Os cookies do navegador. " * 10 + "Todos os direitos reservados ao homem."
    assert cleaned("boilerplate", prose) == prose
