"""Serve a model over HTTP, as OpenAI's API does.

Clients of that API work with it: point them to http://HOST:PORT/v1. A page to try the model is at /, the documentation
at /docs, counts for Prometheus at /metrics. Requests that come together are written together. Ctrl-C ends it, after
what is being written. A model that was fine-tuned to answer takes conversations at /v1/chat/completions; a classifier
answers POST /v1/classify with labels and probabilities.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from typing import Any

from kgpt.commands.stages import show_stage
from kgpt.errors import KgptError
from kgpt.language import ENGLISH, N_, _, use
from kgpt.packages import optional_package
from kgpt.protocol import DECODERS
from kgpt.runs import Checkpoint, RunFolder, find_run

EXAMPLES = N_(
    "examples:\n"
    "  kgpt serve demo\n"
    '  curl http://127.0.0.1:8000/v1/completions -H "Content-Type: application/json" '
    '-d \'{"prompt": "Marte é"}\'\n'
    "  kgpt serve spam\n"
    '  curl http://127.0.0.1:8000/v1/classify -H "Content-Type: application/json" -d '
    '\'{"input": "You won a prize"}\'\n'
    "  KGPT_API_KEY=secret kgpt serve demo --host 0.0.0.0 --port 80\n"
)
OF_WRITING = ("decoder", "streams", "queue", "max_tokens", "seconds")
"""Options that a classifier has no use for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt serve`."""
    parser.add_argument("name", metavar="RUN", help=_("a run: its name or its folder"))
    add = parser.add_argument_group(_("server")).add_argument
    add("--host", default="127.0.0.1", help=_("0.0.0.0: every machine may call (%(default)s)"))
    add("--port", type=int, default=8000, help=_("0: any that is free (%(default)s)"))
    add(
        "--api-key",
        metavar="KEY",
        default=os.environ.get("KGPT_API_KEY", ""),
        help=_("ask callers for this key (default: $KGPT_API_KEY, which other users do not see)"),
    )
    add(
        "--cors",
        metavar="ORIGIN",
        action="append",
        default=[],
        help=_(
            "pages of this origin may call, such as https://example.com (repeatable; default: none)"
        ),
    )
    add("--decoder", choices=DECODERS, default="auto", help=_("what computes (%(default)s)"))
    add("--checkpoint", metavar="best|last|STEP", default="best", help=_("default: %(default)s"))
    add = parser.add_argument_group(_("limits")).add_argument
    add(
        "--streams",
        metavar="N",
        type=int,
        default=32,
        help=_("texts written at once (%(default)s)"),
    )
    add("--queue", metavar="N", type=int, default=256, help=_("texts that may wait (%(default)s)"))
    add(
        "--max-tokens",
        metavar="N",
        type=int,
        default=4096,
        help=_("tokens of one text (%(default)s)"),
    )
    add("--seconds", metavar="S", type=float, default=300, help=_("for one request (%(default)s)"))
    add(
        "--body-bytes",
        metavar="N",
        type=int,
        default=1_000_000,
        help=_("size of one request (%(default)s)"),
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Serve until a signal ends it."""
    uvicorn = optional_package("uvicorn", "serve", "kgpt serve")
    optional_package("fastapi", "serve", "kgpt serve")
    optional_package("prometheus_client", "serve", "kgpt serve")
    _check(args)
    folder = find_run(args.name, args.saved_models)
    if folder.is_classifier:
        _check_classifier(args)
    checkpoint = folder.checkpoint(args.checkpoint)
    listener = _listener(args.host, args.port)
    app = _application(args, folder, checkpoint)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=int(args.seconds) + 1, ws="none"
        )
    )
    host = f"[{args.host}]" if ":" in args.host else args.host
    url = f"http://{host}:{listener.getsockname()[1]}"
    print(
        _("Serving {name} at {url} (Ctrl-C ends it)", name=folder.name, url=url),
        file=sys.stderr,
        flush=True,
    )
    use(ENGLISH)  # what callers are answered is for programs
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn's own handlers end it; then these come
        signal.signal(number, lambda *_anything: None)
    server.run(sockets=[listener])
    if folder.is_classifier:
        return {"run": folder.name, "url": url}
    counts = app.state.service.batcher.counts
    return {"run": folder.name, "url": url, "tokens": counts.tokens}


def _application(args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint) -> Any:
    if folder.is_classifier:
        from kgpt.inference.classification import load_classifier
        from kgpt.serving.label_http import create_label_app

        classifier = load_classifier(folder, checkpoint, show_stage)
        classifier.probabilities([""])  # compiles
        return create_label_app(classifier, folder.name, args.body_bytes, args.api_key, args.cors)
    from kgpt.inference.chat import run_template
    from kgpt.inference.generation import load_generator
    from kgpt.serving.http import create_app
    from kgpt.serving.service import Limits

    generator = load_generator(folder, checkpoint, args.decoder, show_stage)
    generator.warm_up()
    limits = Limits(
        streams=args.streams,
        waiting=args.queue,
        max_tokens=args.max_tokens,
        seconds=args.seconds,
        body_bytes=args.body_bytes,
    )
    template = run_template(folder) if folder.answers else None
    return create_app(generator, folder.name, limits, args.api_key, args.cors, template)


def _check(args: argparse.Namespace) -> None:
    for name in ("streams", "max_tokens", "body_bytes", "seconds"):
        if not 0 < getattr(args, name) < sys.maxsize:
            raise KgptError(
                _("Bad limit"),
                _(
                    "--{replace} must be above 0 and finite. Received: {args}",
                    replace=name.replace("_", "-"),
                    args=getattr(args, name),
                ),
                _("See `kgpt serve --help`."),
            )
    if args.queue < 0 or not 0 <= args.port < 65536:
        raise KgptError(
            _("Bad arguments"),
            _(
                "--queue must be 0 or more, --port from 0 to 65535. Received: {queue}, {port}",
                queue=args.queue,
                port=args.port,
            ),
            _("See `kgpt serve --help`."),
        )


def _check_classifier(args: argparse.Namespace) -> None:
    """Refuse options about writing, which a classifier would ignore."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    untouched = vars(parser.parse_args([args.name]))
    for name in OF_WRITING:
        if getattr(args, name) != untouched[name]:
            raise KgptError(
                _("A classifier writes no text"),
                _(
                    "Run {name} gives labels; --{replace} is about writing.",
                    name=args.name,
                    replace=name.replace("_", "-"),
                ),
                _("Leave the option out."),
            )


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens, before the model is loaded: a port in use is known at once."""
    try:
        family, *_kind, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        raise KgptError(
            _("Cannot listen"),
            _(
                "{host}, port {port}: {strerror}.",
                host=host,
                port=port,
                strerror=error.strerror or error,
            ),
            _("Choose another with --port, or --port 0 for any that is free."),
        ) from None
    return listener
