"""Answers checked: what the reader's code gave and what is right in; one friendly line out.

An answer of `None` or `...` is an exercise that nobody has solved yet. With `KGPT_LEARN_STRICT=1`, which the build of
the notebooks sets, a wrong answer is an error, so that no lesson is published with a claim that does not hold.
"""

from __future__ import annotations

import os
from typing import Any

from kgpt.learning.language import number, say

STRICT = "KGPT_LEARN_STRICT"
RIGHT = "✓"
NOT_YET = "○"


def check(name: str, got: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Print whether `got` is `expected`.

    Args:
        name: what is checked, in the notebook's language.
        got: a number, an array (NumPy's or Keras'), a text, or a list, tuple, set or dictionary of them.
        expected: the right answer.
        tolerance: the largest absolute difference allowed between numbers.

    Raises:
        ValueError: it is not, and `KGPT_LEARN_STRICT` is 1.
    """
    if _is_unsolved(got):
        _not_solved(name)
    elif problem := _difference(got, expected, tolerance):
        _wrong(name, problem)
    else:
        print(f"{RIGHT} {name}: {say('certo', 'right')}")


def check_below(name: str, got: Any, bound: float) -> None:
    """Print whether the number `got` lies below `bound`.

    Raises:
        ValueError: it does not, and `KGPT_LEARN_STRICT` is 1.
    """
    if _is_unsolved(got):
        _not_solved(name)
    elif float(got) < bound:
        print(f"{RIGHT} {name}: {_figure(float(got))} < {_figure(bound)}")
    else:
        above = say("não é menor que", "is not below")
        _wrong(name, f"{_figure(float(got))} {above} {_figure(bound)}")


def _is_unsolved(got: Any) -> bool:
    return got is None or got is ...


def _not_solved(name: str) -> None:
    waits = say(
        "sua vez: troque os ... pela sua resposta", "your turn: put your answer for the ..."
    )
    print(f"{NOT_YET} {name}: {waits}")


def _wrong(name: str, problem: str) -> None:
    if os.environ.get(STRICT) == "1":
        raise ValueError(f"{name}: {problem}")
    print(f"{NOT_YET} {name}: {say('ainda não', 'not yet')}; {problem}")


def _difference(got: Any, expected: Any, tolerance: float) -> str:
    """What is wrong with `got`, in the notebook's language; nothing where it is right."""
    if _is_numeric(expected):
        return _numeric_difference(got, expected, tolerance)
    if got != expected:
        return say("veio", "received") + f": {_short(got)}"
    return ""


def _is_numeric(value: Any) -> bool:
    if isinstance(value, (bool, str, bytes, dict, set, frozenset)):
        return False
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_numeric, value))
    return isinstance(value, (int, float, complex)) or hasattr(value, "__array__")


def _numeric_difference(got: Any, expected: Any, tolerance: float) -> str:
    import numpy as np

    try:
        left, right = np.asarray(got), np.asarray(expected)
    except (TypeError, ValueError):
        return say("esperava números", "expected numbers")
    if left.dtype.kind not in "biufc":
        return say("esperava números; veio", "expected numbers; received") + f": {_short(got)}"
    if left.shape != right.shape:
        words = say("formas diferentes: veio {}, esperava {}", "shapes differ: got {}, expected {}")
        return words.format(left.shape, right.shape)
    if left.size == 0:
        return ""
    largest = float(np.max(np.abs(left.astype(np.complex128) - right.astype(np.complex128))))
    if largest <= tolerance:  # false for NaN
        return ""
    return say("maior diferença", "largest difference") + f": {largest:.3g}"


def _figure(value: float) -> str:
    return number(value, 4) if value == 0 or abs(value) >= 1e-3 else f"{value:.0e}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
