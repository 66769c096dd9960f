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
import sys
import threading
import time
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
    )


def pieces(message: dict[str, Any]) -> list[str]:
    """The continuation: words that depend on the seed; the first token shows nothing yet."""
    options = message["options"]
    start = options.get("seed", 0) % len(WORDS)
    words = [WORDS[(start + n) % len(WORDS)] for n in range(options["max_tokens"])]
    return ["", *words[1:]] if options["max_tokens"] > 2 else words


def generate(message: dict[str, Any]) -> None:
    request, text, start, first = message["id"], "", time.monotonic(), None
    reason, count, crashes = "length", 0, should_crash()
    for count, piece in enumerate(pieces(message), 1):
        time.sleep(PAUSE)
        if request in cancelled and "deaf" not in MANNERS:
            reason, count = "cancelled", count - 1
            break
        if crashes and count == 4:
            crash()
        text += piece
        first = first or time.monotonic() - start
        hexadecimal = piece.encode().hex()
        say(
            "token",
            id=request,
            token=count,
            bytes_hex=hexadecimal,
            text=piece,
            probability=0.5,
            alternatives=[],
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


def main() -> None:
    print("the engine's log begins", file=sys.stderr, flush=True)
    if "crash-at-start" in MANNERS:
        crash()
    if "silent" in MANNERS:
        threading.Event().wait()
    threading.Thread(target=listen, daemon=True).start()
    time.sleep(0.2 if "slow" in MANNERS else 0.0)
    say("ready", versions={"kgpt": "0"})
    actions = {"load": load, "generate": generate}
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
