"""The messages between a generation engine and whoever talks to it: one JSON object a line, `type` first.

Requests carry an `id`; every reply repeats it. The engine is `python -m kgpt.serving.engine`; the workbench is its
first client. Standard library only.

Requests (to the engine)
    load        slot, run, checkpoint ("best" | "last" | step)
    generate    slot, prompt, options (see `GenerateOptions`), alternatives (how many to report with each token)
    tokenize    run or data (a folder), text             -> tokens: ids, bytes_hex
    detokenize  run or data (a folder), ids              -> detokenized: text, bytes_hex
    cancel      request (the id of the `generate` to stop)
    quit
Replies (from the engine)
    ready       versions
    loading     slot, stage                              (progress of a `load`; may be absent)
    loaded      slot, run, step, parameters, context_length, vocabulary_size
    token       token (id), bytes_hex, text, probability, alternatives ([{token, bytes_hex, probability}])
                `text` is what may be shown now: it never ends inside a character, so it can be empty
    done        reason ("length" | "stop" | "end_of_text" | "cancelled"), tokens, seconds, seconds_to_first_token, text
    tokens, detokenized, error (title, message, hint)
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgpt.errors import KgptError

MAX_LINE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """How to continue a prompt; the same names as `kgpt sample`'s options."""

    max_tokens: int = 40
    temperature: float = 0.8
    """0 takes the most probable token (greedy)."""
    top_k: int = 0
    """Keep the k most probable tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the fewest most probable tokens whose probabilities reach this sum."""
    min_p: float = 0.0
    """Drop tokens less probable than this share of the most probable one's."""
    repetition_penalty: float = 1.0
    """Above 1 makes tokens that were seen already less probable."""
    stop: tuple[str, ...] = ()
    """Texts that end the generation; they are not part of the output."""
    seed: int | None = None

    def __post_init__(self) -> None:
        def check(name: str, holds: bool, expected: str) -> None:
            if not holds:
                raise KgptError(
                    "Bad generation option",
                    f"{name} must be {expected}. Received: {name}={getattr(self, name)!r}",
                    "See `kgpt sample --help`.",
                )

        for name in ("temperature", "top_p", "min_p", "repetition_penalty"):
            value = getattr(self, name)
            check(
                name,
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and abs(value) <= sys.float_info.max,
                "a finite number",
            )
        for name in ("max_tokens", "top_k"):
            check(
                name,
                isinstance(getattr(self, name), int) and not isinstance(getattr(self, name), bool),
                "a whole number",
            )
        check("max_tokens", self.max_tokens >= 1, "at least 1")
        check("temperature", self.temperature >= 0, "0 or more")
        check("top_k", self.top_k >= 0, "0 (off) or more")
        check("top_p", 0 < self.top_p <= 1, "above 0 and at most 1")
        check("min_p", 0 <= self.min_p < 1, "from 0 up to, not including, 1")
        check("repetition_penalty", self.repetition_penalty > 0, "above 0")
        is_texts = isinstance(self.stop, (tuple, list)) and all(
            isinstance(text, str) and text for text in self.stop
        )
        check("stop", is_texts, "a list of texts, none empty")
        check(
            "seed",
            self.seed is None
            or (isinstance(self.seed, int) and self.seed is not True and 0 <= self.seed < 2**63),
            "a whole number of 0 or more, below 2**63",
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerateOptions:
        """Options from plain values; unknown names are refused."""
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise KgptError(
                "Unknown generation option",
                f"There is no option {unknown[0]!r}.",
                f"Known: {', '.join(sorted(known))}.",
            )
        chosen = dict(values)
        if isinstance(chosen.get("stop"), list):
            chosen["stop"] = tuple(chosen["stop"])
        return cls(**chosen)


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as a line of UTF-8 JSON."""
    return (json.dumps(message, ensure_ascii=True, allow_nan=False) + "\n").encode()


def decode(line: bytes | str) -> dict[str, Any]:
    """The message in one line.

    Raises:
        KgptError: it is too long, not JSON, not an object, or has no `type`.
    """
    if len(line) > MAX_LINE_BYTES:
        raise KgptError(
            "Message too long",
            f"A line holds at most {MAX_LINE_BYTES} bytes. Received: {len(line)}.",
            "",
        )
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise KgptError("Broken message", f"Expected one JSON object a line: {error}", "") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise KgptError("Broken message", 'Expected a JSON object with a text under "type".', "")
    return message


def error_message(error: KgptError, request_id: object = None) -> dict[str, Any]:
    """The `error` reply for a `KgptError`."""
    return {
        "type": "error",
        "id": request_id,
        "title": error.title,
        "message": error.message,
        "hint": error.hint,
    }
