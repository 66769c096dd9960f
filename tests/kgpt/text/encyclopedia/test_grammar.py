"""The template language: contractions, agreement, sentence starts, errors, held-out patterns."""

import pytest

from kgpt.text.encyclopedia.grammar import GrammarError, Template, Word

BRAZIL = Word.parse("Brasil", "o")
FRANCE = Word.parse("França", "a")
ANDES = Word.parse("Andes", "os")
PHILIPPINES = Word.parse("Filipinas", "as")
PORTUGAL = Word.parse("Portugal", "-m")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (BRAZIL, "o Brasil, do Brasil, no Brasil, ao Brasil, pelo Brasil"),
        (FRANCE, "a França, da França, na França, à França, pela França"),
        (ANDES, "os Andes, dos Andes, nos Andes, aos Andes, pelos Andes"),
        (PHILIPPINES, "as Filipinas, das Filipinas, nas Filipinas, às Filipinas, pelas Filipinas"),
        (PORTUGAL, "Portugal, de Portugal, em Portugal, a Portugal, por Portugal"),
    ],
)  # fmt: skip
def test_each_contraction_follows_the_article(word: Word, expected: str) -> None:
    template = Template.parse("{o name}, {do name}, {no name}, {ao name}, {pelo name}")
    assert template.render({"name": word}) == expected


def test_an_upper_case_slot_begins_upper_case_even_inside_a_sentence() -> None:
    assert Template.parse("Veja: {O name}").render({"name": FRANCE}) == "Veja: A França"
    assert Template.parse("{Do name}").render({"name": PORTUGAL}) == "De Portugal"


def test_a_sentence_begins_upper_case_and_changes_nothing_else() -> None:
    assert (
        Template.parse("{name} é um metal.").sentence({"name": Word("ouro")}) == "Ouro é um metal."
    )
    assert Template.parse("{name} vale.").sentence({"name": Word(".br")}) == ".br vale."


@pytest.mark.parametrize(
    ("article", "expected"),
    [("o", "situado"), ("-m", "situado"), ("a", "situada"), ("-f", "situada"),
     ("os", "situados"), ("-mp", "situados"), ("as", "situadas"), ("-fp", "situadas")],
)  # fmt: skip
def test_agreement_follows_gender_and_number(article: str, expected: str) -> None:
    template = Template.parse("{name:situado/situada/situados/situadas}")
    assert template.render({"name": Word.parse("X", article)}) == expected


def test_a_cell_may_carry_an_article() -> None:
    assert Word.parse_cell("a|Europa").after("no") == "na Europa"
    assert Word.parse_cell("-f|Cuba").after("no") == "em Cuba"
    assert Word.parse_cell("Paris").after("no") == "em Paris"


@pytest.mark.parametrize("cell", ["|Europa", "a|", "um|Europa", "|"])
def test_a_malformed_cell_is_refused(cell: str) -> None:
    with pytest.raises(GrammarError):
        Word.parse_cell(cell)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("A {name", "brace"),
        ("A name}", "brace"),
        ("A {}", "slot {}"),
        ("A {de name}", "slot {de name}"),
        ("A {name:é/são}", "exactly four forms"),
        ("A {o name:a/b/c/d}", "exactly four forms"),
        ("A {Name x y}", "slot {Name x y}"),
    ],
)
def test_a_malformed_template_is_refused_and_quoted(source: str, message: str) -> None:
    with pytest.raises(GrammarError, match=message):
        Template.parse(source)


def test_agreement_with_a_word_of_unknown_gender_is_refused() -> None:
    with pytest.raises(GrammarError, match="Paris"):
        Template.parse("{name:o/a/os/as}").render({"name": Word("Paris")})


@pytest.mark.parametrize(
    ("template", "text", "found"),
    [
        ("A capital {do name} é", "a capital da Ilha Nova é Porto.", True),
        ("A capital {do name} é", "Já a capital de Cuba é Havana.", True),
        ("A capital {do name} é", "A capital de Cuba, hoje grande, é Havana.", True),
        ("A capital {do name} é", "A capital de Cuba era Havana.", False),
        ("A capital {do name} é", "A capital de Cuba fica ali. O clima é bom.", False),
        ("A capital {do name} é", "A capital cubana é Havana.", False),
        ("A capital {do name} é", "A capital " + "de Cuba" + "x" * 60 + " é", False),
        (
            "{O name} {name:tem/tem/têm/têm} como capital",
            "Sabe-se que eles têm como capital Roma.",
            True,
        ),
        ("{O name} {name:tem/tem/têm/têm} como capital", "Eles tiveram como capital Roma.", False),
        ("Qual é a capital {do name}?", "Qual é a capital da França?", True),
        ("O domínio {do name} é", "O domínio do portal.br é útil.", True),
    ],
)
def test_a_pattern_is_the_template_without_its_names(template: str, text: str, found: bool) -> None:
    assert bool(Template.parse(template).pattern().search(text)) is found
