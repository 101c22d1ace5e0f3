"""How a connection to PostgreSQL is encrypted, by the options of its address.

The words and what they mean are libpq's (PostgreSQL's documentation, "SSL Support"), with those of other drivers.
Without `sslrootcert` the authorities are those of `~/.postgresql/root.crt`, if there is such a file, or the system's.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidings.errors import ConfigurationError

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_NAMES = {
    **{mode: mode for mode in _MODES},
    **dict.fromkeys(("false", "0", "off", "no"), "disable"),
    **dict.fromkeys(("true", "1", "on", "yes", "required", "no-verify"), "require"),
    "preferred": "prefer",
    "verify_ca": "verify-ca",
    "verify_full": "verify-full",
    "verify-identity": "verify-full",
}
_REQUIRE = _MODES.index("require")


def refused(reason: str) -> ConfigurationError:
    """An error of the address, to be raised."""
    return ConfigurationError(f"DATABASE_URL {reason}")


def left_out(option: str, instead: str = "") -> str:
    """The sentence for an option that changes nothing."""
    return f"DATABASE_URL has the option {option}, which changes nothing{f': {instead}' if instead else ''}."


def encryption(options: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The driver's arguments, and what somebody should know.

    Raises ConfigurationError for what cannot be done: nothing is less encrypted than its address says.
    """
    mode = _mode(options)
    notes: list[str] = []
    arguments: dict[str, Any] = {}
    if options.get("sslnegotiation") == "direct":
        arguments["direct_tls"] = True
        mode = max(mode, _REQUIRE)
    if options.get("channel_binding") == "require":
        notes.append(left_out("channel_binding", "sslmode=verify-full proves who the server is"))
        mode = max(mode, _REQUIRE)
    if mode >= _REQUIRE:
        arguments["ssl"] = _context(_MODES[mode], options)
    elif mode >= 0:
        arguments["ssl"] = _MODES[mode] if mode else False
    return arguments, notes


def _mode(options: Mapping[str, str]) -> int:
    """The strictest of the modes that the address names, as a place in _MODES; -1 where it names none."""
    found = -1
    for name in ("sslmode", "ssl"):
        if (given := options.get(name)) is not None:
            if given.lower() not in _NAMES:
                raise refused(f"has an {name} that there is not. Write one of {', '.join(_MODES)}.")
            found = max(found, _MODES.index(_NAMES[given.lower()]))
    accept = options.get("sslaccept", "accept_invalid_certs")
    if accept not in ("strict", "accept_invalid_certs"):
        raise refused("has an sslaccept that there is not. Write strict or accept_invalid_certs.")
    if (accept == "strict" and found >= _REQUIRE) or (found < 0 and options.get("sslrootcert")):
        return _MODES.index("verify-full")
    return found


def _context(mode: str, options: Mapping[str, str]) -> ssl.SSLContext:
    given = options.get("sslrootcert")
    own = Path("~/.postgresql/root.crt").expanduser()
    authorities = None if given == "system" else _file("sslrootcert", options)
    if given is None and mode != "require" and own.is_file():
        authorities = str(own)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (ssl.SSLError, OSError):
        raise refused("names a file as sslrootcert that holds no certificate (PEM).") from None
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if mode == "require" and given is None else ssl.CERT_REQUIRED
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # authorities of one's own are seldom that correct
    if certificate := _file("sslcert", options):
        try:
            context.load_cert_chain(certificate, _file("sslkey", options), options.get("sslpassword", ""))
        except (ssl.SSLError, OSError):
            raise refused("names an sslcert and an sslkey that do not open together (PEM, sslpassword).") from None
    context.set_alpn_protocols(["postgresql"])
    return context


def _file(option: str, options: Mapping[str, str]) -> str | None:
    if not (given := options.get(option)):
        return None
    file = Path(given).expanduser()
    try:
        with file.open("rb"):
            return str(file)
    except OSError as error:
        raise refused(f"names a file as {option} that cannot be read: {error.strerror}.") from None
