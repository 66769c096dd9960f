"""A text and a classifier in, the probability of each label out.

Asked as one types: only the newest text counts, and what was asked before it is passed over. `on_change` is called
when a result, or a failure, has come. Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kgpt.errors import KgptError
from workbench.generations import Target
from workbench.playground import Playground
from workbench.tail import is_number


@dataclass
class Labelling:
    """One text at a time."""

    playground: Playground
    on_change: Callable[[], None]
    text: str = ""
    """What the result is of."""
    label: str | None = None
    """The label that was given; None where none is probable enough, or none was asked for yet."""
    probabilities: dict[str, float] = field(default_factory=dict)
    error: KgptError | None = None
    _wanted: tuple[Target, str] | None = None

    @property
    def is_waiting(self) -> bool:
        """The newest text has no result yet."""
        return self._wanted is not None

    async def ask(self, target: Target, text: str) -> None:
        """Ask for the labels of a text. It never raises what the engine did: `error` has it."""
        wanted = self._wanted = target, text
        try:
            async with self.playground.using(target) as slot:
                if self._wanted is not wanted:
                    return
                request = {"type": "classify", "slot": slot, "texts": [text]}
                async for reply in self.playground.engine.request(request):
                    if reply["type"] == "labels" and self._wanted is wanted:
                        self._take(text, reply.get("results"))
        except KgptError as error:
            if self._wanted is wanted:
                self.error = error
                self.probabilities, self.label = {}, None
        if self._wanted is wanted:
            self._wanted = None
            self.on_change()

    def forget(self) -> None:
        """There is no text any more."""
        self._wanted = self.error = self.label = None
        self.text, self.probabilities = "", {}
        self.on_change()

    def _take(self, text: str, results: object) -> None:
        first = results[0] if isinstance(results, list) and results else {}
        found = first.get("probabilities") if isinstance(first, dict) else None
        found = found if isinstance(found, dict) else {}
        self.text, self.error = text, None
        self.label = first.get("label") if isinstance(first.get("label"), str) else None
        self.probabilities = {
            str(name): float(value) for name, value in found.items() if is_number(value)
        }
