"""Turn text into a tokenizer and token shards.

SOURCE is a file, a folder, a glob in quotes, `-` (standard input), `hf:NAME[:CONFIG[:SPLIT]]` (a data set of the
Hugging Face Hub) or `encyclopedia` (built in). Files are .txt .md .jsonl .json .csv .tsv .parquet or Wikipedia's .xml
dumps, plain or .gz .bz2 .xz .zst. What is interrupted goes on when the same command is given again; where nothing has
changed, nothing is done.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import N_, _

EXAMPLES = N_(
    "examples:\n"
    "  kgpt prepare books/ --vocab-size 8192                 documents are files; the "
    "data goes to data/books\n"
    "  kgpt prepare 'wiki/*.jsonl.gz' --output wiki --vocab-size 32768 --clean "
    "nfc,min-length=200 --dedupe near\n"
    "  kgpt prepare play.txt --tokenizer bytes --validation tail --validation-fraction "
    "0.1\n"
    "  kgpt prepare wiki.txt poems.txt --weight poems.txt=3  train three times on each "
    "poem\n"
    "  kgpt prepare --clean list                             the cleaning steps\n"
)
PRE_TOKENIZATION, TOKENIZER_SAMPLE = "gpt2", 256
"""The defaults of --pre-tokenization and --tokenizer-sample."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help=_("where the text is"))
    parser.add_argument(
        "--output",
        metavar="DIR",
        help=_(
            "folder to write; a bare name goes under $KGPT_DATA or data (default: named for the "
            "first source)"
        ),
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=_("replace data prepared from other text or options"),
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help=_("of all draws (default: 1)")
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help=_("processes (default: one for each core)")
    )
    _add_tokenizer(parser.add_argument_group(_("tokenizer")))
    _add_reading(parser.add_argument_group(_("reading the text")))
    _add_choosing(parser.add_argument_group(_("choosing documents")))
    _add_parts(parser.add_argument_group(_("past one machine")))


def _add_tokenizer(group: Any) -> None:
    kind = group.add_mutually_exclusive_group()
    kind.add_argument(
        "--vocab-size",
        type=int,
        default=4096,
        metavar="N",
        help=_("train a BPE of N ids, special tokens included (default: %(default)s)"),
    )
    kind.add_argument(
        "--tokenizer",
        metavar="NAME|PATH",
        help=_("use bytes, gpt2, or the tokenizer of a run, of data, in a folder or a file"),
    )
    group.add_argument(
        "--pre-tokenization",
        default=PRE_TOKENIZATION,
        metavar="NAME",
        help=_("how text is cut into words before a BPE is trained (default: %(default)s)"),
    )
    group.add_argument(
        "--special-tokens",
        type=_listed,
        default=[],
        metavar="NAME[,NAME...]",
        help=_(
            "beside the end of text: padding, begin_of_text, system, user, assistant, end, or "
            "<|your_own|>"
        ),
    )
    group.add_argument(
        "--tokenizer-sample",
        type=_megabytes,
        default=TOKENIZER_SAMPLE,
        metavar="MB|all",
        help=_("text to train a BPE on (default: %(default)s)"),
    )


def _add_reading(group: Any) -> None:
    group.add_argument(
        "--documents",
        choices=("file", "blank-line", "line"),
        default="file",
        help=_(
            "in text files, a document is a whole file, the text between blank lines, or a line "
            "(default: %(default)s); rows are always documents"
        ),
    )
    group.add_argument(
        "--text-field",
        metavar="NAME",
        help=_("field or column with the text (default: found by name or type)"),
    )
    group.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help=_(
            "what to do at damaged rows and files: stop, or skip and count them (default: "
            "%(default)s)"
        ),
    )
    group.add_argument(
        "--clean",
        type=_listed,
        action="extend",
        default=[],
        metavar="STEP[,STEP...]",
        help=_(
            "clean documents by these steps, in this order; `--clean list` shows them (default: "
            "none)"
        ),
    )


def _add_choosing(group: Any) -> None:
    group.add_argument(
        "--dedupe",
        choices=("off", "exact", "near"),
        default="off",
        help=_(
            "leave out documents equal to an earlier one, or nearly equal (default: %(default)s)"
        ),
    )
    group.add_argument(
        "--weight",
        type=_weight,
        action="append",
        default=[],
        metavar="SOURCE=X",
        help=_("train X times on each document of a source; repeatable (default: once)"),
    )
    group.add_argument(
        "--validation",
        choices=("random", "tail"),
        default="random",
        help=_(
            "hold out documents at random, or the last ones; a single document is cut at its "
            "tail (default: %(default)s)"
        ),
    )
    group.add_argument(
        "--validation-fraction",
        type=float,
        default=0.05,
        metavar="F",
        help=_("share of the bytes to hold out (default: %(default)s)"),
    )


def _add_parts(group: Any) -> None:
    how = group.add_mutually_exclusive_group()
    how.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help=_("prepare the I-th of N parts; needs --tokenizer"),
    )
    how.add_argument("--join", nargs="+", metavar="DIR", help=_("make one corpus of N parts"))
    how.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help=_("prepare the parts on a Dask cluster: tcp://HOST:PORT, or local:N for N processes"),
    )
    group.add_argument("--parts", type=int, metavar="N", help=_("number of parts for --cluster"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Prepare and report."""
    if "list" in args.clean:
        return _list_steps(args)
    _check_sources(args)
    from kgpt.commands.prepare_report import PrepareDisplay, print_report

    began, started = time.time(), time.monotonic()
    with PrepareDisplay() as display:
        corpus = _prepare(args, display)
    result = _result(corpus, time.monotonic() - started)
    if not args.json:
        is_new = (corpus.folder / "manifest.json").stat().st_mtime >= began
        print_report(corpus.manifest, corpus.folder, result["seconds"] if is_new else None)
    return result


def _prepare(args: argparse.Namespace, display: Any) -> Any:
    if args.join:
        from kgpt.text.joining import join
        from kgpt.text.prepare import output_folder

        folder = output_folder(args.join, args.output)
        return join(args.join, folder, overwrite=args.overwrite, report=display.line)
    from kgpt.text.tokenizer import find_tokenizer

    options = {
        "vocabulary_size": args.vocab_size,
        "tokenizer": find_tokenizer(args.tokenizer, args.saved_models) if args.tokenizer else None,
        "pre_tokenization": args.pre_tokenization,
        "special_tokens": args.special_tokens,
        "tokenizer_sample": args.tokenizer_sample,
        "documents": args.documents,
        "text_field": args.text_field,
        "on_error": args.on_error,
        "clean": args.clean,
        "dedupe": args.dedupe,
        "weights": dict(args.weight),
        "validation": args.validation,
        "validation_fraction": args.validation_fraction,
        "seed": args.seed,
        "workers": args.workers,
        "overwrite": args.overwrite,
        "report": display.line,
    }
    if args.cluster:
        from kgpt.text.cluster import prepare_on_cluster

        return prepare_on_cluster(
            args.sources,
            args.output,
            parts=args.parts,
            address=args.cluster,
            progress=display.progress,
            **options,
        )
    from kgpt.text.prepare import prepare

    return prepare(
        args.sources, args.output, shard=args.shard, progress=display.progress, **options
    )


def _result(corpus: Any, seconds: float) -> dict[str, Any]:
    tokens = corpus.train_tokens + corpus.validation_tokens
    size = corpus.train_bytes + corpus.validation_bytes
    manifest = corpus.manifest
    return {
        "output": str(corpus.folder),
        "documents": corpus.documents,
        "tokens": tokens,
        "bytes": size,
        "bytes_per_token": size / tokens,
        "vocabulary_size": manifest["vocabulary_size"],
        "train_tokens": corpus.train_tokens,
        "validation_tokens": corpus.validation_tokens,
        "validation_bytes": corpus.validation_bytes,
        **{
            name: manifest[name]
            for name in ("counts", "cleaning", "skipped", "compression")
            if name in manifest
        },
        "seconds": seconds,
    }


def _list_steps(args: argparse.Namespace) -> dict[str, Any]:
    from kgpt.text.cleaning import describe_steps

    steps = [
        {"name": name, "value": value, "description": line}
        for name, value, line in describe_steps()
    ]
    if not args.json:
        for step in steps:
            written = f"{step['name']}={step['value']}" if step["value"] else step["name"]
            print(f"{written:<48} {step['description']}")
    return {"steps": steps}


def _check_sources(args: argparse.Namespace) -> None:
    if args.join and args.sources:
        raise KgptError(
            _("Sources and --join"),
            _(
                "--join takes prepared parts alone. Received also: {sources}",
                sources=" ".join(args.sources),
            ),
            _("Prepare the parts first, with --shard."),
        )
    if not args.join and not args.sources:
        raise KgptError(
            _("No source"),
            _("Expected a file, a folder, a glob or another SOURCE."),
            _("For example: kgpt prepare books/"),
        )
    if (args.cluster is None) != (args.parts is None):
        raise KgptError(
            _("A cluster and its parts"),
            _("--cluster ADDRESS and --parts N are given together or not at all."),
            _("For example: --cluster local:4 --parts 8"),
        )
    trained = {
        "--special-tokens": (args.special_tokens, []),
        "--pre-tokenization": (args.pre_tokenization, PRE_TOKENIZATION),
        "--tokenizer-sample": (args.tokenizer_sample, TOKENIZER_SAMPLE),
    }
    ignored = [name for name, (value, default) in trained.items() if value != default]
    if args.tokenizer and ignored:
        raise KgptError(
            _("A tokenizer that is there already"),
            _(
                "{ignored} shape a tokenizer that is trained; --tokenizer takes one as it is.",
                ignored=" and ".join(ignored),
            ),
            _("Leave out one or the other."),
        )


# === Values ===


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _megabytes(text: str) -> int | None:
    if text == "all":
        return None
    try:
        return int(text)
    except ValueError:
        message = _("expected whole megabytes or all; received {text!r}", text=text)
        raise argparse.ArgumentTypeError(message) from None


def _weight(text: str) -> tuple[str, float]:
    name, _sign, number = text.rpartition("=")
    try:
        if name:
            return name, float(number)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(_("expected SOURCE=NUMBER, received {text!r}", text=text))


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not slash or not index.isdigit() or not count.isdigit():
        raise argparse.ArgumentTypeError(
            _("expected I/N, such as 1/8; received {text!r}", text=text)
        )
    return int(index), int(count)
