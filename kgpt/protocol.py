"""The messages between a generation engine and whoever talks to it: one JSON object a line, `type` first.

Requests carry an `id`; every reply repeats it. The engine is `python -m kgpt.serving.engine`; the workbench is its
first client. Standard library only.

Requests (to the engine)
    load        slot, run, checkpoint ("best" | "last" | step), decoder (one of `DECODERS`)
    generate    slot, prompt (a text) or ids (its tokens, taken as they are), options (see `GenerateOptions`),
                alternatives (how many to report with each token); for a run that answers, messages
                ([{role, content}]) instead of a prompt
    tokenize    run or data (a folder), text             -> tokens: ids, bytes_hex
    detokenize  run or data (a folder), ids              -> detokenized: text, bytes_hex
    attention   slot, text, kind ("weights" | "rollout"), layer, head (from 0, or "all": their mean, and for a rollout
                the last layer)                          -> attention: what tokens look at; loads Keras on first use
    ablate      slot, text, place (of a token)           -> ablation: the token after it, without each word before it
    classify    slot (of a classifier), texts            -> labels
    cancel      request (the id of the `generate` or `ablate` to stop)
    quit
Replies (from the engine)
    ready       versions
    loading     slot, stage                              (progress of a `load`; may be absent)
    loaded      slot, run, step, parameters, context_length, vocabulary_size, layers, heads,
                end_of_text (its id, which stands for an empty prompt), answers (whether it takes messages);
                of a classifier, labels
    token       token (id), bytes_hex, text, probability, alternatives ([{token, bytes_hex, probability}])
                `text` is what may be shown now: it never ends inside a character, so it can be empty
    done        reason ("length" | "stop" | "end_of_text" | "cancelled"), tokens, seconds, seconds_to_first_token, text
    attention   kind, layer, head, ids, bytes_hex, words ([first token, the one after the last]), weights: for each
                token of the text a list, how much it takes from each token up to itself; a list adds up to 1
    ablation    place, token, token_bytes_hex, is_in_text (it follows in the text; else it is the most probable one),
                probability, ids, bytes_hex, words (up to the place), without (the probability without each of them)
    labels      results: for each text its text, label, probabilities by label
    tokens, detokenized, error (title, message, hint)
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import N_, _

MAX_LINE_BYTES = 16 * 1024 * 1024
DECODERS = ("auto", "keras", "litert", "litert-int8")
"""What computes: Keras, or LiteRT in float32 or with int8 weights. `auto`: LiteRT on a CPU, Keras on a GPU."""

DRAFT_TOKENS = 4
"""That a draft model proposes at once."""


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
    typical_p: float = 1.0
    """Keep the tokens whose surprise is nearest to the expected one, until their probabilities reach this sum."""
    repetition_penalty: float = 1.0
    """Above 1 makes tokens that were seen already, in the prompt or after it, less probable."""
    frequency_penalty: float = 0.0
    """Taken from a token's score for each time that it was generated."""
    presence_penalty: float = 0.0
    """Taken from a token's score once it was generated."""
    no_repeat_ngram_size: int = 0
    """No sequence of so many tokens comes twice, the prompt included; 0 allows all."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the scores of these ids."""
    forbidden: tuple[int, ...] = ()
    """Ids that are never taken."""
    stop: tuple[str, ...] = ()
    """Texts that end the generation; they are not part of the output."""
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, (kind, is_allowed, allowed) in _RULES.items():
            value = getattr(self, name)
            self._check(name, _IS[kind](value), _(kind))
            self._check(name, is_allowed(value), _(allowed))
        is_texts = isinstance(self.stop, (tuple, list)) and all(
            isinstance(text, str) and text for text in self.stop
        )
        self._check("stop", is_texts, _("a list of texts, none empty"))
        is_biases = isinstance(self.logit_bias, Mapping) and all(
            _is_id(token) and _is_number(bias) for token, bias in self.logit_bias.items()
        )
        self._check("logit_bias", is_biases, _("finite numbers by token id"))
        is_ids = isinstance(self.forbidden, (tuple, list)) and all(map(_is_id, self.forbidden))
        self._check("forbidden", is_ids, _("a list of token ids"))
        is_seed = self.seed is None or (_is_whole(self.seed) and 0 <= self.seed < 2**63)
        self._check("seed", is_seed, _("a whole number of 0 or more, below 2**63"))

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise KgptError(
                _("Bad generation option"),
                _(
                    "{name} must be {expected}. Received: {name}={value!r}",
                    name=name,
                    expected=expected,
                    value=getattr(self, name),
                ),
                _("See `kgpt sample --help`."),
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerateOptions:
        """Options from plain values; unknown names are refused."""
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise KgptError(
                _("Unknown generation option"),
                _("There is no option {unknown!r}.", unknown=unknown[0]),
                _("Known: {known}.", known=", ".join(sorted(known))),
            )
        chosen = dict(values)
        for name in ("stop", "forbidden"):
            if isinstance(chosen.get(name), list):
                chosen[name] = tuple(chosen[name])
        if isinstance(biases := chosen.get("logit_bias"), dict):
            chosen["logit_bias"] = {_id_of(key): bias for key, bias in biases.items()}
        return cls(**chosen)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    is_plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_plain and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def _is_id(value: object) -> bool:
    return isinstance(value, int) and _is_whole(value) and value >= 0


def _id_of(key: object) -> object:
    """A token id that JSON made a text."""
    return int(key) if isinstance(key, str) and key.isascii() and key.isdigit() else key


_IS: dict[str, Callable[[object], bool]] = {
    N_("a whole number"): _is_whole,
    N_("a finite number"): _is_number,
}
_RULES: dict[str, tuple[str, Callable[[Any], bool], str]] = {
    "max_tokens": (N_("a whole number"), lambda value: value >= 1, N_("at least 1")),
    "temperature": (N_("a finite number"), lambda value: value >= 0, N_("0 or more")),
    "top_k": (N_("a whole number"), lambda value: value >= 0, N_("0 (off) or more")),
    "top_p": (N_("a finite number"), lambda value: 0 < value <= 1, N_("above 0 and at most 1")),
    "min_p": (
        N_("a finite number"),
        lambda value: 0 <= value < 1,
        N_("from 0 up to, not including, 1"),
    ),
    "typical_p": (N_("a finite number"), lambda value: 0 < value <= 1, N_("above 0 and at most 1")),
    "repetition_penalty": (N_("a finite number"), lambda value: value > 0, N_("above 0")),
    "frequency_penalty": (N_("a finite number"), lambda value: True, ""),
    "presence_penalty": (N_("a finite number"), lambda value: True, ""),
    "no_repeat_ngram_size": (N_("a whole number"), lambda value: value >= 0, N_("0 (off) or more")),
}
"""What each number must be."""


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
            _("Message too long"),
            _(
                "A line holds at most {max_line_bytes} bytes. Received: {count}.",
                max_line_bytes=MAX_LINE_BYTES,
                count=len(line),
            ),
            "",
        )
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise KgptError(
            _("Broken message"), _("Expected one JSON object a line: {error}", error=error), ""
        ) from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise KgptError(
            _("Broken message"), _('Expected a JSON object with a text under "type".'), ""
        )
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
