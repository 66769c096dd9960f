"""The catalog of translations has every text of the code, and every text of the code can be looked up in it."""

from __future__ import annotations

import ast
import io
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from extract_texts import MARKS, calls, help_of

from kgpt import language

ROOT = Path(__file__).parents[2]
FOLDER = language.LOCALE / language.PORTUGUESE / "LC_MESSAGES"


@dataclass(frozen=True)
class Use:
    """A place of the code where a text is looked up or marked."""

    where: str
    call: ast.Call
    name: str

    @property
    def texts(self) -> tuple[str, ...]:
        """The English texts; the test fails where one is not a literal."""
        found = []
        for argument in self.call.args[: MARKS[self.name]]:
            if self.name == "_" and not isinstance(argument, ast.Constant | ast.JoinedStr):
                return ()  # a variable: the table that it comes from has marked it
            assert isinstance(argument, ast.Constant), f"{self.where}: no literal text"
            found.append(str(argument.value))
        return tuple(found)


@cache
def files() -> tuple[tuple[str, ast.Module], ...]:
    """Every file of the two packages, and its syntax."""
    paths = [path for package in ("kgpt", "workbench") for path in (ROOT / package).rglob("*.py")]
    return tuple(
        (str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(paths)
    )


def uses() -> list[Use]:
    return [
        Use(f"{file}:{call.lineno}", call, name)
        for file, tree in files()
        for call, name in calls(tree)
        if file != "kgpt/language.py"
    ]


def places(text: str) -> set[str]:
    """What stands in braces, with conversion and format, and what stands after `%`."""
    named = {
        f"{name}!{conversion}:{form}"
        for _, name, form, conversion in string.Formatter().parse(text)
        if name is not None
    }
    return named | set(re.findall(r"%\(\w+\)[sdr]|%[sdr]", text))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    with (FOLDER / "kgpt.po").open("rb") as file:
        return read_po(file, locale=language.PORTUGUESE)


def test_every_text_of_the_code_is_translated(catalog: Catalog) -> None:
    missing = []
    for use in uses():
        for text in use.texts[:1]:
            message = catalog.get(text)
            strings = message.string if message else ""
            if not message or not strings or not all(strings) or message.fuzzy:
                missing.append(f"{use.where}: {text!r}")
    assert not missing, "run `make texts`, and translate: " + "\n".join(missing)


def test_every_translation_has_its_text(catalog: Catalog) -> None:
    helps = {text for _file, tree in files() if (text := help_of(tree))}
    marked = helps | {text for use in uses() for text in use.texts}
    known = {text for m in catalog if m.id for text in (m.id if m.pluralizable else (m.id,))}
    assert known == marked


def test_placeholders_are_those_of_the_text(catalog: Catalog) -> None:
    wrong = []
    for message in catalog:
        if not message.id:
            continue
        pairs = (
            zip(message.id, message.string, strict=True)
            if message.pluralizable
            else [(message.id, message.string)]
        )
        wrong += [pair for pair in pairs if places(pair[0]) != places(pair[1])]
    assert not wrong


def test_values_are_those_that_the_text_names() -> None:
    """A call that gives values gives each that the text has a place for, and no other."""
    wrong = []
    for use in uses():
        given = {item.arg for item in use.call.keywords} | (
            {"count"} if use.name == "ngettext" else set()
        )
        if not use.texts or use.name == "N_" or (use.name == "_" and not given):
            continue
        for text in use.texts:
            named = {
                str(name).split(".")[0]
                for _, name, _, _ in string.Formatter().parse(text)
                if name is not None
            }
            if named != given and not (use.name == "ngettext" and named | {"count"} == given):
                wrong.append(f"{use.where}: {text!r} gets {sorted(map(str, given))}")
    assert not wrong


def test_a_text_with_places_gets_values() -> None:
    """Braces without values would be shown as they are."""
    bare = [
        f"{use.where}: {text!r}"
        for use in uses()
        if use.name == "_" and not use.call.keywords
        for text in use.texts
        if re.search(r"\{(?!instruction\})[a-z_]+[}:!]", text)  # a template's own place
    ]
    assert not bare


def bound_names(function: ast.AST) -> set[str]:
    """Names that a function binds, arguments and targets alike."""
    nodes = list(ast.walk(function))
    names = {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return names | {node.arg for node in nodes if isinstance(node, ast.arg)}


def test_no_function_that_translates_binds_the_name() -> None:
    """`for _ in ...` would hide the function, and type checkers pass over this one name."""
    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    hidden = [
        f"{file}:{node.lineno}"
        for file, tree in files()
        for node in ast.walk(tree)
        if isinstance(node, scopes) and any(name == "_" for _call, name in calls(node))
        if "_" in bound_names(node)
    ]
    assert not hidden


def test_the_compiled_catalog_is_that_of_the_source(catalog: Catalog) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    assert (FOLDER / "kgpt.mo").read_bytes() == compiled.getvalue(), "run `make texts`"


# === Texts that nobody has marked ===

PROSE = re.compile(r"[^\W\d_]{2,}[,.:;)]* +[^\W\d_]+")
"""Two words."""
HARMLESS = re.compile(r"\s*(kgpt|--[a-z])|(bold |on )*\$[a-z]|tuple\[")
"""Command lines, styles, types."""
LITERALS = {
    "temperature top_k top_p min_p typical_p repetition_penalty frequency_penalty presence_penalty"
    " no_repeat_ngram_size",
    "prompt state text tokens reason seconds number parent partner prompt_ids has_exact_prompt"
    " context_length",
    "prompt and text must be texts",
    "rows of other lengths",
    "model name",
    "### kgpt",
    "GPU ",
    "A cachorra viu o menino 🔥",
    "A cachorra viu o menino, e ela",
}
"""Names, examples, and what no user sees."""


def unmarked(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Literals that are neither docstrings nor looked up nor patterns."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in MARKS or name.startswith("re."):
                skipped |= {id(inner) for part in node.args for inner in ast.walk(part)}
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("DEFAULT_CSS", "CSS"):
            skipped |= {id(inner) for inner in ast.walk(node)}
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if annotation is not None:
            skipped |= {id(inner) for inner in ast.walk(annotation)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in skipped
        ):
            yield node.lineno, node.value


SHOWN = {"border_title", "border_subtitle", "placeholder", "tooltip", "title", "label"}
"""Attributes and keywords whose value people read, though it be one word."""


def shown_words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Literals that a widget is given to show."""
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call):
            values += [item.value for item in node.keywords if item.arg in SHOWN]
            if ast.unparse(node.func).rpartition(".")[2] in ("Label", "Button", "notify", "muted"):
                values += node.args[:1]
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            values += [node.value] * (node.targets[0].attr in SHOWN)
        for value in values:
            if isinstance(value, ast.Constant) and re.search("[A-Za-z]{2}", str(value.value)):
                yield node.lineno, str(value.value)


def test_no_text_of_the_workbench_is_unmarked() -> None:
    found = []
    for name, tree in files():
        if not name.startswith("workbench/"):
            continue
        for line, text in unmarked(tree):
            if PROSE.search(text) and not HARMLESS.match(text) and text not in LITERALS:
                found.append(f"{name}:{line}: {text!r}")
        for line, text in shown_words(tree):
            if not HARMLESS.match(text):
                found.append(f"{name}:{line}: {text!r}")
    assert not found, "\n".join(found)


def test_the_search_for_unmarked_texts_finds_them() -> None:
    tree = ast.parse(
        "def f():\n"
        "    pane.border_title = 'report'\n"
        "    self.notify(f'{name} is gone.')\n"
        "    text = 'Nothing has failed.'\n"
        "    style = 'bold $error'\n"
        "    yield Label('name')\n"
        "    known = _('Deleted for good')\n"
    )
    assert sorted(line for line, text in unmarked(tree) if PROSE.search(text)) == [3, 4]
    assert sorted(line for line, _ in shown_words(tree)) == [2, 6]
