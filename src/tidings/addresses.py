"""Addresses of servers as hosts hand them out, taken apart so that nothing secret in them is ever shown.

A password is often pasted as it is, with "/", "@", "#" or "?" in it (RFC 3986 would have them escaped). It ends where
the rest is hosts, a path and options and nothing else; where that is not one place alone, the address is refused. No
sentence shows a part of an address that was not understood: it may be one of the password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from rapidfuzz.distance import OSA

from tidings.errors import ConfigurationError

ESCAPE = "Write special characters of the password escaped: @ as %40, / as %2F, ? as %3F, # as %23, % as %25."

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|(?:[\w.-]|%[0-9A-Fa-f]{2})*)"
_ONE = rf"{_HOST}(?::\d*)?"
_REST = re.compile(rf"({_ONE}(?:,{_ONE})*)(?:/([^?#@]*))?(?:\?([^#]*))?")
_ONE_PARTS = re.compile(rf"({_HOST})(?::(\d*))?")
_BAD_PORT = re.compile(rf"{_HOST}:[^/?,@]*[^/?,@\d][^/?,@]*(?:[/?].*)?")
_INVISIBLE = " \t\r\n\v\f\u00a0\u200b\u2060\ufeff"
_AROUND = re.compile(r"(?:(?:export\s+)?[A-Z_]+=(?=[\w'\"]+:)|(?:export\s+)?[A-Z_]+=(?=['\"])|psql\s+|jdbc:)")


@dataclass(frozen=True, slots=True, repr=False)
class ServerAddress:
    """Where a server is, and how one gets in. Everything is decoded; a host has a port or None.

    `scheme` is in small letters, so are the names of `options`. `path` is without its first slash.
    """

    scheme: str
    user: str | None
    password: str | None
    hosts: tuple[tuple[str, int | None], ...]
    path: str
    options: Mapping[str, str]

    def __repr__(self) -> str:
        return f"ServerAddress({self.shown()!r})"

    def shown(self) -> str:
        """The address without password and options, fit for logs and errors."""
        hosts = ",".join(_written(name) + (f":{port}" if port else "") for name, port in self.hosts)
        secret = ":***" if self.password else ""
        user = f"{quote(self.user or '')}{secret}@" if self.user or secret else ""
        return f"{self.scheme}://{user}{hosts}{f'/{quote(self.path)}' if self.path else ''}"


_UNFILLED = re.compile(
    r"\$\{\{?[^{}]*\}\}?|\{\{[^{}]*\}\}|\$\([\w.]+\)|\[[A-Za-z][\w -]*\]|<[A-Za-z][\w -]*>|%[A-Z_]{3,}%"
    r"|YOUR[-_]?PASSWORD|\$[A-Z][A-Z0-9_]{3,}"
)
"""What hosts' pages and templates have where a value of one's own belongs, when it is a whole part of an address."""


def bare(text: str) -> str:
    """An address without what is copied with it: blanks, line breaks, quotation marks, `psql`, `jdbc:`, `NAME=`."""
    before = None
    while text != before:
        before, text = text, text.strip(_INVISIBLE)
        if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"`":
            text = text[1:-1]
        if around := _AROUND.match(text):
            text = text[around.end() :]
    return text


def take_apart(address: str, variable: str, schemes: Mapping[str, str], example: str) -> ServerAddress:
    """The parts of an address that the setting `variable` has; `example` is one as it should be.

    `schemes` are those that are understood, and what each is another name for.
    Raises ConfigurationError for one that cannot be read, or not in one way alone.
    """
    try:
        return _take_apart(bare(address), schemes)
    except ValueError as error:
        reason = str(error).format(example=example, escape=ESCAPE)
        raise ConfigurationError(f"{variable} {reason}") from None  # the cause might show what is secret


def without_secrets(address: str) -> str:
    """An address, whatever it is, without password and options."""
    text = bare(address)
    begin = _SCHEME.match(text)
    if begin is None or begin[1].lower().startswith(("sqlite", "unix")):
        return text.partition("?")[0] if begin else "***"
    try:
        return _take_apart(text, {begin[1].lower(): begin[1].lower()}).shown()
    except ValueError:
        return f"{begin[0]}***"


def near_option(name: str, known: Sequence[str]) -> str | None:
    """A known option from which this one is one slip away, or two where it is long."""
    found = min(known, key=lambda one: OSA.distance(name, one))
    return found if len(name) > 3 and OSA.distance(name, found) <= (2 if len(name) > 7 else 1) else None


def _take_apart(text: str, schemes: Mapping[str, str]) -> ServerAddress:
    begin = _SCHEME.match(text)
    if any(_UNFILLED.fullmatch(part) for part in (text, *re.split(r"://|[:@/?]", text))):
        raise ValueError(
            "has a place that was not filled in, like ${{NAME}} or [YOUR-PASSWORD]. Write the value there, and a "
            "password that looks like one with $ as %24, [ as %5B, < as %3C."
        )
    if begin is None:
        raise ValueError("is not an address. Write it like {example}.")
    scheme = schemes.get(begin[1].lower())
    if scheme is None:
        raise ValueError(f"begins with {begin[0]}, which Tidings does not run on. Write it like {{example}}.")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("has a line break or another invisible character inside. Write it in one line.")
    rest = text[begin.end() :]
    ends = [-1, *(found.start() for found in re.finditer("@", rest))]
    readings = [(end, found) for end in ends if (found := _REST.fullmatch(rest, end + 1))]
    if len(readings) > 1:
        raise ValueError("can be read in several ways: it has an @ too many. {escape}")
    if not readings:
        is_port = _BAD_PORT.fullmatch(rest, ends[-1] + 1)
        reason = "has a port that is not a number" if is_port else "cannot be read"
        raise ValueError(f"{reason}. Write it like {{example}}. {{escape}}")
    [(end, found)] = readings
    user, _, password = rest[: max(end, 0)].partition(":")
    return ServerAddress(
        scheme,
        unquote(user) or None,
        unquote(password) or None,
        tuple(_hosts(found[1])),
        unquote(found[2] or "").rstrip("/"),
        _options(found[3] or ""),
    )


def _hosts(text: str) -> list[tuple[str, int | None]]:
    hosts = []
    for one in text.split(",") if text else ():
        parts = _ONE_PARTS.fullmatch(one)
        assert parts is not None
        port = int(parts[2]) if parts[2] else None
        if port is not None and not 0 < port < 65536:
            raise ValueError("has a port that there is not. Write one from 1 to 65535.")
        hosts.append((unquote(parts[1].strip("[]")), port))
    return [(name, port) for name, port in hosts if name or port]


def _options(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, equals, value = pair.partition("=")
        name, value = unquote(name).strip().lower(), unquote(value).strip(_INVISIBLE)
        if not equals or not re.fullmatch(r"[a-z][\w.-]{0,40}", name):
            raise ValueError("has something after its ? that is not name=value. Write it like {example}. {escape}")
        if found.setdefault(name, value) != value:
            raise ValueError(f"has the option {name} twice. Leave one of them out.")
    return found


def _written(name: str) -> str:
    return f"[{name}]" if ":" in name else quote(name, safe="")
