r"""What kind of character each code point is: letter, number, white space or something else.

In: nothing. Out: a class for every code point. The classes are asked of `tokenizers` (`\p{L}`, `\p{N}`, `\s`), so every
reader of a tokenizer has one Unicode version: its.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, normalizers

OTHER, LETTER, NUMBER, SPACE = range(4)
PATTERNS = {LETTER: r"\p{L}", NUMBER: r"\p{N}", SPACE: r"\s"}
BASIC = 0x10000
"""How many code points there are that need no surrogates in UTF-16."""
ALL = 0x110000
_ASSIGNED = 0x40000
"""From here on nothing but "other" is assigned."""


@cache
def classes(stop: int = ALL) -> NDArray[np.int8]:
    """The class of each code point below `stop`; surrogates are "other"."""
    points = np.arange(min(stop, _ASSIGNED), dtype="<u4")
    points = points[(points < 0xD800) | (points >= 0xE000)]
    text = points.tobytes().decode("utf-32-le")
    found = np.full(stop, OTHER, np.int8)
    for kind, pattern in PATTERNS.items():
        rest = normalizers.Replace(Regex(f"{pattern}+"), "").normalize_str(text)
        is_kind = np.zeros(stop, bool)
        is_kind[points] = True
        is_kind[np.frombuffer(rest.encode("utf-32-le"), "<u4")] = False
        found[is_kind] = kind
    return found


@cache
def ranges(kind: int, stop: int) -> str:
    """The code points of a class below `stop`, as what stands between the brackets of a regular expression."""
    points = np.flatnonzero(classes(stop) == kind)
    breaks = np.flatnonzero(np.diff(points) > 1)
    firsts = points[np.concatenate([[0], breaks + 1])].tolist()
    lasts = points[np.concatenate([breaks, [len(points) - 1]])].tolist()
    pairs = zip(firsts, lasts, strict=True)
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in pairs)
