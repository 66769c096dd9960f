"""kgpt-workbench: runs, loss curves and generation in the terminal.

In: the command line. Out: an exit code. Importing this, and `--help`, loads neither Textual nor TensorFlow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kgpt import language
from kgpt.errors import KgptError
from kgpt.language import N_, _

EXAMPLES = N_(
    "examples:\n"
    "  kgpt-workbench                    the runs in saved_models/\n"
    "  kgpt-workbench --run demo         watch one run\n"
    "  kgpt-workbench --once --json      the list of runs, for a script\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgpt-workbench ARGUMENTS` and return its exit code: 0 done, 1 failed, 2 the caller's mistake."""
    from workbench.settings import load, settings_file

    language.prefer(load(settings_file()).language)
    args = _parser().parse_args(arguments)
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
    add("--debug", action="store_true", help=_("show tracebacks"))
    return parser


def _run(args: argparse.Namespace) -> int:
    from kgpt.runs import find_run, saved_models_folder

    root = saved_models_folder(args.saved_models)
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
    return _open(root, run, is_read_only=args.read_only)


def _open(root: Path, run: Path | None, is_read_only: bool) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
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
    )
    app.run()
    return app.return_code or 0
