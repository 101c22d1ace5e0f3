"""What REDIS_URL says, as the client understands it.

Options are redis-py's; those of other languages' clients are understood where they matter. One that nobody here knows
changes nothing, and that is told; one that is almost a known one is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from tidings.addresses import ServerAddress, bare, near_option, take_apart, without_secrets
from tidings.errors import ConfigurationError

EXAMPLE = "redis://user:password@host:6379/0, rediss://… for TLS, or unix:///path/to/socket"

_SCHEMES = {
    **{name: "redis" for one in ("redis", "valkey") for name in (one, f"{one}+tcp")},
    **{name: "rediss" for one in ("redis", "valkey") for name in (f"{one}s", f"{one}+ssl", f"{one}+tls")},
    **dict.fromkeys(("unix", "redis+socket", "redis+unix", "redis-socket", "valkey+unix", "redis+uds"), "unix"),
}
_COMMAND = re.compile(r"(?:redis|valkey)-cli\s+(?:--tls\s+)?-u\s+(?:--tls\s+)?")
"""What hosts give to copy for a first look."""

_SEVERAL = re.compile(r"(?i)[\w+-]*(?:sentinel|cluster|srv)[\w+-]*://")

_CERTIFICATES = {"none": "none", "optional": "optional", "required": "required"}
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_OTHER_NAMES = {
    "user": "username", "clientname": "client_name", "ssl_cafile": "ssl_ca_certs", "ssl_ca_file": "ssl_ca_certs",
    "ssl_cert_file": "ssl_certfile", "ssl_key_file": "ssl_keyfile", "ssl_verify": "ssl_cert_reqs",
}  # fmt: skip
_PASSED = (
    *("db", "username", "password", "protocol", "client_name", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path"),
    *("ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_check_hostname"),
)
_TLS = ("tls", "ssl", "usetls")
_UNCHECKED = {"rejectunauthorized": _NO, "skip_verify": _YES, "insecure": _YES, "verify": _NO, "verify_peer": _NO}
_CHANGES_NOTHING = (
    *("family", "timeout", "socket_timeout", "socket_connect_timeout", "connect_timeout", "read_timeout", "lib_name"),
    *("write_timeout", "dial_timeout", "pool_timeout", "pool_size", "max_connections", "max_retries", "encoding"),
    *("health_check_interval", "retry_on_timeout", "decode_responses", "socket_keepalive", "prefix", "addr"),
)


@dataclass(frozen=True)
class RedisAddress:
    """An address as redis-py reads it, and sentences for whoever gave it."""

    url: str
    notes: tuple[str, ...] = ()

    def look_for_files(self) -> None:
        """Raises ConfigurationError for a file of certificates that is not there or may not be read."""
        given = dict(parse_qsl(self.url.partition("?")[2]))
        for option in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"):
            if (file := given.get(option)) and not os.access(file, os.R_OK):
                raise _refused(f"names a file as {option} that cannot be read. Write the path of one that can.")

    def __repr__(self) -> str:
        return f"RedisAddress({without_secrets(self.url)!r})"


def read_address(address: str) -> RedisAddress:
    """What an address means.

    Raises ConfigurationError with a sentence that shows nothing of a password.
    """
    text = re.sub(r"^unix:/(?!/)", "unix:///", bare(address))
    if command := _COMMAND.match(text):
        text = bare(text[command.end() :])
        if "--tls" in command[0]:
            text = re.sub(r"^redis://", "rediss://", text)
    several = _SEVERAL.match(text)
    server = None if several else take_apart(text, "REDIS_URL", _SCHEMES, EXAMPLE)
    if server is None or len(server.hosts) > 1:
        raise _refused("names a cluster or sentinels, which are not supported. Write the address of a single server.")
    options, notes = _options(server.options)
    tls = options.pop("tls", "") in _YES
    certificates = options.get("ssl_cert_reqs")
    if certificates is not None:
        known = _CERTIFICATES.get(certificates.lower().removeprefix("cert_"))
        if known is None:
            raise _refused("has an ssl_cert_reqs that there is not. Write none, optional or required.")
        options["ssl_cert_reqs"] = known
    scheme = "rediss" if tls and server.scheme == "redis" else server.scheme
    return RedisAddress(_written(server, scheme, options), tuple(notes))


def _refused(reason: str) -> ConfigurationError:
    return ConfigurationError(f"REDIS_URL {reason}")


def _options(given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    known = (*_PASSED, *_OTHER_NAMES, *_TLS, *_UNCHECKED, *_CHANGES_NOTHING)
    options: dict[str, str] = {}
    notes: list[str] = []
    for name, value in given.items():
        if name in _TLS:
            options["tls"] = value.lower()
        elif name in _UNCHECKED:
            if value.lower() in _UNCHECKED[name]:
                options["ssl_cert_reqs"] = "none"
        elif (known_as := _OTHER_NAMES.get(name, name)) in _PASSED:
            options[known_as] = value
        elif name not in _CHANGES_NOTHING and (near := near_option(name, known)):
            raise _refused(f"has the option {name}, which there is not; did you mean {near}?")
        else:
            notes.append(f"REDIS_URL has the option {name}, which changes nothing.")
    return options, notes


def _written(server: ServerAddress, scheme: str, options: Mapping[str, str]) -> str:
    user = options.get("username") or server.user or ""
    password = server.password or options.get("password")
    secret = f":{quote(password, safe='')}" if password else ""
    enter = f"{quote(user, safe='')}{secret}@" if user or secret else ""
    rest = {name: value for name, value in options.items() if name not in ("username", "password", "db")}
    number = options.get("db") or (server.path if scheme != "unix" else "") or "0"
    if not re.fullmatch(r"\d{1,4}", number):
        raise _refused("names a database that is not a number. Write it like redis://host:6379/0.")
    if scheme == "unix":
        if not server.path or server.hosts:
            raise _refused("names no socket. Write it like unix:///path/to/socket.")
        return f"unix://{enter}/{quote(server.path)}?{urlencode({'db': number, **rest})}"
    [(host, port)] = server.hosts or (("localhost", None),)
    where = f"[{host}]" if ":" in host else host
    if scheme == "redis":  # certificates are of no use without TLS
        rest = {name: value for name, value in rest.items() if not name.startswith("ssl_")}
    return f"{scheme}://{enter}{where}:{port or 6379}/{number}{f'?{urlencode(rest)}' if rest else ''}"
