"""What the values of annotations may look like: ingress-nginx's validators and what Go's strconv takes.

Each function takes the text and returns the value, or raises BadValue with the end of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, get_args
from urllib.parse import urlsplit

from dataplane.snapshot.hash_key import unknown_in
from dataplane.snapshot.model import RetryCause
from dataplane.snapshot.pattern import problem_of

Grammar = Callable[[str], Any]


class BadValue(ValueError):
    """The message says what the value is not."""


def boolean(text: str) -> bool:
    """strconv.ParseBool."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise BadValue("is neither true nor false")


def integer(text: str) -> int:
    """strconv.Atoi."""
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
        raise BadValue("is no integer")
    return int(text)


def natural(text: str) -> int:
    """An integer that counts something."""
    if integer(text) < 0:
        raise BadValue("is below zero")
    return int(text)


def seconds(text: str) -> float:
    """A timeout: nginx takes 0 for "at once", which no connection survives."""
    if integer(text) <= 0:
        raise BadValue("is no number of seconds above zero")
    return float(text)


def size(text: str) -> int:
    """Bytes as nginx writes them: 8, 8k, 8m, 1g; also b, as ingress-nginx does."""
    found = re.fullmatch(r"(\d{1,15})([bkmg]?)", text.strip(), re.ASCII | re.IGNORECASE)
    if found is None:
        raise BadValue("is no size like 8m")
    return int(found[1]) << {"": 0, "b": 0, "k": 10, "m": 20, "g": 30}[found[2].lower()]


def networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas."""
    found = tuple(each.strip() for each in text.split(","))
    for each in found:
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise BadValue(f"holds {each!r}, which is no IP address or network") from None
    return found


def url(text: str) -> str:
    """URLIsValidRegex, and http or https (isValidURL)."""
    if not re.fullmatch(r"[-._~a-zA-Z0-9/:,?&=]*", text, re.ASCII):
        raise BadValue("has characters that do not belong into a URL here")
    if not urlsplit(text).scheme.startswith("http"):
        raise BadValue("is no http or https URL")
    return text


def path(text: str) -> str:
    """RegexPathWithCapture."""
    if not re.fullmatch(r"/?[-._~a-zA-Z0-9/:$]*", text, re.ASCII):
        raise BadValue("is no path of letters, digits, -._~/: and groups like $1")
    return text


def absolute_path(text: str) -> str:
    """An app root: only absolute paths."""
    if not path(text).startswith("/"):
        raise BadValue("does not begin with '/'")
    return text


def basic(text: str) -> str:
    """BasicCharsRegex; spaces do not count."""
    if not re.fullmatch(r"[-._~a-zA-Z0-9/:]*", text.replace(" ", ""), re.ASCII):
        raise BadValue("has characters other than letters, digits and -._~/:")
    return text


def token(text: str) -> str:
    """A field or cookie name (RFC 9110 5.6.2), within BasicCharsRegex."""
    if not re.fullmatch(r"[-._~a-zA-Z0-9]+", text, re.ASCII):
        raise BadValue("is no name of letters, digits and -._~")
    return text


def words(text: str) -> str:
    """CharsWithSpace."""
    if not re.fullmatch(r"[-._~a-zA-Z0-9/: ]*", text, re.ASCII):
        raise BadValue("has characters other than letters, digits, spaces and -._~/:")
    return text


def pattern(text: str) -> str:
    """A regular expression for the engine that will run it."""
    why = problem_of(text)
    if why:
        raise BadValue(f"is no pattern here: {why}")
    return text


def one_of(*options: str) -> Grammar:
    """ValidateOptions, without regard to case and spaces around."""

    def grammar(text: str) -> str:
        if text.strip().lower() not in options:
            raise BadValue(f"is none of {', '.join(options)}")
        return text.strip().lower()

    return grammar


def matching(pattern: str, what: str) -> Grammar:
    """A pattern for the whole text; `what` it is then."""

    def grammar(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise BadValue(f"is not {what}")
        return text

    return grammar


def hash_key(text: str) -> str:
    """nginx's text with variables, as far as they are known here."""
    unknown = unknown_in(text)
    if unknown:
        raise BadValue(f"has no such variable: {', '.join(f'${name}' for name in unknown)}")
    return text


def origins(text: str) -> tuple[str, ...]:
    """cors-allow-origin: origins separated by commas; "*" anywhere makes it all."""
    found = [each.strip() for each in text.split(",") if each.strip()]
    if "*" in found:
        return ("*",)
    for each in found:
        if not re.fullmatch(r"[a-z]+://(?:\*\.)?[A-Za-z0-9\-.]+(?::\d+)?|null", each, re.ASCII):
            raise BadValue(f"holds {each!r}, which is no origin like https://a.example or https://*.a.example:8443")
    if not found:
        raise BadValue("names no origin")
    return tuple(found)


def causes(text: str) -> tuple[str, ...]:
    """proxy-next-upstream."""
    known = (*get_args(RetryCause), "non_idempotent", "off")
    found = tuple(text.split())
    strange = [each for each in found if each not in known]
    if strange or not found:
        raise BadValue(f"holds {' '.join(strange) or 'nothing'}, which is none of {', '.join(known)}")
    return found


def hosts(text: str) -> tuple[str, ...]:
    """server-alias: host names; nginx would take patterns too."""
    found = tuple(dict.fromkeys(each.strip().lower() for each in text.split(",") if each.strip()))
    for each in found:
        if not re.fullmatch(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", each, re.ASCII):
            raise BadValue(f"holds {each!r}, which is no host name; patterns are not supported")
    return found
