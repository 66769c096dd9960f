"""What generation needs of a model that decodes, and the rule for a context that is full.

The rule: the last half of the context stays (the newest `context_length // 2` tokens), the model reads that again
from position 0, and the generation goes on. Axes: B rows decoded together, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.language import _


class Decoder(Protocol):
    """What generation needs of a model; `kgpt.inference.decoder.KerasDecoder` is one."""

    context_length: int
    vocabulary_size: int
    size: int

    @property
    def length(self) -> int:
        """Places taken."""

    def fresh(self) -> Decoder:
        """A decoder with an empty cache that shares the model."""

    def seats(self) -> Seats:
        """Rows that share the model, for texts that come and go."""

    def branch(self) -> Decoder:
        """A decoder that goes on from here by itself; this one may go on too."""

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; one may come several times."""

    def prefill(self, prompts: Sequence[Sequence[int]], size: int | None = None) -> NDArray[Any]:
        """Scores (B, V) after each prompt, with places for `size` tokens a row."""

    def step(self, tokens: Sequence[int]) -> NDArray[Any]:
        """Scores (B, V) after one more token for each row."""

    def extend(self, tokens: Sequence[int]) -> NDArray[Any]:
        """Scores (N, V) after each of N more tokens of the only row, read at once."""

    def cut(self, length: int) -> None:
        """Forget what the only row holds beyond so many tokens."""


class Seats(Protocol):
    """Rows that texts take and leave one by one, between the steps of the others."""

    def join(self, prompt: Sequence[int]) -> tuple[int, NDArray[Any]]:
        """A seat for a prompt, and the scores (V,) after it."""

    def fork(self, seat: int) -> int:
        """Another seat that goes on from where one is."""

    def step(self, tokens: Mapping[int, int]) -> dict[int, NDArray[Any]]:
        """Scores (V,) by seat, after one more token for every seat that is taken."""

    def leave(self, seat: int) -> None:
        """Free a seat."""


def advance(decoder: Decoder, windows: list[list[int]], tokens: Sequence[int]) -> NDArray[Any]:
    """Scores (B, V) after `tokens`, which join the `windows`: the tokens of each row that the model still sees.

    A full cache is read again, with the last half of the rows that no longer fit.
    """
    for window, token in zip(windows, tokens, strict=True):
        window.append(token)
    if decoder.length < decoder.size:
        return decoder.step(tokens)
    for window in windows:
        slide(window, decoder.context_length)
    return decoder.prefill(windows)


def slide(window: list[int], context_length: int) -> bool:
    """Leave the last half of a context to tokens that no longer fit into it; whether that was so."""
    is_full = len(window) > context_length
    if is_full:
        del window[: -max(1, context_length // 2)]
    return is_full


def power_of_two(number: int) -> int:
    """The smallest power of two that is not below `number`."""
    return 1 << max(number - 1, 0).bit_length()


class PromptTooLong(KgptError):
    """A prompt has more tokens than the model's context."""


def too_long(length: int, context_length: int) -> PromptTooLong:
    """The error for a prompt that does not fit into the context."""
    return PromptTooLong(
        _("Prompt does not fit"),
        _(
            "Expected 1 to {context_length} tokens, the model's context. "
            "Received: {length} tokens.",
            context_length=context_length,
            length=length,
        ),
        _("Shorten the prompt, or use a model with a longer context."),
    )


def check_prompts(
    prompts: Sequence[Sequence[int]], context_length: int, vocabulary_size: int
) -> None:
    """Refuse what a model cannot read.

    Raises:
        KgptError: a prompt is empty or longer than the context, or holds an id that the model does not know.
    """
    for prompt in prompts:
        if not 0 < len(prompt) <= context_length:
            raise too_long(len(prompt), context_length)
        # Out of range, a GPU reads zeros and a compiled lookup the nearest row: neither would say so.
        if not 0 <= min(prompt) <= max(prompt) < vocabulary_size:
            raise KgptError(
                _("Token id out of range"),
                _(
                    "The model knows ids 0 to {vocabulary_size}. Received: ids from {prompt} to "
                    "{prompt_2}.",
                    vocabulary_size=vocabulary_size - 1,
                    prompt=min(prompt),
                    prompt_2=max(prompt),
                ),
                _("Encode the text with the run's own tokenizer."),
            )


def check_extension(rows: int, tokens: int, length: int, size: int) -> None:
    """Refuse tokens that cannot be read at once.

    Raises:
        KgptError: there is not one row, or no place for them.
    """
    if rows != 1 or not 0 < tokens <= size - length:
        raise KgptError(
            _("Cannot extend a text"),
            _(
                "Expected one row and 1 to {size} tokens. Received: {rows} rows, {tokens} tokens.",
                size=size - length,
                rows=rows,
                tokens=tokens,
            ),
            _(
                "Prefill one prompt first, and prefill again with fewer tokens when the cache is "
                "full."
            ),
        )


def no_place(rows: int, tokens: int, length: int, size: int) -> KgptError:
    """The error for a step that does not fit what was prefilled."""
    return KgptError(
        _("Cannot decode a step"),
        _(
            "Expected {rows} tokens and a free place in the cache. Received: {tokens} tokens, "
            "{length} of {size} places taken.",
            rows=rows,
            tokens=tokens,
            length=length,
            size=size,
        ),
        _("Prefill first, and prefill again with fewer tokens when the cache is full."),
    )
