"""What has been written: records of generations, the tree that they form, and the file that keeps them.

In: what the playground fills in. Out: `Generation` records; which came from which; JSON and back. A generation that
took another token of an earlier one is its branch. Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError
from kgpt.language import _, number
from kgpt.protocol import GenerateOptions
from workbench.tail import is_number
from workbench.tokens import Token, token_of_row, whole_text

GenerationState = Literal[
    "waiting", "starting", "loading", "writing", "stopping", "done", "stopped", "failed"
]
ACTIVE = ("waiting", "starting", "loading", "writing", "stopping")
MAIN, SECOND = "main", "second"
"""The engine's two slots: the second is for the model that is compared."""

KEPT = 200
"""Generations that the file keeps; the newest `KEPT_WITH_TOKENS` of them with their tokens."""
KEPT_WITH_TOKENS = 40


@dataclass(frozen=True)
class Target:
    """A model to write with: a run and one of its checkpoints."""

    run: Path
    checkpoint: str = "best"
    """`best`, `last` or a step."""
    step: int | None = None
    """The step that `checkpoint` means now; another step means another model."""
    decoder: str = "auto"
    """One of `kgpt.protocol.DECODERS`."""

    @property
    def title(self) -> str:
        """`demo best (1,500)`, `demo step 1000`."""
        if self.checkpoint.isdigit():
            return _("{name} step {checkpoint}", name=self.run.name, checkpoint=self.checkpoint)
        step = f" ({number(self.step, ',')})" if self.step is not None else ""
        return f"{self.run.name} {_(self.checkpoint)}{step}"


@dataclass
class Generation:
    """One continuation of one prompt."""

    target: Target
    prompt: str
    options: GenerateOptions
    state: GenerationState = "waiting"
    text: str = ""
    """What has been written, without the prompt; on characters' boundaries."""
    tokens: int = 0
    reason: str = ""
    error: KgptError | None = None
    asked_at: float = 0.0
    first_token_at: float | None = None
    seconds: float = 0.0
    """From the request to the last token, by this process's clock."""
    request_id: str = ""
    slot: str = MAIN
    number: int = 0
    """Names it in the history."""
    parent: int | None = None
    """The generation whose text it took up to one of its tokens."""
    partner: int | None = None
    """The first of the pair, if it is the second of two that were asked for side by side."""
    messages: list[dict[str, str]] = field(default_factory=list)
    """Of an answer: the turns before it, each a `role` and a `content`; the last is the prompt."""
    prompt_ids: list[int] = field(default_factory=list)
    """The prompt's tokens, where they are known."""
    has_exact_prompt: bool = False
    """The prompt is its ids, not what its text would be encoded to."""
    lead: bytes = b""
    """The beginning of a character with which an exact prompt ends."""
    context_length: int | None = None
    written: list[Token] = field(default_factory=list)
    """The tokens that were taken."""

    @property
    def is_active(self) -> bool:
        """It may still change."""
        return self.state in ACTIVE

    @property
    def turns(self) -> list[dict[str, str]]:
        """Of an answer: the conversation, up to what has been written of it."""
        if not self.messages:
            return []
        answer = {"role": "assistant", "content": self.text}
        return [*self.messages, answer] if self.text else self.messages

    @property
    def whole(self) -> str:
        """Prompt and text; of an answer, the conversation, a paragraph a turn."""
        if not self.messages:
            return self.prompt + self.text
        return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in self.turns) + "\n"

    @property
    def seconds_to_first_token(self) -> float | None:
        """From the engine's turn to the first token."""
        return None if self.first_token_at is None else self.first_token_at - self.asked_at

    @property
    def tokens_per_second(self) -> float | None:
        """Pace after the first token."""
        first = self.seconds_to_first_token
        if first is None or self.tokens < 2 or self.seconds <= first:
            return None
        return (self.tokens - 1) / (self.seconds - first)

    @property
    def places(self) -> int | None:
        """Tokens of prompt and text together, where the prompt's are known."""
        return len(self.prompt_ids) + self.tokens if self.prompt_ids else None

    @property
    def is_cut(self) -> bool:
        """The context was full: the model no longer saw the beginning."""
        places, context = self.places, self.context_length
        return places is not None and context is not None and places > context

    def take(self, token: Token, text: str) -> None:
        """Add a token and the text that may be shown now that it is there."""
        self.written.append(token)
        self.tokens += 1
        if self.lead:  # the text of its tokens alone would begin inside a character
            self.text = whole_text([self.lead, *(each.content for each in self.written)])[0]
        else:
            self.text += text

    def branch_prompt(self, place: int, alternative: Token) -> tuple[str, list[int], bytes]:
        """What comes before the written token at `place`, and `alternative`: text, ids, begun character."""
        before = [token.content for token in self.written[:place]]
        text, begun = whole_text([self.lead, *before, alternative.content])
        ids = [*self.prompt_ids, *(token.token for token in self.written[:place])]
        return self.prompt + text, [*ids, alternative.token], begun

    def as_dict(self, with_tokens: bool) -> dict[str, Any]:
        """Plain values for the file."""
        values: dict[str, Any] = {
            "run": str(self.target.run.resolve()),
            "checkpoint": self.target.checkpoint,
            "step": self.target.step,
            "decoder": self.target.decoder,
            "options": options_dict(self.options),
            "lead": self.lead.hex(),
        }
        if self.messages:
            values["messages"] = self.messages
        names = (
            "prompt state text tokens reason seconds number parent partner prompt_ids"
            " has_exact_prompt context_length"
        )
        values |= {name: getattr(self, name) for name in names.split()}
        values["to_first_token"] = self.seconds_to_first_token
        if with_tokens:
            values["written"] = [token.as_row() for token in self.written]
        if self.error:
            values["error"] = [self.error.title, self.error.message, self.error.hint]
        return values


def options_dict(options: GenerateOptions) -> dict[str, Any]:
    """Options for a message or a file."""
    return {name: value for name, value in asdict(options).items() if value is not None}


def generation_of_dict(values: dict[str, Any]) -> Generation:
    """A generation of the file.

    Raises:
        KgptError, KeyError, TypeError, ValueError: it is none.
    """
    step = values.get("step")
    target = Target(
        Path(values["run"]), str(values["checkpoint"]), step, str(values.get("decoder", "auto"))
    )
    prompt, text, state = values["prompt"], values["text"], values["state"]
    if not (isinstance(prompt, str) and isinstance(text, str)):
        raise TypeError("prompt and text must be texts")
    generation = Generation(target, prompt, GenerateOptions.from_dict(values["options"]))
    generation.text, generation.state = text, state if state in ("done", "failed") else "stopped"
    for name in ("tokens", "number"):
        setattr(generation, name, int(values[name]))
    for name in ("parent", "partner", "context_length"):
        value = values.get(name)
        setattr(generation, name, int(value) if is_number(value) else None)
    generation.reason = str(values.get("reason") or "")
    generation.messages = [
        {"role": str(turn["role"]), "content": str(turn["content"])}
        for turn in values.get("messages") or ()
    ]
    generation.prompt_ids = [int(token) for token in values.get("prompt_ids") or ()]
    generation.has_exact_prompt = values.get("has_exact_prompt") is True
    generation.lead = bytes.fromhex(values.get("lead") or "")
    generation.written = [token_of_row(row) for row in values.get("written") or ()]
    seconds, first = values.get("seconds"), values.get("to_first_token")
    generation.seconds = float(seconds) if is_number(seconds) else 0.0
    generation.first_token_at = float(first) if is_number(first) else None
    if generation.state == "failed":
        error = [str(part) for part in values.get("error") or ()]
        generation.error = KgptError(*(error + ["", "", ""])[:3])
    return generation


def as_state(history: Sequence[Generation]) -> dict[str, Any]:
    """The newest generations for the file."""
    kept = [item for item in history if not item.is_active][-KEPT:]
    first_with_tokens = len(kept) - KEPT_WITH_TOKENS
    rows = [item.as_dict(place >= first_with_tokens) for place, item in enumerate(kept)]
    return {"generations": rows}


def of_state(state: dict[str, Any]) -> list[Generation]:
    """The generations of the file; one that cannot be read is left out."""
    found: list[Generation] = []
    rows = state.get("generations")
    for row in rows if isinstance(rows, list) else ():
        try:
            item = generation_of_dict(row)
        except (KgptError, KeyError, TypeError, ValueError, OverflowError, AttributeError):
            continue
        is_older = item.parent is None or item.parent < item.number
        if is_older and (not found or item.number > found[-1].number):  # else it is no tree
            found.append(item)
    return found


# === The tree ===


def tree(history: Sequence[Generation]) -> list[tuple[str, Generation]]:
    """All generations with the lines that lead to them: the newest text first, below it its branches, oldest first."""
    known = {item.number for item in history}
    children: dict[int | None, list[Generation]] = {}
    for item in history:
        children.setdefault(item.parent if item.parent in known else None, []).append(item)
    rows: list[tuple[str, Generation]] = []
    # Each entry: the lines of those above, whether it is the last of its siblings, the generation; None for a root.
    waiting: list[tuple[str, bool | None, Generation]] = [
        ("", None, root) for root in children.get(None, ())
    ]
    while waiting:
        lines, is_last, item = waiting.pop()
        own = "" if is_last is None else "└ " if is_last else "├ "
        rows.append((lines + own, item))
        below = lines + ("" if is_last is None else "  " if is_last else "│ ")
        branches = children.get(item.number, [])
        for place in range(len(branches) - 1, -1, -1):
            waiting.append((below, place == len(branches) - 1, branches[place]))
    return rows


def neighbour(
    history: Sequence[Generation],
    shown: Generation,
    where: Literal["up", "down", "before", "after"],
) -> Generation | None:
    """From a generation to what it branched from, its first branch, or the branch before or after it."""
    if where == "up":
        return next((item for item in history if item.number == shown.parent), None)
    if where == "down":
        return next((item for item in history if item.parent == shown.number), None)
    known = {item.number for item in history}
    parent = shown.parent if shown.parent in known else None
    siblings = [
        item for item in history if (item.parent if item.parent in known else None) == parent
    ]
    place = siblings.index(shown) + (1 if where == "after" else -1)
    return siblings[place] if 0 <= place < len(siblings) else None
