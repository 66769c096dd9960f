"""kgpt-workbench: runs, loss curves and generation in the terminal.

In: the command line. Out: an exit code. Importing this, and `--help`, loads neither Textual nor TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kgpt import language
from kgpt.errors import KgptError
from kgpt.language import N_, _
from workbench.preferences import PREFERENCES, Preference, Preferences, load, preferences_file

EXAMPLES = N_(
    "examples:\n"
    "  kgpt-workbench                    the runs in saved_models/\n"
    "  kgpt-workbench --run demo         watch one run\n"
    "  kgpt-workbench --once --json      the list of runs, for a script\n"
    "  kgpt-workbench --web              the same in a browser, at http://127.0.0.1:8080\n"
)
PORT = 8080


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgpt-workbench ARGUMENTS` and return its exit code: 0 done, 1 failed, 2 the caller's mistake."""
    asked = str(load(preferences_file(), os.environ)["language"])
    language.prefer("" if asked == "auto" else asked)
    args = _parser().parse_args(arguments)
    if args.language in (language.ENGLISH, language.PORTUGUESE):
        os.environ[language.VARIABLE] = args.language
        language.prefer(args.language)
    try:
        return _run(args)
    except KgptError as error:
        if args.debug:
            raise
        print(f"kgpt-workbench: {error.title}", file=sys.stderr)
        for line in filter(None, (error.message, error.hint)):
            print(f"  {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    from importlib.metadata import version

    parser = argparse.ArgumentParser(
        prog="kgpt-workbench",
        description=_("See your runs, watch a model learn, and write with it."),
        epilog=_(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--version",
        action="version",
        version=f"kgpt-workbench {version('kgpt')}",
        help=_("show program's version number and exit"),
    )
    add(
        "--saved-models",
        metavar="DIR",
        help=_("folder of the runs (default: $KGPT_SAVED_MODELS or saved_models)"),
    )
    add("--run", metavar="NAME", help=_("watch this run at once; with --once: only this one"))
    add("--once", action="store_true", help=_("print the runs as a table, and leave"))
    add("--json", action="store_true", help=_("with --once: one JSON object instead of a table"))
    add(
        "--read-only",
        action="store_true",
        help=_("write nothing: no settings, no history, no screenshots"),
    )
    add(
        "--web",
        action="store_true",
        help=_("serve it to a browser on this machine, until Ctrl-C"),
    )
    add("--port", type=int, metavar="N", help=_("with --web: where (default: {port})", port=PORT))
    for item in PREFERENCES:
        if item.has_flag:
            _add_preference(add, item)
    add("--debug", action="store_true", help=_("show tracebacks"))
    return parser


def _add_preference(add: Callable[..., Any], item: Preference) -> None:
    """An option that overrides what is set, for this once."""
    if isinstance(item.default, bool):
        add(item.flag, action=argparse.BooleanOptionalAction, help=_(item.help))
    elif item.choices:
        add(item.flag, choices=item.choices, help=f"{_(item.help)} ({item.default})")
    else:
        name = "SECONDS" if isinstance(item.default, float) else "NAME"
        add(item.flag, metavar=name, help=_(item.help))


def _run(args: argparse.Namespace) -> int:
    from kgpt.runs import find_run, saved_models_folder

    given = {item.name: getattr(args, item.name, None) for item in PREFERENCES}
    preferences = load(preferences_file(), os.environ, given)
    root = saved_models_folder(args.saved_models or _runs_folder(preferences))
    if root.exists() and not root.is_dir():
        raise KgptError(
            _("Not a folder"),
            _("The folder of the runs was given as {root}, which is a file.", root=root),
            _("Give a folder: --saved-models DIR"),
        )
    run = find_run(args.run, root).path if args.run else None
    if run is not None and run.parent.resolve() != root.resolve():
        root = run.parent
    if args.once:
        from workbench.once import print_runs

        return print_runs(root, run.name if run else None, as_json=args.json)
    if args.json:
        raise KgptError(
            _("Nothing to print"), _("--json goes with --once."), "kgpt-workbench --once --json"
        )
    if args.web:
        return _serve(root, run, args)
    if args.port is not None:
        raise KgptError(_("Nothing to serve"), _("--port goes with --web."), "kgpt-workbench --web")
    return _open(root, run, preferences, is_read_only=args.read_only)


def _runs_folder(preferences: Preferences) -> str | None:
    """The folder that is set, unless only the file sets it and `KGPT_SAVED_MODELS` another."""
    is_from_file = preferences.sources.get("runs_folder") == str(preferences_file())
    if is_from_file and os.environ.get("KGPT_SAVED_MODELS"):
        return None
    return str(preferences["runs_folder"]) or None


def _serve(root: Path, run: Path | None, args: argparse.Namespace) -> int:
    port = PORT if args.port is None else args.port
    if not 1 <= port <= 65535:
        raise KgptError(
            _("Not a port"),
            _("Expected a number from 1 to 65535. Received: {port}.", port=port),
            f"kgpt-workbench --web --port {PORT}",
        )
    from kgpt.packages import optional_package

    optional_package("textual_serve", "web", "--web")
    from workbench.browser import serve

    chosen = ["--saved-models", str(root.resolve())]
    chosen += ["--run", run.name] if run else []
    chosen += ["--read-only"] if args.read_only else []
    for item in PREFERENCES:
        value = getattr(args, item.name, None)
        if isinstance(value, bool):
            chosen.append(item.flag if value else item.flag.replace("--", "--no-"))
        elif value is not None:
            chosen += [item.flag, value]
    return serve(chosen, port)


def _open(root: Path, run: Path | None, preferences: Preferences, is_read_only: bool) -> int:
    is_in_page = "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")
    if not is_in_page and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise KgptError(
            _("No terminal"),
            _("The workbench draws on a terminal, and this is none."),
            _("For a script: kgpt-workbench --once --json"),
        )
    from workbench.app import WorkbenchApp
    from workbench.settings import settings_file
    from workbench.state import state_folder

    app = WorkbenchApp(
        root,
        run_name=run.name if run else None,
        settings_path=settings_file(),
        state_path=state_folder(),
        is_read_only=is_read_only,
        preferences=preferences,
        preferences_path=preferences_file(),
    )
    app.run()
    return app.return_code or 0
