r"""How text is cut into words before byte pairs are merged: the rules that kgpt knows, by name.

In: a name, or the pre-tokenizer of a Hugging Face `tokenizer.json`. Out: a `PreTokenization`, whose pattern every
reader follows: the Rust tokenizer, the TensorFlow graph (which compares neighbouring characters instead of matching),
the exported `tokenizer.json`, and tiktoken, to which the pattern can be given as it stands.

`\p{L}` are letters, `\p{N}` numbers, `\s` white space in the sense of Unicode; the first alternative that matches wins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import Regex, pre_tokenizers

from kgpt.errors import KgptError
from kgpt.language import _

_BETWEEN = "\ud800"


@dataclass(frozen=True)
class PreTokenization:
    """One rule."""

    name: str
    pattern: str
    """A regular expression whose matches, in a row, are the whole text."""
    described: str
    """For people, in a few words."""
    line_ends_join: bool = False
    """Whether line ends belong to the word of marks before them."""
    others: tuple[str, ...] = ()
    """Other ways in which files write the same pattern."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way in which files write the pattern."""
        return (self.pattern, *self.others)

    def words(self, texts: Sequence[str]) -> list[str]:
        """The words of all texts in a row, as the backend cuts them, but faster.

        The texts are joined by half of a surrogate pair, which no word holds and every pattern takes for the end.
        """
        from kgpt.text.character_classes import ALL, BASIC

        joined = _BETWEEN.join(texts)
        stop = BASIC if max(joined, default="") < chr(BASIC) else ALL
        words: list[str] = _for_re(self.pattern, stop).findall(joined)
        return words

    def backend(self) -> Any:
        """The rule as a pre-tokenizer of `tokenizers`: words, spelled in byte symbols."""
        if self.name == GPT2.name:
            return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        split = pre_tokenizers.Split(Regex(self.pattern), "isolated", invert=False)
        spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([split, spell])


GPT2 = PreTokenization(
    "gpt2",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "GPT-2's: letters, numbers and marks apart, each with the space before it",
)
GPT4 = PreTokenization(
    "gpt4",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "GPT-4's: a mark joins the letters after it, digits in threes, line ends together",
    line_ends_join=True,
)
PORTUGUESE = PreTokenization(
    "portuguese",
    r"[^\r\n\p{L}\p{N}]?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "GPT-4's without English contractions, and numbers with the space before them",
    line_ends_join=True,
)
PRE_TOKENIZATIONS = {rule.name: rule for rule in (GPT2, GPT4, PORTUGUESE)}


def pre_tokenization(name: str) -> PreTokenization:
    """The rule called `name`.

    Raises:
        KgptError: there is none of this name.
    """
    if name not in PRE_TOKENIZATIONS:
        raise KgptError(
            _("Unknown pre-tokenization"),
            _(
                "Expected one of {pre_tokenizations}. Received: {name!r}",
                pre_tokenizations=", ".join(PRE_TOKENIZATIONS),
                name=name,
            ),
            _("gpt2 is the usual one."),
        )
    return PRE_TOKENIZATIONS[name]


def recognise(pre_tokenizer: Any) -> PreTokenization | None:
    """The rule that the pre-tokenizer of a `tokenizer.json` amounts to; None if it is another one.

    GPT-2's is `ByteLevel` alone. Others are a `Split` by a pattern and a `ByteLevel` without one.
    """
    steps = _steps(pre_tokenizer)
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    if len(steps) == 1:
        return GPT2 if steps[-1].get("use_regex", True) else None
    split = steps[0]
    if len(steps) != 2 or split.get("type") != "Split" or steps[-1].get("use_regex", True):
        return None
    # The matches are the whole text, so nothing is lost where what does not match is removed.
    if (split.get("behavior"), split.get("invert")) not in (("Isolated", False), ("Removed", True)):
        return None
    pattern = split.get("pattern")
    text = pattern.get("Regex") if isinstance(pattern, dict) else None
    return next((rule for rule in PRE_TOKENIZATIONS.values() if text in rule.spellings), None)


def _steps(pre_tokenizer: Any) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer that may be a sequence, and sequences in it."""
    if not isinstance(pre_tokenizer, dict):
        return []
    if pre_tokenizer.get("type") != "Sequence":
        return [pre_tokenizer]
    inner = pre_tokenizer.get("pretokenizers")
    return [step for one in inner for step in _steps(one)] if isinstance(inner, list) else []


@cache
def _for_re(pattern: str, stop: int) -> re.Pattern[str]:
    r"""A pattern for `re`, which knows no `\p`: the classes are spelled out, of the code points below `stop`.

    Fewer code points make it faster: `re` looks those below U+10000 up, and tries the others range by range.
    """
    from kgpt.text.character_classes import PATTERNS, SPACE, ranges

    of_class = {text: kind for kind, text in PATTERNS.items()}
    parts = []
    inside = False
    for part in re.split(r"(\\p\{\w\}|\\[sS]|\[\^?|\])", pattern):
        if part == r"\S":
            part = f"[^{ranges(SPACE, stop)}{_BETWEEN}]"
        elif part in of_class:
            members = ranges(of_class[part], stop)
            part = members if inside else f"[{members}]"
        elif part == "[^":
            inside, part = True, f"[^{_BETWEEN}"
        elif part in ("[", "]"):
            inside = part == "["
        parts.append(part)
    return re.compile("".join(parts))
