"""Generation: a prompt in, text out, piece by piece. Nothing here loads Keras until a run's model is loaded.

A text may grow beyond the context (`kgpt.inference.context` says how), a prompt may not.
Axes: B rows decoded together, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from kgpt.errors import KgptError
from kgpt.inference import sampling
from kgpt.inference.beams import BeamSearch
from kgpt.inference.context import Decoder, advance, power_of_two, too_long
from kgpt.inference.continuation import (
    Continuation,
    Piece,
    Reason,
    content,
    ending,
)
from kgpt.inference.speculation import Proposer, Speculation
from kgpt.inference.text_stream import TextStream
from kgpt.language import _
from kgpt.protocol import DRAFT_TOKENS, GenerateOptions
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.tokenizer import Tokenizer

ROWS_AT_ONCE = 64
Prompt = str | Sequence[int]
"""A text, or its ids."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a generation gave."""

    text: str
    """The continuation, without the prompt, the stop text, or a character that was cut off."""
    ids: list[int]
    """Every token taken, also those of a stop text, and the end of text if that came."""
    tokens: int
    seconds: float
    seconds_to_first_token: float
    tokens_per_second: float
    """Speed after the first token."""
    reason: Reason


class Generator:
    """Continues texts with a model.

    With a `draft` model streams are written by speculative decoding (`kgpt.inference.speculation`).

    Raises:
        KgptError: the tokenizer's vocabulary is not the model's.

    Example:
        >>> generator = load_generator(find_run("demo"))
        >>> for piece in generator.stream("Marte é um planeta", GenerateOptions(seed=1)):
        ...     print(piece.text, end="", flush=True)
    """

    def __init__(
        self, decoder: Decoder, tokenizer: Tokenizer, speculation: Speculation | None = None
    ) -> None:
        if tokenizer.vocabulary_size != decoder.vocabulary_size:
            raise KgptError(
                _("Vocabulary does not match the model"),
                _(
                    "Expected a tokenizer with {vocabulary_size} ids, as the model has. Received: one "
                    "with {vocabulary_size_2}.",
                    vocabulary_size=decoder.vocabulary_size,
                    vocabulary_size_2=tokenizer.vocabulary_size,
                ),
                _(
                    "Use the tokenizer that the model was trained with: its run's tokenizer/ folder."
                ),
            )
        self.decoder, self.tokenizer, self.speculation = decoder, tokenizer, speculation

    def encode_prompt(self, prompt: Prompt) -> list[int]:
        """The ids of a prompt, which may be given as ids.

        Of an empty one, the end of text, after which a document begins.

        A prompt of ids stays as it is: text that is encoded again may be cut into other tokens.

        Raises:
            KgptError: it is longer than the context.
        """
        ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
        ids = ids or [self.tokenizer.end_of_text]
        if len(ids) > self.decoder.context_length:
            raise too_long(len(ids), self.decoder.context_length)
        return ids

    def warm_up(self) -> None:
        """Compile what the first tokens of a short prompt need, so that they come at once."""
        decoder = self.decoder.fresh()
        decoder.prefill([[self.tokenizer.end_of_text]])
        if decoder.length < decoder.size:
            decoder.step([self.tokenizer.end_of_text])

    def stream(
        self, prompt: Prompt, options: GenerateOptions | None = None, alternatives: int = 0
    ) -> Iterator[Piece]:
        """The continuation, token by token; the last piece says why it ends. Closing the iterator cancels.

        The same seed gives the same text; several streams of a generator may run in turns.

        Raises:
            KgptError: the prompt is longer than the context, or the options name an id that is none.
            KgptFailure: the model's scores are NaN.
        """
        options = options or GenerateOptions()
        return next(self.streams(prompt, options, [options.seed], alternatives))

    def streams(
        self,
        prompt: Prompt,
        options: GenerateOptions,
        seeds: Sequence[int | None],
        alternatives: int = 0,
    ) -> Iterator[Iterator[Piece]]:
        """A stream for each seed, each the same as alone; they share one reading of the prompt. Raises as `stream`."""
        window = self.encode_prompt(prompt)
        prefilled = functools.cache(functools.partial(self._prefilled, window))
        proposer = functools.cache(
            lambda: self.speculation.read(window) if self.speculation else None
        )
        for seed in seeds:
            chosen = dataclasses.replace(options, seed=seed)
            text = Continuation(window, chosen, self.tokenizer, alternatives)
            yield self._pieces(text, prefilled, proposer)

    def _prefilled(self, window: list[int]) -> tuple[Decoder, Any]:
        decoder = self.decoder.fresh()
        return decoder, decoder.prefill([window])

    def _pieces(
        self,
        text: Continuation,
        prefilled: Callable[[], tuple[Decoder, Any]],
        proposer: Callable[[], Proposer | None],
    ) -> Iterator[Piece]:
        decoder, logits_BV = prefilled()
        decoder = decoder.branch()
        if self.speculation and (draft := proposer()):
            yield from self.speculation.pieces(text, decoder, logits_BV[0], draft.branch())
            return
        while True:
            piece = text.take(logits_BV[0])
            yield piece
            if piece.reason:
                return
            logits_BV = advance(decoder, [text.window], [piece.token])

    def generate(self, prompt: Prompt, options: GenerateOptions | None = None) -> Result:
        """The whole continuation of `prompt`; raises as `stream`."""
        recorder = Recorder()
        for piece in self.stream(prompt, options):
            recorder.add(piece)
        return recorder.result()

    def beam_search(
        self,
        prompt: str,
        options: GenerateOptions | None = None,
        beams: int = 4,
        length_penalty: float = 1.0,
    ) -> list[Result]:
        """The `beams` continuations found most probable as a whole, the best first; see `kgpt.inference.beams`.

        Raises:
            KgptError: the prompt is longer than the context, or the options are those of sampling.
            KgptFailure: the model's scores are NaN.
        """
        options = options or GenerateOptions(temperature=0)
        start, window = time.perf_counter(), self.encode_prompt(prompt)
        search = BeamSearch(self.decoder.fresh(), options, beams, length_penalty, self._ending)
        found = search.run(window)
        seconds = time.perf_counter() - start
        results = []
        for hypothesis in found:
            text = TextStream(options.stop)
            shown = "".join(text.add(content(self.tokenizer, token))[0] for token in hypothesis.ids)
            shown += "" if hypothesis.reason == "stop" else text.rest()
            count = len(hypothesis.ids)
            results.append(
                Result(
                    text=shown,
                    ids=hypothesis.ids,
                    tokens=count,
                    seconds=seconds,
                    seconds_to_first_token=seconds,
                    tokens_per_second=count / seconds,
                    reason=hypothesis.reason,
                )
            )
        return results

    def _ending(self, ids: Sequence[int], options: GenerateOptions) -> Reason | None:
        """Why a continuation ends with its last id; None if it may go on."""
        if ids[-1] == self.tokenizer.end_of_text:
            return "end_of_text"
        text = TextStream(options.stop)
        stopped = any(
            [text.add(content(self.tokenizer, token))[1] for token in ids] if options.stop else []
        )
        return "stop" if stopped else None

    def complete_batch(
        self,
        prompts: Sequence[Prompt],
        max_tokens: int = 40,
        stop: Sequence[str] = (),
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> list[str]:
        """The greedy continuation of each prompt, the same as one by one but many at once.

        Prompts of similar length share a batch; every batch has one shape, so little is compiled.

        Raises:
            KgptError: a prompt is longer than the context.
        """
        return self.complete_ids(
            [self.encode_prompt(prompt) for prompt in prompts], max_tokens, stop, rows_at_once
        )

    def complete_ids(
        self,
        ids: Sequence[Sequence[int]],
        max_tokens: int = 40,
        stop: Sequence[str] = (),
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> list[str]:
        """As `complete_batch`, of prompts that are token ids."""
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        rows = min(rows_at_once, power_of_two(len(ids)))
        places = power_of_two(max(map(len, ids), default=1) + max_tokens)
        size = min(places, self.decoder.context_length)
        texts = [""] * len(ids)
        for first in range(0, len(order), rows):
            chosen = order[first : first + rows]
            windows = [list(ids[index]) for index in chosen]
            windows += [[self.tokenizer.end_of_text] for _ in range(rows - len(chosen))]
            continued = self._complete_rows(windows, len(chosen), max_tokens, stop, size)
            for index, text in zip(chosen, continued, strict=True):
                texts[index] = text
        return texts

    def _complete_rows(
        self, windows: list[list[int]], wanted: int, max_tokens: int, stop: Sequence[str], size: int
    ) -> list[str]:
        """Greedy continuations of the first `wanted` rows; the others only fill the batch."""
        decoder, texts = self.decoder.fresh(), [""] * wanted
        streams = {row: TextStream(stop) for row in range(wanted)}
        logits_BV = decoder.prefill(windows, size)
        for count in range(1, max_tokens + 1):
            tokens = sampling.most_probable(logits_BV)
            for row, stream in list(streams.items()):
                shown, stopped = stream.add(content(self.tokenizer, tokens[row]))
                reason = ending(self.tokenizer, tokens[row], stopped, count == max_tokens)
                texts[row] += shown + (stream.rest() if reason and not stopped else "")
                if reason:
                    del streams[row]
            if not streams:
                break
            logits_BV = advance(decoder, windows, tokens)
        return texts


class Recorder:
    """Collects the pieces of a stream, and times them from its own making on."""

    def __init__(self) -> None:
        self._start = self._first = self._last = time.perf_counter()
        self.pieces: list[Piece] = []

    def add(self, piece: Piece) -> None:
        """Take the next piece."""
        self._last = time.perf_counter()
        if not self.pieces:
            self._first = self._last
        self.pieces.append(piece)

    def result(self) -> Result:
        """What has come so far; the reason is `cancelled` unless the last piece says another."""
        after_first = self._last - self._first
        reason = self.pieces[-1].reason if self.pieces else None
        return Result(
            text="".join(piece.text for piece in self.pieces),
            ids=[piece.token for piece in self.pieces],
            tokens=len(self.pieces),
            seconds=self._last - self._start,
            seconds_to_first_token=self._first - self._start,
            tokens_per_second=(len(self.pieces) - 1) / after_first if after_first > 0 else 0.0,
            reason=reason or "cancelled",
        )


def seeds(seed: int | None, count: int) -> list[int]:
    """Seeds of `count` samples: `seed`, `seed + 1` and so on; from a random one if `seed` is None."""
    first = secrets.randbelow(2**31) if seed is None else seed
    return [first + index for index in range(count)]


def load_generator(
    run: RunFolder,
    checkpoint: Checkpoint | None = None,
    decoder: str = "auto",
    report: Callable[[str], object] = lambda stage: None,
    draft: RunFolder | None = None,
    draft_tokens: int = DRAFT_TOKENS,
) -> Generator:
    """The generator of a run's checkpoint, the best one by default; `report` is told what is being done.

    The best checkpoint of the run `draft` proposes `draft_tokens` at once, computed by the same kind of decoder.

    `decoder` is one of `kgpt.protocol.DECODERS`.

    Raises:
        KgptError: the run, its checkpoint or its tokenizer is missing or does not fit, or the draft's is another,
            or one of the runs writes no text.
        KgptFailure: the checkpoint is damaged.
    """
    run.read()
    run.check_writes()
    if draft is not None:
        draft.read()
        draft.check_writes()
        _check_draft(run, draft)
    tokenizer = Tokenizer.load(run.tokenizer_folder)
    chosen = chosen_decoder(decoder)
    target = _load_decoder(run, checkpoint, chosen, report)
    if draft is None:
        return Generator(target, tokenizer)
    proposing = _load_decoder(draft, None, chosen, report)
    return Generator(target, tokenizer, Speculation(proposing, draft_tokens))


def _load_decoder(
    run: RunFolder, checkpoint: Checkpoint | None, name: str, report: Callable[[str], object]
) -> Decoder:
    checkpoint = checkpoint or run.checkpoint()
    if name != "keras":
        from kgpt.inference.litert_files import load_litert_decoder

        variant = "int8" if name == "litert-int8" else "float32"
        return load_litert_decoder(run, checkpoint, variant, report)
    report(_("starting TensorFlow"))
    from kgpt.inference.decoder import KerasDecoder
    from kgpt.model.weights import load_checkpoint_model

    report(_("loading the weights"))
    return KerasDecoder(load_checkpoint_model(run, checkpoint))


def _check_draft(run: RunFolder, draft: RunFolder) -> None:
    """Refuse a draft whose ids mean other texts."""
    own, other = (Tokenizer.load(folder.tokenizer_folder).sha256 for folder in (run, draft))
    if own != other:
        raise KgptError(
            _("Bad draft"),
            _("{name} has another tokenizer than {name_2}.", name=draft.name, name_2=run.name),
            _("Train both on the same data folder."),
        )


def chosen_decoder(name: str = "auto") -> str:
    """The decoder that `auto` stands for: Keras on a GPU, LiteRT on a CPU."""
    if name != "auto":
        return name
    has_gpu = shutil.which("nvidia-smi") and os.environ.get("CUDA_VISIBLE_DEVICES") not in (
        "",
        "-1",
    )
    return "keras" if has_gpu or find_spec("ai_edge_litert") is None else "litert"
