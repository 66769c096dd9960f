"""Which texts the code looks up in the catalog: an extractor for Babel, also of what stands in f-strings and in calls.

`make texts` uses it through `tests/extract_texts.cfg`; the tests of the catalog use `calls`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import IO, Any

MARKS = {"_": 1, "N_": 1, "ngettext": 2}
"""The functions that take texts, and how many of their arguments are such."""


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """The calls of these functions, and which one it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            yield node, node.func.id


def extract(
    file: IO[bytes], keywords: object, comment_tags: object, options: object
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """As Babel asks for it: line, function, text or texts, comments. A variable has been marked elsewhere."""
    found = []
    for call, name in calls(ast.parse(file.read())):
        texts = [item.value for item in call.args[: MARKS[name]] if isinstance(item, ast.Constant)]
        if texts:
            found.append((call.lineno, name, texts[0] if len(texts) == 1 else tuple(texts), []))
    yield from sorted(found, key=lambda item: item[0])
