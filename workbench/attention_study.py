"""What a model looks at in one text, as the Attention screen asks for it and the engine answers.

In: a model, a text, a view. Out: words, matrices and ablations, and a call of `on_change` whenever one has come. What
was asked before is remembered for as long as text and model stay the same. Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from workbench.generations import Target
from workbench.playground import Playground
from workbench.tokens import chip_texts

ALL = "all"
LayerOrHead = int | str


@dataclass(frozen=True)
class View:
    """Which matrix: a layer and a head, each a number from 0 or `ALL`, or what attention comes to in the end."""

    layer: LayerOrHead = ALL
    head: LayerOrHead = ALL
    is_rollout: bool = False


@dataclass(frozen=True)
class Words:
    """A text cut into tokens and words."""

    ids: tuple[int, ...]
    contents: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...]
    """Of each word, its first token and the one after its last."""

    def text(self, word: int) -> str:
        """A word without the space around it."""
        first, end = self.spans[word]
        text = b"".join(self.contents[first:end]).decode("utf-8", errors="replace")
        return text.strip() or "↵"

    def of_token(self, token: int) -> int:
        """The word that a token belongs to."""
        return next((at for at, (first, end) in enumerate(self.spans) if first <= token < end), 0)

    def chips(self) -> list[str]:
        """What each token shows."""
        return chip_texts(self.contents)


@dataclass(frozen=True)
class Matrix:
    """How much each token draws on each up to itself."""

    rows: tuple[tuple[float, ...], ...]

    def draws(self, token: int, words: Words) -> list[tuple[int, float]]:
        """The words that a token draws on, strongest first; the tokens of a word are summed up."""
        row = self.rows[token]
        sums = [
            (word, sum(row[first : min(end, len(row))]))
            for word, (first, end) in enumerate(words.spans)
            if first < len(row)
        ]
        return sorted(sums, key=lambda pair: -pair[1])

    def word_row(self, word: int, words: Words) -> list[float]:
        """What the last token of a word draws on each word up to its own."""
        last = words.spans[word][1] - 1
        by_word = dict(self.draws(last, words))
        return [by_word[each] for each in range(word + 1)]


@dataclass(frozen=True)
class Ablated:
    """How probable the token after a place is, with all words before it and without each of them."""

    token: bytes
    is_in_text: bool
    probability: float
    without: tuple[float, ...]

    def moves(self) -> list[tuple[int, float]]:
        """By how much the probability changes without each word, the largest change first."""
        changes = [(word, value - self.probability) for word, value in enumerate(self.without)]
        return sorted(changes, key=lambda pair: -abs(pair[1]))


@dataclass
class AttentionStudy:
    """One text read by one model; asked through the playground, so that its turn comes between generations."""

    playground: Playground
    on_change: Callable[[], None] = lambda: None
    target: Target | None = None
    text: str = ""
    words: Words | None = None
    error: KgptError | None = None
    stage: str = ""
    """What is being done; empty when nothing is."""
    stage_since: float = 0.0
    num_layers: int = 0
    num_heads: int = 0
    _matrices: dict[View, Matrix] = field(default_factory=dict)
    _ablations: dict[int, Ablated] = field(default_factory=dict)
    _asked: int = 0
    """Counts requests: only what was asked for last is worth doing."""

    def open(self, target: Target, text: str) -> None:
        """Read another text, or with another model."""
        if (target, text) != (self.target, self.text) or self.error:
            self.target, self.text, self.error, self.words = target, text, None, None
            self._matrices.clear()
            self._ablations.clear()

    def matrix(self, view: View) -> Matrix | None:
        """A matrix that has come."""
        return self._matrices.get(view)

    def ablated(self, place: int) -> Ablated | None:
        """An ablation that has come."""
        return self._ablations.get(place)

    async def look(self, view: View) -> None:
        """Have a matrix computed. It never raises what the engine did: `error` has it."""
        if view not in self._matrices:
            await self._ask({
                "type": "attention",
                "kind": "rollout" if view.is_rollout else "weights",
                "layer": view.layer,
                "head": view.head,
            }, lambda reply: self._matrices.update({view: _matrix(reply)}))  # fmt: skip

    async def ablate(self, place: int) -> None:
        """Have each word before a token left out in turn. It never raises what the engine did: `error` has it."""
        if place not in self._ablations:
            await self._ask(
                {"type": "ablate", "place": place},
                lambda reply: self._ablations.update({place: _ablated(reply)}),
            )

    async def _ask(
        self, message: Mapping[str, Any], take: Callable[[dict[str, Any]], None]
    ) -> None:
        if self.target is None:
            return
        self._asked += 1
        mine, target, text = self._asked, self.target, self.text
        self._enter(_("waiting for the engine"))
        try:
            async with self.playground.using(target) as slot:
                if mine != self._asked:
                    return
                loaded = self.playground.replies.get(slot, {})
                self.num_layers, self.num_heads = (
                    int(loaded.get(name) or 0) for name in ("layers", "heads")
                )
                self._enter(_("reading the text"))
                async for reply in self.playground.engine.request(
                    {**message, "slot": slot, "text": text}
                ):
                    if reply["type"] == "loading":
                        self._enter(
                            _(
                                "{stage}: once, some seconds",
                                stage=reply.get("stage") or _("loading"),
                            )
                        )
                    elif (self.target, self.text) == (target, text):
                        self._take(reply, take)
        except KgptError as error:
            self.error = error
        finally:
            if mine == self._asked:
                self._enter("")

    def _take(self, reply: dict[str, Any], take: Callable[[dict[str, Any]], None]) -> None:
        try:
            if reply["type"] == "attention" and self.words is None:
                self.words = _words(reply)
            take(reply)
        except (KeyError, TypeError, ValueError) as error:
            raise KgptFailure(
                _("The engine's answer makes no sense"),
                repr(error),
                _("Is it of the same version?"),
            ) from None

    def _enter(self, stage: str) -> None:
        if not stage or not self.stage:
            self.stage_since = self.playground.clock()
        self.stage = stage
        self.on_change()


def _words(reply: Mapping[str, Any]) -> Words:
    contents = tuple(bytes.fromhex(part) for part in reply["bytes_hex"])
    spans = tuple((int(first), int(end)) for first, end in reply["words"])
    return Words(tuple(int(token) for token in reply["ids"]), contents, spans)


def _matrix(reply: Mapping[str, Any]) -> Matrix:
    rows = tuple(tuple(float(value) for value in row) for row in reply["weights"])
    if [len(row) for row in rows] != list(range(1, len(reply["ids"]) + 1)):
        raise ValueError("rows of other lengths")
    return Matrix(rows)


def _ablated(reply: Mapping[str, Any]) -> Ablated:
    return Ablated(
        bytes.fromhex(reply["token_bytes_hex"]),
        reply["is_in_text"] is True,
        float(reply["probability"]),
        tuple(float(value) for value in reply["without"]),
    )
