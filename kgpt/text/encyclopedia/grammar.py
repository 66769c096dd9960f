"""The template language of the fact tables: words and templates in, correct Portuguese out.

A `Word` is a noun with its article and agreement. A `Template` is a sentence with slots:

    {name}  {capital}               the bare word of a column
    {o X} {do X} {no X} {ao X} {pelo X}     with its article, contracted; {O X} ... begins upper case
    {X:situado/situada/situados/situadas}   what agrees with X in gender and number

Nothing here knows a table: columns are names, and a row is a mapping from them to words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Masculine, feminine, masculine plural, feminine plural, and what a name without article takes.
CONTRACTIONS = {
    "o": ("o", "a", "os", "as", ""),
    "do": ("do", "da", "dos", "das", "de"),
    "no": ("no", "na", "nos", "nas", "em"),
    "ao": ("ao", "à", "aos", "às", "a"),
    "pelo": ("pelo", "pela", "pelos", "pelas", "por"),
}
_ARTICLES = {"o": 0, "a": 1, "os": 2, "as": 3}
_WITHOUT_ARTICLE = {"-m": 0, "-f": 1, "-mp": 2, "-fp": 3}
_BARE = 4
# What may stand for a name in a held-out template: up to 60 characters that end no sentence.
_ANY_NAME = r"(?:[^.\n]|\.(?=\S)){1,60}?"
_SLOT = re.compile(r"(?:(?P<form>\w+) )?(?P<column>[a-z_]\w*)(?::(?P<endings>.*))?")


class GrammarError(ValueError):
    """A word or template that breaks the rules; the message says which rule and what was found."""


@dataclass(frozen=True, slots=True)
class Word:
    """A noun; `agreement` is 0-3 (o, a, os, as) and None where a table leaves it open."""

    text: str
    agreement: int | None = None
    has_article: bool = False

    @classmethod
    def parse(cls, text: str, article: str = "") -> Word:
        """Build a word from `text` and one of o a os as -m -f -mp -fp; raises GrammarError for another article."""
        if not article:
            return cls(text)
        agreement = (_ARTICLES | _WITHOUT_ARTICLE).get(article)
        if agreement is None:
            raise GrammarError(
                f"article {article!r}: expected one of {' '.join(_ARTICLES | _WITHOUT_ARTICLE)}"
            )
        return cls(text, agreement, article in _ARTICLES)

    @classmethod
    def parse_cell(cls, cell: str) -> Word:
        """Read a table cell: `Paris`, `o|iene` or `-f|Cuba`."""
        article, bar, text = cell.rpartition("|")
        if not text.strip() or (bar and not article):
            raise GrammarError(f"cell {cell!r}: expected VALUE or ARTICLE|VALUE")
        return cls.parse(text, article)

    def after(self, form: str) -> str:
        """Return the word behind its article or contraction: `do` gives "da França", "de Portugal"."""
        index = self.agreement if self.has_article and self.agreement is not None else _BARE
        particle = CONTRACTIONS[form][index]
        return f"{particle} {self.text}" if particle else self.text


Row = Mapping[str, Word]


@dataclass(frozen=True, slots=True)
class Literal:
    """Fixed text."""

    text: str

    def render(self, row: Row) -> str:
        """Return the text."""
        return self.text

    def pattern(self) -> str:
        """Return a regular expression for the text itself."""
        return re.escape(self.text)


@dataclass(frozen=True, slots=True)
class Slot:
    """A column's word, bare (form "") or behind a contraction, which {O X} begins upper case."""

    column: str
    form: str = ""
    upper: bool = False

    def render(self, row: Row) -> str:
        """Return the word, with its particle."""
        word = row[self.column]
        text = word.after(self.form) if self.form else word.text
        return text[:1].upper() + text[1:] if self.upper else text

    def pattern(self) -> str:
        """Return a regular expression for any name in the slot."""
        if not self.form:
            return _ANY_NAME
        particles = "|".join(filter(None, CONTRACTIONS[self.form]))
        optional = "?" if self.form == "o" else ""
        return f"(?:(?:{particles}) ){optional}{_ANY_NAME}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """One of four forms, chosen by a column's gender and number."""

    column: str
    forms: tuple[str, ...]

    def render(self, row: Row) -> str:
        """Return the form that agrees; raises GrammarError for a word of unknown gender."""
        agreement = row[self.column].agreement
        if agreement is None:
            raise GrammarError(
                f"{row[self.column].text!r} has no article, so nothing can agree with it"
            )
        return self.forms[agreement]

    def pattern(self) -> str:
        """Return a regular expression for any of the forms."""
        return f"(?:{'|'.join(map(re.escape, dict.fromkeys(self.forms)))})"


Piece = Literal | Slot | Agreement


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template; `columns` are all that it reads, `agreeing` those whose gender it needs."""

    source: str
    pieces: tuple[Piece, ...]
    columns: frozenset[str]
    agreeing: frozenset[str]

    @classmethod
    def parse(cls, source: str) -> Template:
        """Parse `source`; raises GrammarError that quotes the faulty slot."""
        pieces = tuple(
            _parse_piece(part, source) for part in re.split(r"(\{[^{}]*\})", source) if part
        )
        columns = frozenset(piece.column for piece in pieces if not isinstance(piece, Literal))
        agreeing = frozenset(piece.column for piece in pieces if isinstance(piece, Agreement))
        return cls(source, pieces, columns, agreeing)

    def render(self, row: Row) -> str:
        """Fill the slots."""
        return "".join(piece.render(row) for piece in self.pieces)

    def sentence(self, row: Row) -> str:
        """Fill the slots and begin upper case."""
        text = self.render(row)
        return text[:1].upper() + text[1:]

    def pattern(self) -> re.Pattern[str]:
        """Compile the template with its names removed: any name, every contraction, any case."""
        pieces = self.pieces
        if isinstance(pieces[0], Slot) and pieces[0].form in ("", "o"):
            pieces = pieces[1:]  # any text may precede: what remains is fixed words
        body = "".join(piece.pattern() for piece in pieces)
        start = r"\b" if pieces and _is_word(_edge_text(pieces[0])[:1]) else ""
        end = r"\b" if pieces and _is_word(_edge_text(pieces[-1])[-1:]) else ""
        return re.compile(start + body + end, re.IGNORECASE)

    def longest_literal(self) -> str:
        """Return the longest fixed text, lower case: a text without it cannot match `pattern`."""
        return max(
            (p.text.lower() for p in self.pieces if isinstance(p, Literal)), key=len, default=""
        )


def _is_word(character: str) -> bool:
    return character.isalnum()


def _edge_text(piece: Piece) -> str:
    if isinstance(piece, Literal):
        return piece.text
    return piece.forms[0] if isinstance(piece, Agreement) else (piece.form or "")


def _parse_piece(part: str, source: str) -> Piece:
    if not part.startswith("{"):
        if "{" in part or "}" in part:
            raise GrammarError(f"a brace without its partner in {source!r}")
        return Literal(part)
    match = _SLOT.fullmatch(part[1:-1])
    if match is None:
        raise GrammarError(
            f"slot {part}: expected {{column}}, {{o column}} or {{column:m/f/mp/fp}}"
        )
    form, column, endings = match["form"], match["column"], match["endings"]
    if endings is not None:
        return _parse_agreement(part, form, column, endings)
    if form is not None and form.lower() not in CONTRACTIONS:
        raise GrammarError(
            f"slot {part}: expected one of {' '.join(CONTRACTIONS)} before the column"
        )
    return Slot(column, form.lower(), form[0].isupper()) if form else Slot(column)


def _parse_agreement(part: str, form: str | None, column: str, endings: str) -> Agreement:
    forms = tuple(endings.split("/"))
    if form is not None or len(forms) != len(_ARTICLES):
        raise GrammarError(f"slot {part}: expected {{column:m/f/mp/fp}} with exactly four forms")
    return Agreement(column, forms)
