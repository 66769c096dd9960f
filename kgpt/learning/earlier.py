"""Parts that an earlier lesson built: its number in, a module with the code of its cells tagged `part` out."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import kgpt
from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.packages import optional_package


def parts(lesson: str) -> ModuleType:
    """The module of what lesson `lesson`, such as `15`, built: its cells tagged `part`, run in their order, once.

    Raises:
        KgptError: the lessons' sources are not beside kgpt, or this lesson has no such cells.
    """
    name = f"kgpt_lesson_{int(lesson):02d}"
    if name in sys.modules:
        return sys.modules[name]
    path = _source(lesson)
    code = "\n\n".join(_part_cells(path))
    if not code:
        raise KgptError(
            _("Nothing to take from this lesson"),
            _("No cell of {file} is tagged `part`.", file=path.name),
            _("Lessons 6, 8, 11, 14 and 15 have such cells."),
        )
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # Keras and dataclasses look a class's module up
    try:
        exec(compile(code, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _source(lesson: str) -> Path:
    folder = Path(kgpt.__file__).parents[1] / "notebooks" / "source"
    found = sorted(folder.glob(f"{int(lesson):02d}_*.py"))
    if not found:
        raise KgptError(
            _("The lesson's source is missing"),
            _("Expected {path}.", path=folder / f"{int(lesson):02d}_*.py"),
            _("Install kgpt from a clone: pip install -e '.[learn]' in its folder."),
        )
    return found[0]


def _part_cells(path: Path) -> list[str]:
    jupytext = optional_package("jupytext", "learn", "Reading a lesson")
    cells = jupytext.read(path).cells
    return [str(cell.source) for cell in cells if "part" in cell.metadata.get("tags", [])]
