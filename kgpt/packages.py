"""Packages that an extra of kgpt brings: a name in, the imported module out, or how to install it."""

from __future__ import annotations

import importlib
from types import ModuleType

from kgpt.errors import KgptError


def optional_package(name: str, extra: str, purpose: str) -> ModuleType:
    """The module `name`, which `purpose` (the beginning of a sentence) needs.

    Raises:
        KgptError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise KgptError(
            "A package is missing",
            f"{purpose} needs {name.partition('.')[0]}: {error}.",
            f"Install it with: pip install 'kgpt[{extra}]'",
        ) from error
