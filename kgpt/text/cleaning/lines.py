"""Cleaning of lines: those that occur again in a document, and those that come from the page around a text."""

from __future__ import annotations

from kgpt.text.cleaning.values import LISTS, Change, whole_number

REPEATED_CHARACTERS = 30
_NOTICE_CHARACTERS = 250


def repeated(value: str) -> Change:
    """Later copies of a line within a document go, if it has `value` characters or more.

    The measure is that of Gopher's rules (Rae et al. 2021, appendix A: a document's share of duplicate lines), but the
    copies go and the document stays. Shorter lines stay: dialogue and verse repeat them with intent.
    """
    shortest = whole_number(value, "repeated-lines", 1 << 20) if value else REPEATED_CHARACTERS

    def change(text: str) -> str:
        lines = text.split("\n")
        if len(set(lines)) == len(lines):
            return text
        seen: set[str] = set()
        kept = []
        for line in lines:
            content = line.strip()
            if len(content) >= shortest:
                if content in seen:
                    continue
                seen.add(content)
            kept.append(line)
        return "\n".join(kept)

    return change


def boilerplate(_: str) -> Change:
    """Lines go that are an entry of a menu, or are short and contain the words of a notice.

    In the spirit of C4's rules (Raffel et al. 2020, section 2.2), which drop lines and pages about cookies, JavaScript
    and terms of use. The words are in `lists/menus.txt` and `lists/notices.txt`.
    """
    menus = frozenset(_phrases("menus.txt"))
    notices = _phrases("notices.txt")

    def change(text: str) -> str:
        lowered = text.lower()
        present = [notice for notice in notices if notice in lowered]
        lines = text.split("\n")
        kept = [line for line in lines if not _is_boilerplate(line, menus, present)]
        return text if len(kept) == len(lines) else "\n".join(kept)

    return change


def _is_boilerplate(line: str, menus: frozenset[str], notices: list[str]) -> bool:
    if len(line) > _NOTICE_CHARACTERS:
        return False
    if len(line) < 40 and line.strip(" \t\r|·•»›>-–—*[]().:").lower() in menus:
        return True
    return bool(notices) and any(notice in line.lower() for notice in notices)


def _phrases(name: str) -> list[str]:
    lines = (LISTS / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
