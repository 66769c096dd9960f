"""GPT-2's own tokenizer: `encoder.json` and `vocab.bpe`, downloaded once and checked.

In: the name `gpt2`. Out: its tokenizer, from `gpt2` in the data folder. What is missing there comes from OpenAI's
public address, or from the one in `KGPT_GPT2_URL` (https, http or file), and counts only if its SHA-256 is that of the
files GPT-2 was trained with (Radford et al., 2019). Files are written atomically: each is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from kgpt.errors import KgptError, KgptFailure
from kgpt.files import disk_failure, write_atomically
from kgpt.language import _
from kgpt.runs import data_folder
from kgpt.text.tokenizer import Tokenizer

NAME = "gpt2"
SHA256 = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
DEFAULT_URL = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"
SOCKET_SECONDS = 20.0
"""Silence of the server after which a download is given up."""
TOTAL_SECONDS = 300.0
"""Time after which the download of one file is given up, however it trickles in."""
MOST_BYTES = 1 << 24
"""More than either file can have; whatever sends more is something else."""


def gpt2_tokenizer(download: bool) -> Tokenizer | None:
    """GPT-2's tokenizer; None where a file of it is not there, or another one is, and `download` is not set.

    Raises:
        KgptError: a file in the data folder is not GPT-2's, or `KGPT_GPT2_URL` is no address.
        KgptFailure: a download failed, or the data folder cannot be written.
    """
    folder = data_folder() / NAME
    if not download and not all(_is_right(folder / name) for name in SHA256):
        return None
    return _complete(folder)


def named_gpt2(places: Iterable[Path]) -> Tokenizer:
    """What the name `gpt2` means: a tokenizer of that name among `places`, else GPT-2's own, downloaded on first use.

    A run, a data folder or a folder called gpt2 wins, as for any other name, but only if it holds a tokenizer.

    Raises:
        KgptError: as `Tokenizer.load` and `gpt2_tokenizer`.
        KgptFailure: as `gpt2_tokenizer`.
    """
    own = next((place for place in places if _holds_tokenizer(place)), None)
    return Tokenizer.load(own) if own else _complete(data_folder() / NAME)


def _holds_tokenizer(place: Path) -> bool:
    """Whether a tokenizer lies here; the two files that this module keeps are none that a user made."""
    names = {"vocabulary.json", "vocab.json", "tokenizer.json"}
    if place.resolve() != (data_folder() / NAME).resolve():
        names.add("encoder.json")
    return any(
        (folder / name).is_file() for folder in (place / "tokenizer", place) for name in names
    )


def _complete(folder: Path) -> Tokenizer:
    """GPT-2's tokenizer from `folder`; what is missing there is downloaded."""
    states = {name: _is_right(folder / name) for name in SHA256}
    wrong = [folder / name for name, is_right in states.items() if is_right is False]
    if wrong:
        raise KgptError(
            _("Not GPT-2's file"),
            _(
                "{wrong} is damaged or of another model: its SHA-256 is not {sha256}.",
                wrong=wrong[0],
                sha256=SHA256[wrong[0].name],
            ),
            _(
                "Move it away, and it is downloaded again; or give the path of the folder whose "
                "tokenizer you mean."
            ),
        )
    for name, is_right in states.items():
        if is_right is None:
            _download(name, folder)
    vocabulary = json.loads((folder / "encoder.json").read_bytes())
    lines = (folder / "vocab.bpe").read_text(encoding="utf-8").splitlines()[1:]  # after the version
    merges = [line.split(" ") for line in lines]
    return Tokenizer(vocabulary, [(left, right) for left, right in merges])


def _is_right(path: Path) -> bool | None:
    """Whether the file is GPT-2's; None if it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[path.name]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KgptFailure(
            _("Cannot read"),
            f"{path}: {error.strerror or error}",
            _("Check the file and its permissions."),
        ) from None


def _download(name: str, folder: Path) -> None:
    base = (os.environ.get("KGPT_GPT2_URL") or DEFAULT_URL).rstrip("/")
    url = f"{base}/{name}"
    print(
        _("Downloading GPT-2's {name} to {folder}", name=name, folder=folder),
        file=sys.stderr,
        flush=True,
    )
    try:
        content = _read(url)
    except urllib.error.HTTPError as error:
        raise _no_file(
            url,
            folder,
            _("the server answered {code} {reason}", code=error.code, reason=error.reason),
        ) from None
    except urllib.error.URLError as error:
        raise _no_file(url, folder, str(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise _no_file(url, folder, str(error) or type(error).__name__) from None
    except ValueError as error:
        raise KgptError(
            _("Bad address"),
            _("KGPT_GPT2_URL is {base!r}: {error}.", base=base, error=error),
            _("Give the address of a folder, such as https://HOST/gpt2 or file:///home/me/gpt2."),
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise _no_file(
            url,
            folder,
            _("expected SHA-256 {sha256}, received {found}", sha256=SHA256[name], found=found),
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_failure(error, folder) from error
    write_atomically(folder / name, content)


def _read(url: str) -> bytes:
    """What lies at `url`; raises an `OSError` where it is cut, too long or takes too long."""
    started = time.monotonic()
    content = bytearray()
    with urllib.request.urlopen(url, timeout=SOCKET_SECONDS) as response:
        expected = response.headers.get("Content-Length")
        while block := response.read1(1 << 16):
            content += block
            if len(content) > MOST_BYTES:
                raise OSError(
                    _(
                        "more than {most_bytes:,} bytes came, which is another file",
                        most_bytes=MOST_BYTES,
                    )
                )
            if time.monotonic() - started > TOTAL_SECONDS:
                raise OSError(
                    _(
                        "it took longer than {total_seconds:.0f} seconds",
                        total_seconds=TOTAL_SECONDS,
                    )
                )
    if expected and expected.isdigit() and len(content) != int(expected):
        raise OSError(
            _(
                "the transfer was cut after {count:,} of {expected:,} bytes",
                count=len(content),
                expected=int(expected),
            )
        )
    return bytes(content)


def _no_file(url: str, folder: Path, reason: str) -> KgptFailure:
    return KgptFailure(
        _("Cannot download GPT-2's tokenizer"),
        f"{url}: {reason}.",
        _(
            "Try again, or put {sha256} of GPT-2 into {folder} yourself; KGPT_GPT2_URL names "
            "another address that has them.",
            sha256=" and ".join(SHA256),
            folder=folder,
        ),
    )
