"""Wikipedia dumps, and the cleaning of wikitext."""

from __future__ import annotations

import bz2
import random
import time
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.text.formats import compression
from kgpt.text.formats.wikitext import plain_text
from kgpt.text.sources import ReadOptions, expand_sources, read_source
from tests.kgpt.text.read_files import read, read_skipping


def page(title: str, text: str, namespace: int = 0, more: str = "", model: str = "wikitext") -> str:
    return (
        f"<page><title>{escape(title)}</title><ns>{namespace}</ns><id>1</id>{more}<revision><id>2</id>"
        f'<contributor><username>text</username></contributor><model>{model}</model><text bytes="1" '
        f'xml:space="preserve">{escape(text)}</text></revision></page>\n'
    )


START = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="pt"><siteinfo>'
    '<namespaces><namespace key="0"/></namespaces></siteinfo>\n'
)
PAGES = [
    page("Água & vinho", "'''Água''' é [[líquido]].\r\n\n[[Categoria:Água]]"),
    page("Aqua", "#REDIRECT [[Água]]", more='<redirect title="Água"/>'),
    page("Discussão:Água", "conversa", namespace=1),
    page("A.css", "body {}", model="css"),
    page("Vazia", " "),
    page("*Asterisco", "É um sinal."),
]


def test_articles_without_redirects_and_other_pages(tmp_path: Path) -> None:
    streams = [START, *PAGES, "</mediawiki>"]
    (tmp_path / "w.xml.bz2").write_bytes(b"".join(bz2.compress(item.encode()) for item in streams))
    (source,) = expand_sources([tmp_path])
    pieces = list(read_source(source, ReadOptions()))
    assert {piece.markup for piece in pieces} == {"wikitext"}
    assert [plain_text(piece.text) for piece in pieces] == [
        "Água & vinho\n\nÁgua é líquido.",
        "*Asterisco\n\nÉ um sinal.",
    ]


def test_the_parts_of_a_dump_are_known_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "ptwiki-pages-articles1.xml-p1p41242.bz2"
    path.write_bytes(bz2.compress((START + PAGES[0] + "</mediawiki>").encode()))
    assert len(read(path)) == 1


@pytest.mark.parametrize("block", [1 << 20, 7])
def test_a_cut_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(compression, "BLOCK", block)
    (tmp_path / "w.xml").write_text(START + PAGES[0] + "<page><title>Sem")
    with pytest.raises(KgptError, match=r"w\.xml:5: .*, after 1 pages"):
        read(tmp_path / "w.xml")
    texts, skipped = read_skipping(tmp_path / "w.xml")
    assert len(texts) == 1 and [reason for reason, _ in skipped] == ["Not XML"]


def test_other_xml_is_no_dump(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<TEI><text>a</text></TEI>")
    with pytest.raises(KgptError, match=r"a\.xml: expected an export of MediaWiki.*<TEI>"):
        read(tmp_path / "a.xml")


PORTUGUESE = """{{Info/Município do Brasil
| nome = Ouro Preto
| lista = {{lista|a|{{b}}}}
}}
[[Ficheiro:Igreja.jpg|thumb|right|250px|Igreja de [[São Francisco]] em ''Ouro Preto''.]]
'''Ouro Preto''' é um [[município]] [[brasil]]eiro de [[Minas Gerais|Minas]].<ref name="a">{{citar web
|url=http://x.y|titulo=Z}}</ref> Fundada em {{dtlink|24|6|1698}}, foi<ref name="a" /> a capital.<!-- um
comentário --> Tem {{formatnum:74000}} habitantes&nbsp;&mdash; mais {{convert|5|km|mi}}.

== História ==
{{Artigo principal|História de Ouro Preto}}
A cidade<ref>Um livro, p. 3.</ref> nasceu da ''mineração''. Seja <math>E = mc^2</math> e H<sub>2</sub>O.

=== Século XVIII ===
* Primeiro com [[ligação|texto]]
** Segundo
# Numerado
; Termo
: Definição

{| class="wikitable"
! Ano !! População
|-
| 1990 || 60 000
|-
| 2000 ||
{| class="x"
| aninhada
|}
|}
<gallery>
Ficheiro:A.jpg|Legenda
</gallery>
Depois, com [http://exemplo.org uma página] e [[Mercúrio (planeta)|]].

== Referências ==
{{Referências}}

== Ligações externas ==
* {{Oficial|http://x}}

{{DEFAULTSORT:Ouro Preto}}
[[Categoria:Municípios|*]]
[[en:Ouro Preto]]
__NOTOC__
"""
PORTUGUESE_TEXT = """Ouro Preto é um município brasileiro de Minas. Fundada em 24 de junho de 1698, foi a capital. \
Tem 74000 habitantes\xa0— mais 5 km.

História

A cidade nasceu da mineração. Seja E = mc^2 e H2O.

Século XVIII

Primeiro com texto
Segundo
Numerado
Termo
Definição

Depois, com uma página e Mercúrio."""
ENGLISH = """{{Short description|American physicist}}
{{Infobox scientist
| birth_date = {{birth date|1918|5|11}}
| spouse = {{plainlist|
* {{marriage|Arline|1942}}
}}
}}
[[File:Feynman.png|thumb|upright=1.2|alt=A man|Feynman {{circa|1960}} [[Nobel Prize|Nobel]] ([[File:x.svg|20px]])]]
'''Richard Feynman''' ({{IPAc-en|f|aɪ}}; May 11, 1918{{spaced ndash}}1988) was an [[theoretical physics|American \
physicist]].{{sfn|Gleick|1992}} He &amp; ''[[bongo]]'' drums.<ref>{{cite book |last=G |title=T}}</ref>{{cn|date=June}}

==Early life==
He said: {{quote|What I cannot create, I do not understand.|Feynman}}
<blockquote>Physics.</blockquote>
<nowiki>[[not a link]]</nowiki> costs {{US$|5}} in {{lang|fr|Paris}}; see [[:Category:Physics]].
{{reflist}}
[[Category:Physicists]]
[[pt:Richard Feynman]]
"""
ENGLISH_TEXT = """Richard Feynman (May 11, 1918 – 1988) was an American physicist. He & bongo drums.

Early life

He said: What I cannot create, I do not understand.

Physics.

[[not a link]] costs US$5 in Paris; see Category:Physics."""


@pytest.mark.parametrize(
    ("wikitext", "text"), [(PORTUGUESE, PORTUGUESE_TEXT), (ENGLISH, ENGLISH_TEXT)]
)
def test_articles_become_plain_text(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("a [[Ficheiro:b.jpg|thumb|sem fim\nc", "a\nc"),
        ("a {{predefinição sem fim\nb", "a predefinição sem fim\nb"),
        ("a ]] b }} c", "a b c"),
        ("[[a {{b ]] c", "a b c"),
        ("a <!-- sem fim", "a"),
        ("a <ref>sem fim", "a sem fim"),
        ("{| \n| a\n\nb", "b"),
        ("a '''b\nc''' d", "a b\nc d"),
        ("3 < 5 e 7 > 2", "3 < 5 e 7 > 2"),
        ("f(x) = {x | x > 1}", "f(x) = {x | x > 1}"),
        ("<math>\\frac{{a}}{b}</math>", ""),
    ],
)
def test_broken_and_unusual_markup(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


MARKUP = st.sampled_from(
    [
        "[[",
        "]]",
        "{{",
        "}}",
        "{|",
        "|}",
        "|",
        "\n",
        "=",
        "==",
        "''",
        "<ref>",
        "</ref>",
        "<ref/>",
        "<!--",
    ]
    + [
        "-->",
        "[http://a ",
        "]",
        "File:a.jpg",
        "|thumb",
        "a",
        " ",
        "*",
        "<nowiki>",
        "<b>",
        ":",
        "&amp;",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MARKUP, max_size=40).map("".join))
def test_no_markup_is_left_of_any_page(wikitext: str) -> None:
    text = plain_text(wikitext.replace("<nowiki>", ""))
    for residue in ("[[", "]]", "{{", "}}", "<ref", "<!--", "''"):
        assert residue not in text


def test_no_page_takes_long() -> None:
    started = time.process_time()
    parts = [
        "[[",
        "{{",
        "{|\n",
        "<ref>",
        "<!--",
        "]]",
        "[http://",
        "<a",
        "= ",
        "[[a|",
        "{{a|",
        "( ",
    ]
    for part in [*parts, "<nowiki>", "|}\n", "[[a (|]]", "__A", " ", "<ref></ref>"]:
        plain_text(part * (100_000 // len(part)))
    choice = random.Random(1)
    plain_text("".join(choice.choice(parts) for _ in range(100_000)))
    assert time.process_time() - started < 10
