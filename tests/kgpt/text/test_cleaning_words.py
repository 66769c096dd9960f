"""Words and filters: stop words, stems, lengths, languages and lists of words."""

from pathlib import Path

import pytest
import snowballstemmer

from kgpt.errors import KgptError
from kgpt.text.cleaning import Cleaned, Cleaner

PORTUGUESE = "A menina caminhava devagar pela praia enquanto o sol desaparecia atrás das montanhas."
BRAZILIAN = "Você não vai acreditar no que o pessoal fez ontem à noite lá na casa da Júlia."
ENGLISH = "The girl walked slowly along the beach while the sun disappeared behind the hills."
SPANISH = (
    "La niña caminaba despacio por la playa mientras el sol desaparecía detrás de las montañas."
)
GALICIAN = (
    "A rapaza camiñaba amodo pola praia mentres o sol desaparecía detrás dos montes da súa vila."
)


def clean(step: str, text: str, is_whole: bool = True) -> Cleaned:
    return Cleaner([step]).clean(text, is_whole)


def is_kept(step: str, text: str, is_whole: bool = True) -> bool:
    return clean(step, text, is_whole).dropped_by is None


# === Words ===


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O livro de Maria", "livro Maria"),
        ("casa da praia, de noite.", "casa praia, noite."),
        ("vinho de.\nO mar", "vinho.\nmar"),
        ("pão (da avó)  e  d'água", "pão (avó)   d'água"),
        ("Casablanca", "Casablanca"),
    ],
)
def test_stop_words_go_with_their_spaces(text: str, expected: str) -> None:
    assert clean("stop-words=pt", text).text == expected


def test_stop_words_of_another_language_and_of_a_file(tmp_path: Path) -> None:
    assert clean("stop-words=en", "the house don’t fall").text == "house fall"
    path = tmp_path / "words.txt"
    path.write_text("# mine\n\nCasa\nmar\n", encoding="utf-8")
    assert clean(f"stop-words={path}", "A casa e o MAR de novo").text == "A e o de novo"


def test_stems_are_those_of_snowball() -> None:
    text = "Os meninos, correndo, chegaram às CASAS d'água."
    stemmer = snowballstemmer.stemmer("portuguese")
    expected = "{} {}, {}, {} {} {} {}.".format(
        *(stemmer.stemWord(word) for word in "os meninos correndo chegaram às casas d'água".split())
    )
    assert clean("stem=pt", text).text == expected
    assert clean("stem=en", "'running' houses").text == "'run' hous"


# === Filters ===


def test_lengths_are_in_characters_and_inclusive() -> None:
    assert is_kept("min-length=4", "ação")
    assert not is_kept("min-length=5", "ação")
    assert is_kept("max-length=4", "ação")
    assert not is_kept("max-length=3", "ação")
    assert clean("max-length=3", "ação").dropped_by == "max-length"


def test_filters_judge_no_piece_of_a_longer_document() -> None:
    for step in ("min-length=1000", "language=en", "offensive-words=pt", "spam-words=pt"):
        assert not is_kept(step, "merda, clique aqui, compre agora")
        assert is_kept(step, "merda, clique aqui, compre agora", is_whole=False)
    assert not is_kept("max-length=4194304", "fim", is_whole=False)


@pytest.mark.parametrize("text", [PORTUGUESE, BRAZILIAN])
def test_portuguese_is_told_from_its_neighbours(text: str) -> None:
    assert is_kept("language=pt", text)
    for other in (ENGLISH, SPANISH, GALICIAN):
        assert clean("language=pt", other).dropped_by == "language"
    assert is_kept("language=pt+en", ENGLISH)
    assert is_kept("language=gl", GALICIAN)


def test_a_long_document_is_judged_by_its_parts() -> None:
    assert is_kept("language=pt", "Skip to content. Read more. " * 10 + PORTUGUESE * 100)
    assert not is_kept("language=pt", PORTUGUESE * 5 + ENGLISH * 100)


def test_shipped_lists_drop_what_is_full_of_their_words() -> None:
    advert = "Clique aqui e ganhe dinheiro sem sair de casa! Oferta por tempo limitado."
    assert clean("spam-words=pt", advert).dropped_by == "spam-words"
    assert is_kept("spam-words=en", advert)
    assert is_kept("spam-words=pt", "O prêmio foi entregue ontem em Lisboa.")
    assert is_kept("spam-words=pt", PORTUGUESE * 12 + advert)
    assert not is_kept("spam-words=pt:1", PORTUGUESE * 12 + advert)
    insult = "Que merda de filme."
    assert clean("offensive-words=pt", insult).dropped_by == "offensive-words"
    assert is_kept("offensive-words=en", insult)
    assert not is_kept("offensive-words=en+pt", insult)
    assert is_kept("offensive-words=pt:30", insult)
    assert is_kept("offensive-words=pt", PORTUGUESE * 20 + insult)


def test_a_list_is_a_file_of_words_and_phrases(tmp_path: Path) -> None:
    path = tmp_path / "words+more.txt"
    path.write_text("\ufeff# list\nfoo\nBar baz\n", encoding="utf-8")
    step = f"offensive-words={path}"
    assert not is_kept(step, "um FOO")
    assert not is_kept(step, "um bar, baz")
    assert is_kept(step, "um bar")
    assert is_kept(step, "food bar bazar")
    assert is_kept(f"spam-words={path}:1", "um foo foo")
    assert not is_kept(f"spam-words={path}:1", "um foo, bar baz")
    assert not is_kept(f"spam-words={path}:1", "bar-baz foo, " + "x " * 200)


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    empty, latin = tmp_path / "empty.txt", tmp_path / "latin.txt"
    empty.write_text("# nothing\n\n")
    latin.write_bytes("ação".encode("latin-1"))
    for path, message in ((empty, "has no words"), (latin, "offset 1 "), (tmp_path, "directory")):
        with pytest.raises(KgptError, match=message):
            Cleaner([f"offensive-words={path}"])
