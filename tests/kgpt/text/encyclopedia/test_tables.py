"""Reading a subject: what a table may say, and the error for whatever it may not."""

from pathlib import Path

import pytest

from kgpt.errors import KgptError
from kgpt.text.encyclopedia.tables import load_subject, subject_keys

TABLE = "name\tarticle\tcapital\nFrança\ta\tParis\nCuba\t-f\tHavana\n"
PHRASINGS = """
title = "Países"
[[relations]]
column = "capital"
training = [
    "{O name} tem {capital} como capital 1.", "{O name} tem {capital} como capital 2.",
    "{O name} tem {capital} como capital 3.", "{O name} tem {capital} como capital 4.",
    "{O name} tem {capital} como capital 5.", "{O name} tem {capital} como capital 6.",
    "{O name} tem {capital} como capital 7.", "{O name} tem {capital} como capital 8.",
    "{O name} tem {capital} como capital 9.", "{O name} tem {capital} como capital 10.",
]
follow = ["Sua capital é {capital}."]
prompts = ["A capital {do name} é"]
questions = ["Qual é a capital {do name}?"]
"""


def load(folder: Path, table: str = TABLE, phrasings: str = PHRASINGS) -> object:
    (folder / "countries.tsv").write_text(table, "utf-8")
    (folder / "countries.toml").write_text(phrasings, "utf-8")
    return load_subject(folder, "countries")


def test_a_correct_pair_of_files_loads(tmp_path: Path) -> None:
    (tmp_path / "countries.tsv").write_text(TABLE, "utf-8")
    (tmp_path / "countries.toml").write_text(PHRASINGS, "utf-8")
    subject = load_subject(tmp_path, "countries")
    assert (subject.title, [entity.name for entity in subject.entities]) == (
        "Países",
        ["França", "Cuba"],
    )
    [relation] = subject.relations
    assert relation.evaluate and relation.title == "Países"
    assert relation.expects.render(subject.entities[0].words) == "Paris"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("name\tarticle", "entity\tarticle", "header"),
        ("França\ta\t", "França\tum\t", "line 2: article 'um'"),
        ("França\ta\t", "França\t\t", "line 2: name and article"),
        ("França\ta\tParis", "França\ta", "line 2: 2 cells"),
        ("Paris", " Paris", "space"),
        ("Paris", "x|Paris", "article 'x'"),
        ("Cuba", "França", "'França' is there twice"),
        ("Havana", "", "'Cuba' has no facts"),
        ("capital\n", "capital\tcapital\n", "header"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(KgptError, match=r"countries\.tsv") as error:
        load(tmp_path, table=TABLE.replace(old, new))
    assert complaint in error.value.message


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('title = "Países"', "", "missing keys ['title']"),
        ('title = "Países"', 'title = "Países"\ncolour = 1', "unknown keys ['colour']"),
        ("follow =", "folow =", "unknown keys ['folow']"),
        ('column = "capital"', 'column = "currency"', "no such column"),
        (
            "{O name} tem {capital} como capital 7.",
            "{O nome} tem {capital}.",
            "unknown slot ['nome']",
        ),
        ("{O name} tem {capital} como capital 7.", "{Um name} tem {capital}.", "slot {Um name}"),
        (
            "{O name} tem {capital} como capital 7.",
            "{O name} tem capital.",
            "does not state {capital}",
        ),
        (
            "{O name} tem {capital} como capital 7.",
            "A capital é {capital}.",
            "does not name its entity",
        ),
        ("{O name} tem {capital} como capital 7.", "{O name} tem {capital}", "full stop"),
        ("como capital 7.", "como capital 6.", "is there twice"),
        ('"{O name} tem {capital} como capital 9.", ', "", "9 training sentences"),
        ('prompts = ["A capital {do name} é"]', "prompts = []", "needs prompts and questions"),
        ("A capital {do name} é", "A capital {do name} é ", "none at the end"),
        ("A capital {do name} é", "A capital {do name}, {capital}, é", "not its answer"),
        ("Qual é a capital {do name}?", "Qual é a capital {do name}", "question mark"),
        ("como capital 7.", "{capital:dito/dita/ditos/ditas} 7.", "'Paris' needs an article"),
        ("[[relations]]", "[[relations", "countries.toml"),
    ],
)
def test_faulty_phrasings_are_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in PHRASINGS
    with pytest.raises(KgptError, match="countries") as error:
        load(tmp_path, phrasings=PHRASINGS.replace(old, new))
    assert complaint in error.value.message


def test_a_column_that_nothing_reads_is_refused(tmp_path: Path) -> None:
    table = "name\tarticle\tcapital\tmotto\nFrança\ta\tParis\tLiberdade\n"
    with pytest.raises(KgptError, match="motto"):
        load(tmp_path, table=table)


def test_a_fact_that_no_sentence_can_state_is_refused(tmp_path: Path) -> None:
    table = "name\tarticle\tcapital\triver\nFrança\ta\tParis\tSena\nCuba\t-f\tHavana\t\n"
    phrasings = PHRASINGS.replace("como capital", "junto ao {river}")
    with pytest.raises(KgptError, match="'Cuba' leaves a slot of every training sentence"):
        load(tmp_path, table=table, phrasings=phrasings)


def test_a_subject_without_its_other_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rivers.tsv").write_text(TABLE, "utf-8")
    assert subject_keys(tmp_path) == ["rivers"]
    with pytest.raises(KgptError, match=r"rivers\.toml: the file is missing"):
        load_subject(tmp_path, "rivers")


def test_a_table_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rivers.tsv").write_bytes("name\tarticle\tcapital\nFran\u00e7a".encode("latin-1"))
    with pytest.raises(KgptError, match="not UTF-8 at byte 25"):
        load_subject(tmp_path, "rivers")
