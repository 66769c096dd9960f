"""The generation engine: JSON lines in on stdin, JSON lines out on stdout (`kgpt.protocol` lists them).

`python -m kgpt.serving.engine [--saved-models DIR]` says `ready` at once and imports Keras with the first `load`. One
thread reads, so that a `cancel` is noticed while the other works. Nothing that a client sends ends the engine but
`quit`, at once, and the end of its input, once everything asked before is answered. stderr is its log.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from kgpt.protocol import DECODERS, MAX_LINE_BYTES, GenerateOptions, decode, encode, error_message
from kgpt.runs import Checkpoint, RunFolder, data_folder, find_run

if TYPE_CHECKING:
    from kgpt.config import ModelConfig
    from kgpt.inference.classification import TextClassifier
    from kgpt.inference.continuation import Piece
    from kgpt.inference.generation import Generator
    from kgpt.text.tokenizer import Tokenizer

Message = Mapping[str, Any]
PACKAGES = ("kgpt", "keras", "tensorflow", "tokenizers")
MAX_ALTERNATIVES = 100
ALL = "all"
MAX_MAP_TOKENS = 1024
"""Whose attention is told: the reply, a line with a number for each pair, has to stay below `MAX_LINE_BYTES`."""


@dataclass
class _Slot:
    """What a `load` has loaded."""

    run: RunFolder
    checkpoint: Checkpoint
    config: ModelConfig
    writer: Generator | None = None
    classifier: TextClassifier | None = None
    model: Any = None
    """For attention and ablation: a Keras model, loaded when the first are asked for."""

    @property
    def generator(self) -> Generator:
        """What writes.

        Raises:
            KgptError: the run gives labels.
        """
        if self.writer is None:
            self.run.check_writes()
            raise RuntimeError("a run that writes was loaded without its generator")
        return self.writer


class Engine:
    """Answers requests from `requests` on `replies`: `run` works in the calling thread and reads in another."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO, saved_models: str | None) -> None:
        self._requests, self._replies, self._saved_models = requests, replies, saved_models
        self._queue: queue.SimpleQueue[tuple[Message, threading.Event] | None] = queue.SimpleQueue()
        self._write_lock = threading.Lock()
        self._cancels: dict[object, threading.Event] = {}
        self._cancelled = threading.Event()
        self._slots: dict[str, _Slot] = {}
        self._tokenizers: dict[tuple[Path, int], Tokenizer] = {}
        self._handlers = {
            "load": self._load,
            "generate": self._generate,
            "attention": self._attention,
            "classify": self._classify,
            "ablate": self._ablate,
            "tokenize": self._tokenize,
            "detokenize": self._detokenize,
        }

    def run(self) -> None:
        """Say `ready`, then answer until the input ends."""
        self._send({"type": "ready", "id": None, "versions": _versions()})
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        while (item := self._queue.get()) is not None:
            message, self._cancelled = item
            self._answer(message)

    # === The reader's thread ===

    def _read(self) -> None:
        try:
            for line in _lines(self._requests):
                try:
                    self._receive(decode(line))
                except KgptError as error:
                    self._send(error_message(error))
        except BrokenPipeError:
            pass  # the client is gone; the worker ends with the queue
        finally:
            self._queue.put(None)

    def _receive(self, message: dict[str, Any]) -> None:
        kind, request = message["type"], _identity(message, "id")
        if kind == "quit":
            with self._write_lock:  # nothing is half-written, and nothing needs saving
                os._exit(0)
        if kind == "cancel":
            if running := self._cancels.get(_identity(message, "request")):
                running.set()
        elif kind in self._handlers:
            self._cancels[request] = threading.Event()
            self._queue.put((message, self._cancels[request]))
        else:
            known = ", ".join(self._handlers)
            error = _bad_request(f"There is no type {kind!r}. Known: {known}, cancel, quit.")
            self._send(error_message(error, request))

    # === The worker's thread ===

    def _answer(self, message: Message) -> None:
        request = message.get("id")
        try:
            self._handlers[message["type"]](message)
        except KgptError as error:
            self._send(error_message(error, request))
        except BrokenPipeError:
            raise
        except Exception as error:
            traceback.print_exc()
            failure = KgptFailure(
                f"The engine failed: {type(error).__name__}",
                str(error).strip()[:2000] or "No details.",
                "Its log has the traceback.",
            )
            self._send(error_message(failure, request))
        finally:
            self._cancels.pop(request, None)

    def _load(self, message: Message) -> None:
        slot, request = _text(message, "slot"), message.get("id")

        def report(stage: str) -> None:
            self._send({"type": "loading", "id": request, "slot": slot, "stage": stage})

        run = find_run(_text(message, "run"), self._saved_models)
        checkpoint = run.checkpoint(str(message.get("checkpoint", "best")))
        decoder = _choice(message, "decoder", DECODERS)
        from kgpt.model.size import parameter_count
        from kgpt.model.tensors import model_config

        config = model_config(run)
        loaded = _Slot(run, checkpoint, config)
        more: dict[str, Any] = {"answers": run.answers}
        if run.is_classifier:
            from kgpt.inference.classification import load_classifier

            report(_("starting Keras"))
            loaded.classifier = load_classifier(run, checkpoint, report)
            more["labels"] = list(loaded.classifier.labels)
            tokenizer = loaded.classifier.tokenizer
        else:
            from kgpt.inference.generation import load_generator

            loaded.writer = load_generator(run, checkpoint, decoder, report)
            report("compiling")
            loaded.writer.warm_up()
            tokenizer = loaded.writer.tokenizer
        self._slots[slot] = loaded
        self._send(
            {
                "type": "loaded",
                "id": request,
                "slot": slot,
                "run": run.name,
                "step": checkpoint.step,
                "parameters": parameter_count(config),
                "context_length": config.context_length,
                "vocabulary_size": config.vocabulary_size,
                "layers": config.num_layers,
                "heads": config.num_heads,
                "end_of_text": tokenizer.end_of_text,
                **more,
            }
        )

    def _generate(self, message: Message) -> None:
        request = message.get("id")
        options = GenerateOptions.from_dict(_object(message, "options"))
        alternatives = _count(message, "alternatives", MAX_ALTERNATIVES)
        slot = self._slot(message)
        from kgpt.inference.generation import Recorder

        pieces = (
            _answer(slot, message["messages"], options, alternatives)
            if "messages" in message
            else slot.generator.stream(
                _ids(message) if "ids" in message else _text(message, "prompt"),
                options,
                alternatives,
            )
        )
        recorder = Recorder()
        for piece in pieces:
            if self._cancelled.is_set():
                break
            recorder.add(piece)
            self._send(_token_message(request, piece))
        result = recorder.result()
        self._send(
            {
                "type": "done",
                "id": request,
                "reason": result.reason,
                "tokens": result.tokens,
                "seconds": result.seconds,
                "seconds_to_first_token": result.seconds_to_first_token,
                "text": result.text,
            }
        )

    def _classify(self, message: Message) -> None:
        slot, texts = self._slot(message), message.get("texts")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise _bad_request('Expected a list of texts under "texts".')
        if slot.classifier is None:
            slot.run.check_labels()
            raise RuntimeError("a classifier was loaded without its labels")
        results = [found.to_dict() for found in slot.classifier.classify(texts)]
        self._send({"type": "labels", "id": message.get("id"), "results": results})

    def _attention(self, message: Message) -> None:
        slot = self._slot(message)
        kind = _choice(message, "kind", ("weights", "rollout"))
        layer = _count_or_all(message, "layer", slot.config.num_layers - 1)
        head = _count_or_all(message, "head", slot.config.num_heads - 1)
        ids, contents = self._tokens_of(slot, message)
        model = self._keras_model(slot, message)
        from kgpt.inference.attention_reading import Kind, attention_matrix
        from kgpt.inference.words import words_of

        weights_TT = attention_matrix(model, ids, cast("Kind", kind), layer, head)
        self._send(
            {
                "type": "attention",
                "id": message.get("id"),
                "kind": kind,
                "layer": ALL if layer is None else layer,
                "head": ALL if head is None else head,
                "ids": ids,
                "bytes_hex": [content.hex() for content in contents],
                "words": words_of(contents),
                "weights": [
                    [round(float(weight), 6) for weight in row[: place + 1]]
                    for place, row in enumerate(weights_TT)
                ],
            }
        )

    def _ablate(self, message: Message) -> None:
        slot = self._slot(message)
        ids, contents = self._tokens_of(slot, message)
        place = _count(message, "place", len(ids) - 1)
        model = self._keras_model(slot, message)
        from kgpt.inference.ablation import ablate
        from kgpt.inference.words import words_of

        words = words_of(contents[: place + 1])
        following = ids[place + 1] if place + 1 < len(ids) else None
        tokenizer = slot.generator.tokenizer
        found = ablate(
            model,
            ids[: place + 1],
            words,
            tokenizer.end_of_text,
            following,
            lambda: not self._cancelled.is_set(),
        )
        if found is None:
            raise KgptError("Cancelled", "The words were not all left out in turn.")
        self._send(
            {
                "type": "ablation",
                "id": message.get("id"),
                "place": place,
                "token": found.token,
                "token_bytes_hex": tokenizer.token_bytes(found.token).hex(),
                "is_in_text": following is not None,
                "probability": found.probability,
                "ids": ids,
                "bytes_hex": [content.hex() for content in contents],
                "words": words,
                "without": list(found.without),
            }
        )

    def _tokens_of(self, slot: _Slot, message: Message) -> tuple[list[int], list[bytes]]:
        ids = slot.generator.encode_prompt(_text(message, "text"))
        if len(ids) > MAX_MAP_TOKENS:
            raise KgptError(
                _("Text too long for attention"),
                _(
                    "Expected at most {max_map_tokens} tokens. Received: {count} tokens.",
                    max_map_tokens=MAX_MAP_TOKENS,
                    count=len(ids),
                ),
                _("Shorten the text."),
            )
        return ids, [slot.generator.tokenizer.token_bytes(token) for token in ids]

    def _keras_model(self, slot: _Slot, message: Message) -> Any:
        if slot.model is None:
            stage = {"type": "loading", "id": message.get("id"), "slot": message["slot"]}
            self._send({**stage, "stage": _("starting Keras")})
            from kgpt.model.weights import load_checkpoint_model

            slot.model = load_checkpoint_model(slot.run, slot.checkpoint)
        return slot.model

    def _slot(self, message: Message) -> _Slot:
        name = _text(message, "slot")
        if name not in self._slots:
            raise KgptError(
                "No model loaded",
                f"Slot {name!r} is empty. Loaded: {', '.join(self._slots) or 'none'}.",
                'Send a "load" for it first.',
            )
        return self._slots[name]

    def _tokenize(self, message: Message) -> None:
        tokenizer = self._tokenizer(message)
        ids = tokenizer.encode(_text(message, "text"))
        parts = [tokenizer.token_bytes(token).hex() for token in ids]
        self._send({"type": "tokens", "id": message.get("id"), "ids": ids, "bytes_hex": parts})

    def _detokenize(self, message: Message) -> None:
        content = self._tokenizer(message).decode_bytes(_ids(message))
        text = content.decode("utf-8", errors="replace")
        reply = {"type": "detokenized", "id": message.get("id"), "text": text}
        self._send({**reply, "bytes_hex": content.hex()})

    def _tokenizer(self, message: Message) -> Tokenizer:
        from kgpt.text.tokenizer import Tokenizer

        if "data" in message:
            name = Path(_text(message, "data"))
            folder = (name if name.is_dir() else data_folder() / name) / "tokenizer"
        else:
            folder = find_run(_text(message, "run"), self._saved_models).tokenizer_folder
        # Keyed by its time of writing: a run that was trained anew may have another tokenizer.
        file = folder / "vocabulary.json"
        key = (folder, file.stat().st_mtime_ns if file.is_file() else 0)
        if key not in self._tokenizers:
            self._tokenizers[key] = Tokenizer.load(folder)
        return self._tokenizers[key]

    # === Both threads ===

    def _send(self, reply: Message) -> None:
        with self._write_lock:
            self._replies.write(encode(reply))
            self._replies.flush()


def _answer(
    slot: _Slot, messages: object, options: GenerateOptions, alternatives: int
) -> Iterator[Piece]:
    """The answer to a conversation."""
    from kgpt.inference.chat import Chat, run_template
    from kgpt.text.conversations import turns_of

    chat = Chat(slot.generator, run_template(slot.run))
    return chat.answer(turns_of(messages), options, alternatives)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines of a stream; of one that is too long, its beginning, one byte longer than is allowed."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        end = line
        while not end.endswith(b"\n") and (end := stream.readline(MAX_LINE_BYTES)):
            pass
        if line.strip():
            yield line


def _token_message(request: object, piece: Piece) -> Message:
    return {
        "type": "token",
        "id": request,
        "token": piece.token,
        "bytes_hex": piece.bytes.hex(),
        "text": piece.text,
        "probability": piece.probability,
        "alternatives": [
            {"token": other.token, "bytes_hex": other.bytes.hex(), "probability": other.probability}
            for other in piece.alternatives
        ],
    }


def _identity(message: Message, key: str) -> str | int | None:
    value = message.get(key)
    if not isinstance(value, (str, int, type(None))):
        raise _bad_request(f'Expected a text or a whole number under "{key}". Received: {value!r}')
    return value


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise _bad_request(f'Expected a text under "{key}". Received: {value!r}')
    return value


def _ids(message: Message) -> list[int]:
    ids = message.get("ids")
    if not isinstance(ids, list) or not all(type(token) is int for token in ids):
        raise _bad_request(f'Expected a list of whole numbers under "ids". Received: {ids!r}')
    return ids


def _object(message: Message, key: str) -> Message:
    value = message.get(key, {})
    if not isinstance(value, dict):
        raise _bad_request(f'Expected an object under "{key}". Received: {value!r}')
    return value


def _choice(message: Message, key: str, choices: Sequence[str]) -> str:
    value = message.get(key, choices[0])
    if value not in choices:
        raise _bad_request(
            f'Expected one of {", ".join(choices)} under "{key}". Received: {value!r}'
        )
    return str(value)


def _count(message: Message, key: str, highest: int) -> int:
    value = message.get(key, 0)
    if type(value) is not int or not 0 <= value <= highest:
        raise _bad_request(f'Expected 0 to {highest} under "{key}". Received: {value!r}')
    return value


def _count_or_all(message: Message, key: str, highest: int) -> int | None:
    """A number, 0 if there is none; None for `ALL`."""
    return None if message.get(key) == ALL else _count(message, key, highest)


def _bad_request(what: str) -> KgptError:
    return KgptError("Bad request", what, "kgpt.protocol lists the messages.")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # such as TensorFlow, where Keras runs on another backend
            continue
    return found


def main() -> None:
    """Run the engine on this process's stdin and stdout."""
    parser = argparse.ArgumentParser(prog="python -m kgpt.serving.engine", description=__doc__)
    parser.add_argument("--saved-models", metavar="DIR", help="folder of the runs")
    args = parser.parse_args()
    # Ctrl-C in a terminal reaches every process in it; the client decides what becomes of its engine.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The protocol gets stdout to itself: what libraries print there goes to the log.
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a stray print is in the log when it happens
    try:
        Engine(requests, replies, args.saved_models).run()
    except BrokenPipeError:
        os._exit(0)  # the client is gone: nobody is left to tell
    sys.stderr.flush()
    os._exit(0)  # TensorFlow's threads need no farewell, and the reader may still hold stdin


if __name__ == "__main__":
    main()
