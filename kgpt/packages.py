"""Packages: a name in, the imported module out, or how to install it; names in, their versions out."""

from __future__ import annotations

import importlib
import platform
from types import ModuleType

from kgpt.errors import KgptError
from kgpt.language import _


def optional_package(name: str, extra: str, purpose: str) -> ModuleType:
    """The module `name`, which `purpose` (the beginning of a sentence) needs.

    Raises:
        KgptError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise KgptError(
            _("A package is missing"),
            _(
                "{purpose} needs {partition}: {error}.",
                purpose=purpose,
                partition=name.partition(".")[0],
                error=error,
            ),
            _("Install it with: pip install 'kgpt[{extra}]'", extra=extra),
        ) from error


def versions_of(*names: str) -> dict[str, str]:
    """Versions of Python and of those of the packages that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
