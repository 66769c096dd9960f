r"""How text is cut into words before byte pairs are merged: the rules that kgpt knows, by name.

In: a name, or the pre-tokenizer of a Hugging Face `tokenizer.json`. Out: a `PreTokenization`, whose pattern every
reader follows: the Rust tokenizer, the TensorFlow graph (which compares neighbouring characters instead of matching),
the exported `tokenizer.json`, and tiktoken, to which the pattern can be given as it stands.

`\p{L}` are letters, `\p{N}` numbers, `\s` white space in the sense of Unicode; the first alternative that matches wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, pre_tokenizers

from kgpt.errors import KgptError


@dataclass(frozen=True)
class PreTokenization:
    """One rule."""

    name: str
    pattern: str
    """A regular expression whose matches, in a row, are the whole text."""
    described: str
    """For people, in a few words."""
    others: tuple[str, ...] = ()
    """Other ways in which files write the same pattern."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way in which files write the pattern."""
        return (self.pattern, *self.others)

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
)
PRE_TOKENIZATIONS = {rule.name: rule for rule in (GPT2, GPT4)}


def pre_tokenization(name: str) -> PreTokenization:
    """The rule called `name`.

    Raises:
        KgptError: there is none of this name.
    """
    if name not in PRE_TOKENIZATIONS:
        raise KgptError(
            "Unknown pre-tokenization",
            f"Expected one of {', '.join(PRE_TOKENIZATIONS)}. Received: {name!r}",
            "gpt2 is the usual one.",
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
