"""An engine without a model: speaks the protocol in full and writes known words. Run as a script.

Arguments name its manners: `slow` (a token each 50 ms), `hold FILE` (loads when the file exists), `silent` (never
answers), `crash-at-start`, `crash-on-generate` (after three tokens), `crash-once FILE` (the same, but only the first
process), `garbage` (lines that are no messages between those that are), `deaf` (does not hear `cancel`), `refuse`
(no `load` succeeds).
Standard library only.
"""

from __future__ import annotations

import json
import os
import queue
import re
import sys
import threading
import time
import zlib
from typing import Any

WORDS = (
    " é",
    " o",
    " quarto",
    " planeta",
    " a",
    " partir",
    " do",
    " Sol",
    ",",
    " cor",
    " de",
    " 🔥",
)
MANNERS = set(sys.argv[1:])
PAUSE = 0.05 if "slow" in MANNERS or "deaf" in MANNERS else 0.0
inbox: queue.Queue[dict[str, Any]] = queue.Queue()
cancelled: set[str] = set()
seen: set[str] = set()


def say(type_: str, **values: Any) -> None:
    if "garbage" in MANNERS:
        sys.stdout.write('2026-09-21 I tensorflow/core: not JSON\n{"type": 3}\n\x00\xff\n[]\n')
    print(json.dumps({"type": type_, **values}), flush=True)


def listen() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "cancel":
            cancelled.add(message["request"])
        else:
            inbox.put(message)
    inbox.put({"type": "quit"})


def crash() -> None:
    print("ResourceExhaustedError: out of memory", file=sys.stderr, flush=True)
    os._exit(3)


def should_crash() -> bool:
    if "crash-once" in MANNERS:
        marker = sys.argv[sys.argv.index("crash-once") + 1]
        is_first = not os.path.exists(marker)
        open(marker, "w").close()
        return is_first
    return "crash-on-generate" in MANNERS


def load(message: dict[str, Any]) -> None:
    request = message["id"]
    if "refuse" in MANNERS:
        say(
            "error",
            id=request,
            title="Vocabulary does not match",
            message="512 and 8192",
            hint="Retrain.",
        )
        return
    say("loading", id=request, slot=message["slot"], stage="reading the weights")
    while "hold" in MANNERS and not os.path.exists(sys.argv[sys.argv.index("hold") + 1]):
        time.sleep(0.01)
    step = 500 if message["checkpoint"] in ("best", "last") else int(message["checkpoint"])
    say(
        "loaded",
        id=request,
        slot=message["slot"],
        run=message["run"],
        step=step,
        parameters=6_241_280,
        context_length=128,
        vocabulary_size=8192,
        layers=2,
        heads=3,
        end_of_text=0,
    )


def pieces(message: dict[str, Any]) -> list[int]:
    """The continuation, as places of words: they depend on the seed, or on the last id of a prompt of ids."""
    options = message["options"]
    if "messages" in message:  # as many turns as there are shift the words
        start = len(message["messages"]) + options.get("seed", 0)
        return [(start + n) % len(WORDS) for n in range(options["max_tokens"])]
    start = message["ids"][-1] + 1 if "ids" in message else options.get("seed", 0)
    return [(start + n) % len(WORDS) for n in range(options["max_tokens"])]


def generate(message: dict[str, Any]) -> None:
    """The first token shows nothing yet."""
    request, text, start, first = message["id"], "", time.monotonic(), None
    reason, count, crashes = "length", 0, should_crash()
    places = pieces(message)
    for count, place in enumerate(places, 1):
        time.sleep(PAUSE)
        if request in cancelled and "deaf" not in MANNERS:
            reason, count = "cancelled", count - 1
            break
        if crashes and count == 4:
            crash()
        piece = "" if count == 1 and len(places) > 2 else WORDS[place]
        text += piece
        first = first or time.monotonic() - start
        others = [(place + n) % len(WORDS) for n in range(message.get("alternatives", 0))]
        say(
            "token",
            id=request,
            token=place,
            bytes_hex=piece.encode().hex(),
            text=piece,
            probability=0.5,
            alternatives=[
                {
                    "token": other,
                    "bytes_hex": WORDS[other].encode().hex(),
                    "probability": 0.5 ** (n + 1),
                }
                for n, other in enumerate(others)
            ],
        )
    seconds = time.monotonic() - start
    say(
        "done",
        id=request,
        reason=reason,
        tokens=count,
        seconds=seconds,
        seconds_to_first_token=first or seconds,
        text=text,
    )


def parts_of(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+", text)


def tokenize(message: dict[str, Any]) -> None:
    """Words with the space before them; a word of a `data` folder is cut after its first letter."""
    parts = parts_of(message["text"])
    if "data" in message:
        parts = [piece for part in parts for piece in (part[:2], part[2:]) if piece]
    ids = [100 + zlib.crc32(part.encode()) % 8000 for part in parts]
    say("tokens", id=message["id"], ids=ids, bytes_hex=[part.encode().hex() for part in parts])


def detokenize(message: dict[str, Any]) -> None:
    text = "".join(WORDS[token % len(WORDS)] for token in message["ids"])
    say("detokenized", id=message["id"], text=text, bytes_hex=text.encode().hex())


def read(message: dict[str, Any]) -> list[str]:
    """Tokens of a text: words, but `orra` is a token of its own."""
    if "reading" not in seen:
        seen.add("reading")
        say("loading", id=message["id"], slot=message["slot"], stage="starting Keras")
    return [part for part in re.findall(r"orra|\s*(?:(?!orra)\w)+|[^\w\s]", message["text"])]


def spans_of(parts: list[str]) -> list[list[int]]:
    starts = [place for place, part in enumerate(parts) if part != "orra"]
    return [[a, b] for a, b in zip(starts, [*starts[1:], len(parts)], strict=True)]


def tokens_reply(parts: list[str]) -> dict[str, Any]:
    hexes = [part.encode().hex() for part in parts]
    return {"ids": [200 + n for n in range(len(parts))], "bytes_hex": hexes}


def attention(message: dict[str, Any]) -> None:
    """Each token draws half on itself, the rest evenly; head 1 all on the first, head 2 of layer 1 on `orra`."""
    parts = read(message)
    layer, head, kind = message["layer"], message["head"], message["kind"]
    rows = []
    for place in range(len(parts)):
        row = [0.5 / max(place, 1)] * place + [0.5 if place else 1.0]
        target = 0 if head == 1 else parts.index("orra") if head == 2 and layer == 1 else None
        if kind == "rollout":
            target = 1
        if target is not None and target <= place:
            row = [0.0] * (place + 1)
            row[target] = 1.0
        rows.append(row)
    values = {"kind": kind, "layer": layer, "head": head, "words": spans_of(parts), "weights": rows}
    say("attention", id=message["id"], **tokens_reply(parts), **values)


def ablate(message: dict[str, Any]) -> None:
    """Without `cachorra`, the next token is much less probable."""
    parts, place = read(message), message["place"]
    words = spans_of(parts[: place + 1])
    without = [0.1 if "cach" in parts[first] else 0.42 for first, _ in words]
    is_in_text = place + 1 < len(parts)
    token = parts[place + 1] if is_in_text else " latiu"
    say(
        "ablation",
        id=message["id"],
        place=place,
        token=5,
        token_bytes_hex=token.encode().hex(),
        is_in_text=is_in_text,
        probability=0.4,
        words=words,
        without=without,
        **tokens_reply(parts),
    )


def classify(message: dict[str, Any]) -> None:
    """Spam where money is spoken of; unsure of the empty."""
    results = []
    for text in message["texts"]:
        spam = 0.9 if "money" in text else 0.5 if len(text) < 4 else 0.2
        label = None if spam == 0.5 else "spam" if spam > 0.5 else "ham"
        results.append(
            {"text": text, "label": label, "probabilities": {"ham": 1 - spam, "spam": spam}}
        )
    say("labels", id=message["id"], results=results)


def main() -> None:
    print("the engine's log begins", file=sys.stderr, flush=True)
    if "crash-at-start" in MANNERS:
        crash()
    if "silent" in MANNERS:
        threading.Event().wait()
    threading.Thread(target=listen, daemon=True).start()
    time.sleep(0.2 if "slow" in MANNERS else 0.0)
    say("ready", versions={"kgpt": "0"})
    actions = {
        "load": load,
        "generate": generate,
        "tokenize": tokenize,
        "detokenize": detokenize,
        "attention": attention,
        "ablate": ablate,
        "classify": classify,
    }
    while (message := inbox.get())["type"] != "quit":
        action = actions.get(message["type"])
        if action:
            action(message)
        else:
            say(
                "error", id=message["id"], title="Unknown request", message=message["type"], hint=""
            )


if __name__ == "__main__":
    main()
