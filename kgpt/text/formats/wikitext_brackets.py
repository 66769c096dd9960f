"""The brackets of wikitext: links, templates and tables, one in the other.

In: wikitext without comments and tags. Out: the text without brackets. Tables go, links leave their label, templates
leave what `wikitext_templates.rendered` makes of them. Each bracket is met once; one without a partner goes alone.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from kgpt.text.formats.wikitext_templates import rendered

_BRACKETS = re.compile(r"\[\[|\]\]|\{\{|\}\}|\{\||\|\}(?!\})")
_LINE_START = re.compile(r"(?:^|\n)[ \t:]*+$")
"""What stands before the brackets of a table, which are text elsewhere."""
_PARTNER = {"]]": "[[", "}}": "{{", "|}": "{|"}
_LEFT_OVER = re.compile(r"\[\[+|\]\]+|\{\{+|\}\}+")
"""Single brackets may meet where those between them are gone."""
_DEEPEST = 64
"""Brackets in brackets beyond this are dropped, so that text is not copied from level to level without end."""
_MEDIA = re.compile(
    r"\s*(?:file|image|media|ficheiro|imagem|arquivo|archivo|imagen|fichier|datei|bild|immagine|bestand|"
    r"afbeelding|plik|файл|изображение|ファイル|文件|파일|ملف)\s*:"
    r"|[^|\n]+\.(?:jpe?g|png|svg|gif|tiff?|webp|og[gv]|webm|mp3|pdf)\s*(?:\||$)",
    re.IGNORECASE,
)
_CATEGORY = re.compile(
    r"\s*(?:category|categoria|categoría|catégorie|kategorie|kategoria|kategori|categorie|категория|"
    r"カテゴリ|分类|分類|분류|تصنيف)\s*:",
    re.IGNORECASE,
)
_LANGUAGE = re.compile(r"\s*(?:[a-z]{2,3}|simple|[a-z]{2,3}-[a-z-]{2,12})\s*:\s*(?=\S)")
"""The prefix of a link to the same article in another language, or in another project."""


@dataclass
class _Open:
    """A bracket that is open, and what has come after it."""

    kind: str
    parts: list[str] = field(default_factory=list)


def without_brackets(text: str) -> str:
    """`text` without links, templates and tables, and what is to stay of them."""
    stack = [_Open("")]
    open_kinds: Counter[str] = Counter()
    start = 0
    for match in _BRACKETS.finditer(text):
        kind = match[0]
        if "|" in kind and not _LINE_START.search(text[max(0, match.start() - 20) : match.start()]):
            continue
        stack[-1].parts.append(text[start : match.start()])
        start = match.end()
        if kind not in _PARTNER:
            if len(stack) <= _DEEPEST:
                stack.append(_Open(kind))
                open_kinds[kind] += 1
        elif open_kinds[_PARTNER[kind]]:
            is_closed = False
            while not is_closed:
                last = stack.pop()
                open_kinds[last.kind] -= 1
                is_closed = last.kind == _PARTNER[kind]
                inner = "".join(last.parts)
                stack[-1].parts.append(
                    _closed(last.kind, inner) if is_closed else _unclosed(last.kind, inner)
                )
    stack[-1].parts.append(text[start:])
    while len(stack) > 1:
        last = stack.pop()
        stack[-1].parts.append(_unclosed(last.kind, "".join(last.parts)))
    return _LEFT_OVER.sub("", "".join(stack[0].parts))


def _closed(kind: str, inner: str) -> str:
    if kind == "[[":
        return _link(inner)
    return rendered(inner) if kind == "{{" else ""


def _unclosed(kind: str, inner: str) -> str:
    """What stays of a bracket without a partner: all but, of a link or template, the marks on its line."""
    if kind == "{|":
        return inner
    first, line_end, rest = inner.partition("\n")
    return (_link(first) if kind == "[[" else first.rpartition("|")[2]) + line_end + rest


def _link(inner: str) -> str:
    """The words that a link shows."""
    target, bar, label = inner.partition("|")
    if not target.lstrip().startswith(":") and (
        _MEDIA.match(inner) or _CATEGORY.match(inner) or (not bar and _LANGUAGE.match(inner))
    ):
        return ""
    if bar and label.strip():
        return label
    shown = target.strip(" :")
    # The pipe trick: [[Mercury (planet)|]] shows Mercury.
    return shown[: shown.rfind("(")].rstrip() if bar and shown.endswith(")") else shown
