"""Special tokens: ids that no text becomes unless the caller asks for it.

In: names as a user gives them (`padding`, or the literal `<|padding|>`). Out: the literal texts, checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kgpt.errors import KgptError
from kgpt.language import _

END_OF_TEXT = "<|endoftext|>"
PADDING = "<|padding|>"
BEGIN_OF_TEXT = "<|begin_of_text|>"
NAMED = {
    "padding": PADDING,
    "begin_of_text": BEGIN_OF_TEXT,
    "system": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "end": "<|end|>",
}
"""What a name stands for. `system`, `user` and `assistant` begin the turns of the `chat` template; `end` is there for
templates of one's own. Every vocabulary has `END_OF_TEXT`."""
SPECIAL_TOKEN = re.compile(r"<\|[a-z][a-z0-9_-]*\|>", re.IGNORECASE)


def special_literals(names: Sequence[str]) -> tuple[str, ...]:
    """The literal of each name, in their order and each once; the end of text, which is always there, is left out.

    Raises:
        KgptError: a name is neither one of `NAMED` nor of the form `<|name|>`.
    """
    literals = dict.fromkeys(NAMED.get(name, name) for name in names)
    literals.pop(END_OF_TEXT, None)
    for literal in literals:
        if not SPECIAL_TOKEN.fullmatch(literal):
            raise KgptError(
                _("Not a special token"),
                _(
                    "Expected one of {named}, or a literal such as <|name|>. Received: {literal!r}",
                    named=", ".join(NAMED),
                    literal=literal,
                ),
                _("A special token of your own is written between <| and |>."),
            )
    return tuple(literals)
