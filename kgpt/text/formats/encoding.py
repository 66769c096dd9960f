"""From bytes to text: UTF-8, or UTF-16 with its mark, without the byte-order mark.

In: the blocks of a file. Out: blocks of text that end with a line, or inside one where it is longer than a block, but
never inside a character or a CRLF. `text_blocks` is for files that are text throughout: bytes that are not UTF-8 and
NULs are damage. `escaped_blocks` is for files of rows: each byte that is not UTF-8 becomes half a surrogate pair, so
that the row can be told that has it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from kgpt.language import N_, _
from kgpt.text.formats.compression import blocks
from kgpt.text.formats.reading import MEND_HINT, NUL_HINT, Reading

_MEND = "kgpt-windows-1252"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ESCAPED = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[^\0-\x7f]")
_CONTROL = re.compile(b"[\x80-\x9f]")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


def text_blocks(reading: Reading) -> Iterator[str]:
    """The text of a file, with CRLF as LF.

    Where damage is skipped, lines that are not UTF-8 or have a NUL are left out (of a line longer than a block, its
    part in that block).

    Raises:
        KgptError: the file is not UTF-8 or has a NUL byte, and errors stop.
    """
    errors = _MEND if reading.options.mend_encoding else "strict"
    before, lines, is_utf8 = 0, 0, False
    for block in _line_blocks(reading):
        try:
            if b"\0" in block and not reading.options.allow_nul:
                raise _NulError
            text = block.decode("utf-8", errors)
            is_utf8 = is_utf8 or not text.isascii()
        except (_NulError, UnicodeDecodeError):
            text = "".join(_good_lines(reading, block, errors, before, lines, is_utf8))
        yield text.replace("\r\n", "\n") if "\r" in text else text
        before += len(block)
        lines += block.count(b"\n")


def escaped_blocks(reading: Reading) -> Iterator[str]:
    """The text of a file; what is not UTF-8 can be told by `is_escaped` once `reading.escaped` is set."""
    return (decode_bytes(reading, block) for block in _line_blocks(reading))


def decode_bytes(reading: Reading, content: bytes) -> str:
    """Text out of UTF-8; what is none is mended or escaped, and `reading.escaped` set."""
    try:
        return content.decode("utf-8", _MEND if reading.options.mend_encoding else "strict")
    except UnicodeDecodeError:
        reading.escaped = True
        return content.decode("utf-8", "surrogateescape")


def is_escaped(text: str) -> bool:
    """Whether text of `escaped_blocks` has bytes that are not UTF-8."""
    return not text.isascii() and _ESCAPED.search(text) is not None


def not_utf8(reading: Reading, text: str, number: int) -> None:
    """Treat as damage the escaped `text` of a row, which has this number."""
    escape = _ESCAPED.search(text)
    byte = ord(escape[0]) - 0xDC00 if escape else 0
    reading.damage(
        N_("Not UTF-8"),
        _(
            "{place}: has the byte 0x{byte:02X}, which is not UTF-8 there.",
            place=reading.place(number),
            byte=byte,
        ),
        MEND_HINT,
    )


def lines(blocks: Iterable[str]) -> Iterator[str]:
    """The lines of a text, without their ends; only a line feed ends one."""
    start: list[str] = []
    for block in blocks:
        first, *rest = block.split("\n")
        start.append(first)
        if rest:
            yield "".join(start)
            start = [rest.pop()]
            yield from rest
    if last := "".join(start):
        yield last


# === Blocks of lines ===


class _NulError(Exception):
    """A block has a NUL byte."""


def _good_lines(
    reading: Reading, block: bytes, errors: str, before: int, lines: int, is_utf8: bool
) -> Iterator[str]:
    """The lines of a block that can be used.

    Args:
        reading: of the file.
        block: of bytes.
        errors: how to decode it.
        before: bytes before the block.
        lines: lines before it.
        is_utf8: whether there has been UTF-8 beyond ASCII before it.
    """
    for line in _LINE.findall(block):
        lines += 1
        nul = line.find(b"\0")
        if nul >= 0 and not reading.options.allow_nul:
            reading.damage(
                N_("NUL byte"),
                _(
                    "{name}: byte {byte} (line {lines}) is NUL.",
                    name=reading.source.name,
                    byte=before + nul,
                    lines=lines,
                ),
                NUL_HINT,
            )
        else:
            try:
                yield line.decode("utf-8", errors)
            except UnicodeDecodeError as error:
                offset = before + error.start
                is_mixed = is_utf8 or _is_mostly_utf8(block)
                _not_utf8_line(reading, block, line[error.start], offset, lines, is_mixed)
        before += len(line)


def _is_mostly_utf8(block: bytes) -> bool:
    escaped = block.decode("utf-8", "surrogateescape")
    num_escaped = len(_ESCAPED.findall(escaped))
    return num_escaped < len(_BEYOND_ASCII.findall(escaped)) - num_escaped


def _not_utf8_line(
    reading: Reading, block: bytes, byte: int, offset: int, line: int, is_mixed: bool
) -> None:
    name = reading.source.name
    if is_mixed:
        kind = _("the rest is, so that the file probably mixes encodings")
        hint = MEND_HINT
    else:
        encoding = _likely_encoding(block)
        kind = _("the file is probably {encoding}", encoding=encoding)
        hint = _(
            "Convert it: iconv -f {encoding} -t UTF-8 {name} > utf8.txt",
            encoding=encoding,
            name=name,
        )
    reading.damage(
        N_("Not UTF-8"),
        _(
            "{name}: byte {offset} (line {line}) is 0x{byte:02X}, which is not "
            "UTF-8 there; {kind}.",
            name=name,
            offset=offset,
            line=line,
            byte=byte,
            kind=kind,
        ),
        hint,
    )


def _likely_encoding(content: bytes) -> str:
    return "WINDOWS-1252" if _CONTROL.search(content) else "ISO-8859-1"


def _line_blocks(reading: Reading) -> Iterator[bytes]:
    """Blocks of UTF-8 that end with a line, or between two characters where there is no line's end."""
    rest = b""
    for block in _as_utf8(reading):
        block = rest + block
        end = block.rfind(b"\n") + 1 or _character_border(block)
        rest = block[end:]
        if end:
            yield block[:end]
    if rest:
        yield rest


def _character_border(block: bytes) -> int:
    """Where the last character of a block begins that may go on in the next."""
    if block.endswith(b"\r"):
        return len(block) - 1
    for back in range(1, min(4, len(block) + 1)):
        if block[-back] >= 0xC0:
            return len(block) - back
        if block[-back] < 0x80:
            break
    return len(block)


def _as_utf8(reading: Reading) -> Iterator[bytes]:
    """The blocks of a file without a byte-order mark; UTF-16 is turned into UTF-8."""
    content = blocks(reading)
    first = next(content, b"")
    if not first.startswith(_UTF_16):
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from content
        return
    decoder = codecs.getincrementaldecoder("utf-16")()
    size = 0
    for block in chain((first,), content, (b"",)):
        try:
            yield decoder.decode(block, final=not block).encode()
        except UnicodeDecodeError as error:
            reading.damage(
                N_("Not UTF-16"),
                _(
                    "{name}: begins with the mark of UTF-16, but is none about byte {byte}.",
                    name=reading.source.name,
                    byte=size + error.start,
                ),
                _("Save it again as UTF-8."),
            )
            return
        size += len(block)


def _mend(error: UnicodeError) -> tuple[str, int]:
    """The handler of bytes that are not UTF-8: what they are in Windows-1252, U+FFFD for the five it has not."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_MEND, _mend)
