"""From wikitext, the markup of Wikipedia, to plain text.

In: an article. Out: its running text, headings and list items, a line each. Infoboxes, tables, references, pictures,
categories, comments and most templates go; links and formatting leave their words. Each step looks at a character a
bounded number of times, so that no page, however broken, takes long. Parsers that build a tree of the page are twenty
times slower and leave more behind.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from kgpt.text.formats.wikitext_brackets import without_brackets

_COMMENT = re.compile(r"<!--|-->")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)([^<>]*+)>")
_DROPPED = frozenset(
    "ref references gallery timeline imagemap score table syntaxhighlight source graph mapframe hiero inputbox"
    " categorytree templatedata chem ce style section".split()
)
"""Elements that go with what is in them."""
_BREAKS = frozenset(("br", "p", "div", "li", "tr", "hr", "blockquote", "poem"))
"""Elements whose tags end a line."""
_NOWIKI, _END_NOWIKI = "\ufdd0", "\ufdd1"
"""What stands around the number of a text that is no markup; no text may have these characters."""
_KEPT = re.compile(f"{_NOWIKI}(\\d+){_END_NOWIKI}")
_EXTERNAL_LINK = re.compile(r"\[(?:https?:|ftp:)?//[^\s\[\]]*+[ \t]*+([^\[\]\n]*+)\]")
_RESIDUE = re.compile(r"'{2,}|\[{2,}|\]{2,}|\{{2,}|\}{2,}|<!--|</?ref\w*")
_SIGNS = str.maketrans("", "", "'[]{}<")
_MAGIC_WORD = re.compile(r"__[^\W\d_a-z]+__")
_HEADING = re.compile(r"(={1,6})([^\n]+?)\1[ \t]*")
_LIST_MARKS = re.compile(r"[*#:;]+[ \t]*|-{4,}")
_TABLE_REST = re.compile(r"\||!|\{\|")
_EMPTY_BRACKETS = re.compile(r"[ \t]?\([ \t,;:]*\)")
_OPEN_BRACKET = re.compile(r"\([ \t]*[,;][ \t,;]*")
_SPACES = re.compile(r"[ \t]{2,}")
_SPACE_BEFORE_MARK = re.compile(r"(?<=\w)[ \t]+(?=[,.)](?:\s|$))")
_EMPTY_LINES = re.compile(r"\n{3,}")


def plain_text(wikitext: str) -> str:
    """The words of an article without its markup.

    Args:
        wikitext: as MediaWiki keeps it; the title may stand before it on a line of its own.
    """
    text = wikitext.replace(_NOWIKI, "").replace(_END_NOWIKI, "")
    kept: list[str] = []
    text = _without_tags(_without_comments(text), kept)
    text = without_brackets(text)
    text = _EXTERNAL_LINK.sub(r"\1", text)
    text = _MAGIC_WORD.sub("", text)
    text = "\n".join(_without_empty_sections(_without_residue(text)))
    text = html.unescape(_KEPT.sub(lambda match: kept[int(match[1])], text))
    text = _OPEN_BRACKET.sub("(", _EMPTY_BRACKETS.sub("", text))
    text = _SPACE_BEFORE_MARK.sub("", _SPACES.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", text).strip()


def _without_residue(text: str) -> str:
    """Without quotes for bold and italic, brackets that had no partner, and those that nothing is left in."""
    for _ in range(
        4
    ):  # what goes may leave others side by side; beyond a few times the page is a broken one
        text, count = _RESIDUE.subn("", text)
        text, brackets = _EMPTY_BRACKETS.subn("", text)
        if not count + brackets:
            return text
    return text.translate(_SIGNS)


def _without_comments(text: str) -> str:
    """Comments go, and one that is never closed to the end of the page."""
    if "<!--" not in text:
        return text
    parts, start, is_inside = [], 0, False
    for mark in _COMMENT.finditer(text):
        is_opening = mark[0] == "<!--"
        if is_opening and not is_inside:
            parts.append(text[start : mark.start()])
        if is_inside and not is_opening:
            start = mark.end()
        is_inside = is_opening
    if not is_inside:
        parts.append(text[start:])
    return "".join(parts)


def _without_tags(text: str, kept: list[str]) -> str:
    """Tags go, some with what is between them; what stands in `<nowiki>` goes to `kept`, its number in its place."""
    parts: list[str] = []
    start = 0
    inside = ""
    last_end = {match[2].lower(): match.start() for match in _TAG.finditer(text) if match[1]}
    for match in _TAG.finditer(text):
        name = match[2].lower()
        if inside:
            if not (name == inside and match[1]):
                continue
            parts.append(_inside(name, text[start : match.start()], kept))
            inside, start = "", match.end()
            continue
        parts.append(text[start : match.start()])
        start = match.end()
        is_opening = not match[1] and not match[3].endswith("/")
        if is_opening and name in _WHOLE and last_end.get(name, -1) > match.start():
            inside = name
        elif name in _BREAKS:
            parts.append("\n")
    parts.append(text[start:])
    return "".join(parts)


def _inside(name: str, text: str, kept: list[str]) -> str:
    """What stays of an element with its text."""
    if name == "nowiki":
        kept.append(text)
        return f"{_NOWIKI}{len(kept) - 1}{_END_NOWIKI}"
    if name == "math" and not any(sign in text for sign in "\\{}"):
        return text.strip()
    return ""


_WHOLE = _DROPPED | {"nowiki", "math"}
"""Elements that are looked at as a whole."""


def _without_empty_sections(text: str) -> Iterator[str]:
    """The lines, without list marks, rests of tables, and headings that nothing follows."""
    headings: list[tuple[int, str]] = []
    for line in text.split("\n"):
        line = line.strip()
        heading = _HEADING.fullmatch(line) if line.startswith("=") else None
        if heading:
            level = len(heading[1])
            while headings and headings[-1][0] >= level:
                headings.pop()
            headings.append((level, heading[2].strip(" \t=")))
            continue
        if _TABLE_REST.match(line):
            continue
        line = line[found.end() :] if (found := _LIST_MARKS.match(line)) else line
        if line:
            for _, title in headings:
                yield from ("", title, "") if title else ()
            headings = []
        yield line
