"""What a pattern cannot tell: whether a candidate is what it looks like.

A check takes a candidate and the countries it may come from, and gives its normalised form, by
which two ways of writing one thing are one, or None. Check digits are those of python-stdnum.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module

from stdnum import iban, luhn
from stdnum.util import clean

from ingestion.redact import phones
from warehouse.errors import SettingsError

Check = Callable[[str, Sequence[str]], str | None]

# First digits and lengths of what card schemes issue (ISO/IEC 7812; the schemes' own pages).
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|220[0-4]\d{12}"  # Mir
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}"  # Discover
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17}"  # UnionPay
    r"|(?:50[123]\d|5893|6304|6759|676[1-3])\d{12,15}"  # Maestro
)

# Ends of file names that look like the end of a domain: logo@2x.png.
_FILE_ENDS = frozenset("png jpg jpeg gif svg webp ico css js ts jsx tsx json html dll".split())
_NO_MAILBOX = frozenset(("git", "hg", "svn"))  # accounts of code hosts: git@host.com:team/repo

_AT = re.compile(r" ?[\[({<](?:at|@)[\])}>] ?| at ")
_DOT = re.compile(r" ?[\[({<](?:dot|\.)[\])}>] ?| dot ")

_BRACKETED = re.compile(r"[\[(](?:\.|dot)[\])]")  # as reports write them: 192[.]0[.]2[.]1

# Addresses of public resolvers: they stand in every manual, and no person has one.
_RESOLVERS = frozenset(
    "8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 "
    "2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001".split()
)

# Of these words alone, and x's, is made what stands for a password in manuals, code and forms.
_STAND_IN = frozenset(
    "your my the some new old enter insert change changeme example test placeholder redacted dummy "
    "password passwd pass pwd secret key token api db user name me here value string null none "
    "true false undefined required optional this md5 sha1 sha256 sha512 aes128 aes256 "
    "base64 utf8".split()
)
_EMPHASIS = re.compile(r"(\*{1,3})(.+)\1")
_GAP = re.compile(r"[\W_]+")
_CODE = re.compile(
    r"[$%@].*|[A-Za-z_]\w*(?:(?:\.|->|::)[A-Za-z_]\w*)+|[A-Za-z_]\w*=.*|\\.*|/.*|https?:.*"
)

_FILLING = re.compile(r"(?i)x{5,}|0{8,}|\*{4,}|\.{4,}|your|placeholder|redacted")

_OTHERS = frozenset("0123456789!#$%&*+=?@^~|")

_VARIED = 3.0  # bits a character: of 12 that differ or more; words of English have 2.5 to 3


def whole(value: str, _: Sequence[str]) -> str | None:
    """Whatever the pattern matches."""
    return value


def card(value: str, _: Sequence[str]) -> str | None:
    """A payment card: Luhn, and an issuer that gives such numbers."""
    digits = clean(value, " -.")
    return digits if _ISSUERS.fullmatch(digits) and luhn.is_valid(digits) else None


def account(value: str, _: Sequence[str]) -> str | None:
    """An IBAN: mod 97, and the length and structure of its country."""
    number = iban.compact(value)
    return number if iban.is_valid(number) else None


def email(value: str, _: Sequence[str]) -> str | None:
    """An e-mail address, and no file name or account of a code host."""
    mailbox, _at, domain = value.lower().replace("%40", "@").rpartition("@")
    if mailbox in _NO_MAILBOX or domain.rpartition(".")[2] in _FILE_ENDS:
        return None
    return f"{mailbox}@{domain}"


def email_spelled(value: str, _: Sequence[str]) -> str | None:
    """An e-mail address written for people: jo (at) example dot com."""
    plain = _DOT.sub(".", _AT.sub("@", value.lower(), count=1))
    return plain if plain.rpartition(".")[2].isalpha() else None


def address(value: str, _: Sequence[str]) -> str | None:
    """An IP address of the public internet that may be a person's."""
    try:
        ip = ipaddress.ip_address(_BRACKETED.sub(".", value))
    except ValueError:
        return None
    if str(ip).endswith(".0.0"):  # a network, or a version
        return None
    return str(ip) if ip.is_global and not ip.is_multicast and str(ip) not in _RESOLVERS else None


def token(value: str, _: Sequence[str]) -> str | None:
    """A token whose beginning tells its issuer: anything but filling."""
    return value if not _FILLING.search(value) and _bits(value) >= _VARIED else None


def varied(value: str, _: Sequence[str]) -> str | None:
    """A token: letters and digits without the pattern that words have."""
    digits = sum(map(str.isdigit, value))
    mixed = value != value.lower() and value != value.upper()
    return token(value, _) if digits >= (1 if mixed else 3) and not value.isdigit() else None


def _bits(value: str) -> float:
    """Shannon entropy of a character, in bits."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)


def password(value: str, _: Sequence[str]) -> str | None:
    """A password: letters with digits or signs, and not a word that stands for one."""
    if marked := _EMPHASIS.fullmatch(value):
        value = marked[2]
    letters = any(map(str.isalpha, value))
    others = any(map(_OTHERS.__contains__, value))
    if not letters or not others or _CODE.fullmatch(value):
        return None
    words = (word.strip("x") for word in _GAP.split(value.lower()))
    return None if _STAND_IN.issuperset(filter(None, words)) else value


CHECKS: dict[str, Check] = {
    "whole": whole,
    "card": card,
    "iban": account,
    "email": email,
    "email_spelled": email_spelled,
    "ip": address,
    "token": token,
    "varied": varied,
    "password": password,
    "phone_international": phones.international,
    "phone_said": phones.said,
    "phone_grouped": phones.grouped,
}


def named(name: str) -> Check:
    """The check that a rule names: one of CHECKS, or a module of python-stdnum.

    Raises SettingsError for a name that is neither.
    """
    if name in CHECKS:
        return CHECKS[name]
    if not re.fullmatch(r"stdnum\.[a-z]{2}_?\.[a-z_]+", name):
        raise SettingsError(f"no check is called {name}: name one of {', '.join(CHECKS)}.")
    module = import_module(name)

    def check(value: str, _: Sequence[str]) -> str | None:
        for number in (value, clean(value, " .")):
            if module.is_valid(number):
                return str(module.compact(number))
        return None

    return check
