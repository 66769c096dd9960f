"""Masking: e-mail addresses and phone numbers give way to a word of their own, the same in every language.

A phone number is what is written like one: with a plus or two zeros and a country's code, with an area code in
brackets, in the groups usual in Brazil, Portugal and North America, or after a word such as `tel.`. Bare rows of digits
stay, as do years, dates, prices, CPF, CNPJ and CEP: a number that is taken for a phone's is lost, and most are none.
"""

from __future__ import annotations

import re

from kgpt.text.cleaning.values import Change

EMAIL = "<email>"
PHONE = "<phone>"

_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
# Any row of digits long enough for a phone number, with what may lie between them.
_ROW = re.compile(r"[+(0-9](?:[ ().\-]{0,3}[0-9]){6,}")
_YEARS = "(?!(?:1[0-9]|20)[0-9]{2}-(?:1[0-9]|20)[0-9]{2}(?![0-9]))"
_PHONE = re.compile(
    r"""(?<![0-9])(?<![0-9][.\-])(?:
    (?: \+ | 00(?=351|55|34|33|44|49|39|41|244|258|238) ) [1-9] (?: [ .\-]{0,2} \(?[0-9]\)? )+ # +55 11 91234-5678
    | \(0?[1-9]{2}\) [ ]? YEARS (?: 9[ .]?[0-9]{4} | [2-9][0-9]{3} ) [ .\-]? [0-9]{4}       # (11) 91234-5678
    | 0?[1-9]{2} [ ] YEARS (?: 9[ ]?[0-9]{4} | [2-9][0-9]{3} ) - [0-9]{4}                   # 11 91234-5678
    | 9[0-9]{4} - [0-9]{4}                                                                  # 91234-5678
    | 0[38]00 [ \-]? [0-9]{3} [ \-]? [0-9]{4}                                               # 0800 123 4567
    | (?<![0-9][ ]) 9[1236][0-9] [ ] [0-9]{3} [ ] [0-9]{3} (?![ ][0-9])                     # 912 345 678
    | 2[12] [ ] [0-9]{3} [ ] [0-9]{2} [ ] [0-9]{2}                                          # 21 234 56 78
    | (?: 1[ .\-] )? \([2-9][0-9]{2}\) [ ]? [2-9][0-9]{2} [ .\-] [0-9]{4}                   # (555) 234-5678
    | (?: 1[ .\-] )? [2-9][0-9]{2} (?P<dash>[.\-]) [2-9][0-9]{2} (?P=dash) [0-9]{4}         # 555-234-5678
    )(?![.\-]?[0-9])""".replace("YEARS", _YEARS),
    re.VERBOSE,
)
# After one of these words a row of digits is a phone number however it is grouped.
_CALLED = re.compile(
    r"\b(?:tel|tele(?:fone|móvel|phone)s?|fones?|fax|cel|celular(?:es)?|whats(?:app)?|zap|phone|ph|mob|mobile|call|text"
    r"|ligue|ligar|contac?to)\b(?:[\s.:\-–]|\b(?:para|no|on|us|at|to|o|nº|n[ºo°]?)\b){0,6}$",
    re.IGNORECASE,
)
_YEARS_OR_DATE = re.compile(
    r"(?:1[0-9]|20)[0-9]{2}[ \-](?:1[0-9]|20)[0-9]{2}"
    r"|[0-9]{1,2}[ .\-][0-9]{1,2}[ .\-][0-9]{4}.*|[12][0-9]{3}-[0-9]{2}-[0-9]{2}.*"
)
_THOUSANDS = re.compile(r"\+?[0-9]{1,3}(?:[ .][0-9]{3}){1,2}")
_NOT_BEFORE = re.compile(r"(?:[$€£\w/,]|[$€£][ ]|\b(?:EUR|USD|BRL|[A-Z]{2})[ ])$")
_NOT_AFTER = re.compile(
    r"[\w/]|,[0-9]|[ ]?(?:[€$£%]|(?:euros?|reais|d[óo]lar(?:es)?|dollars|habitantes|inhabitants|pessoas|people|km)\b)",
    re.IGNORECASE,
)


def emails(_: str) -> Change:
    """E-mail addresses become `EMAIL`."""
    return lambda text: _EMAIL.sub(EMAIL, text) if "@" in text else text


def phones(_: str) -> Change:
    """Phone numbers become `PHONE`."""
    return lambda text: _ROW.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    """A row of digits, with the phone numbers in it masked."""
    text, row = found.string, found[0]
    if _CALLED.search(text, max(0, found.start() - 24), found.start()):
        is_phone = not _YEARS_OR_DATE.fullmatch(row) and not _stands_in(
            text, found.start(), found.end()
        )
        return PHONE if is_phone and _digits(row) <= 15 else row

    def mask(phone: re.Match[str]) -> str:
        start = found.start() + phone.start()
        return (
            PHONE
            if _is_phone(phone[0]) and not _stands_in(text, start, start + len(phone[0]))
            else phone[0]
        )

    return _PHONE.sub(mask, row)


def _is_phone(number: str) -> bool:
    """Whether a number with a plus has as many digits as a phone's (E.164: 15 at most) and is no grouped amount."""
    if number[0] != "+":
        return True
    return (
        not _THOUSANDS.fullmatch(number) and (8 if " " in number else 10) <= _digits(number) <= 15
    )


def _stands_in(text: str, start: int, end: int) -> bool:
    """Whether a number is part of a longer word or fraction, or an amount of something."""
    return bool(_NOT_BEFORE.search(text, max(0, start - 4), start) or _NOT_AFTER.match(text, end))


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)
