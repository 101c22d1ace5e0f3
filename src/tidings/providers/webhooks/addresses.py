"""Where a customer's webhook may go: public addresses, and private ones only by permission.

A customer chooses the URL, so without these rules the server could be made to call its own network (server
side request forgery, CWE-918).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from pyreqwest.http import Url

from tidings.errors import InvalidInput

Address = IPv4Address | IPv6Address

MAX_URL_LENGTH = 2048

FORBIDDEN_PORTS = frozenset(
    {0, 21, 22, 23, 25, 53, 110, 111, 135, 139, 143, 389, 445, 465, 514, 587, 636, 993, 995}
    | {1433, 2049, 3306, 3389, 5432, 5672, 6379, 11211, 27017}
)
"""Ports on which mail, files, shells, databases and queues listen, and no web server."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAX_HOST_LENGTH = 253


def _networks(*texts: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


# IANA's special-purpose registries. Python's `is_global` knows most of them, and differently by version:
# what is listed here is refused by every one.
_NEVER_PUBLIC = _networks(
    "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
    "192.88.99.0/24",  # 6to4 relays (RFC 7526)
    "100.64.0.0/10",  # carriers' NAT (RFC 6598)
    "2001::/23",  # IETF protocol assignments, Teredo among them (RFC 2928, RFC 4380)
    "2002::/16",  # 6to4: an IPv4 address in disguise (RFC 3056)
    "3fff::/20",  # documentation (RFC 9637)
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA has given out (RFC 4291, section 2.4)
_NAT64 = IPv6Network("64:ff9b::/96")  # an IPv4 address as an IPv6-only network reaches it (RFC 6052)

_PRIVATE = _networks(
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1", "fc00::/7"
)
_METADATA = _networks("100.100.100.200", "fd00:ec2::254")  # clouds' servers of credentials, inside private ranges


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that has passed the rules that need no look-up.

    `url` is spelled as the HTTP client reads it, without a dot at the host's end. `host` is a lower-case name in
    ASCII (RFC 5890) or an address without brackets; then `address` is that address.
    """

    url: str
    host: str
    port: int
    encrypted: bool
    address: Address | None


def read_url(url: str, *, allow_private: bool) -> Target:
    """The target that `url` names.

    It is parsed by the client's own parser (WHATWG URL), so that no spelling means one host to the check and
    another to the connection; 0x7f.1 and 2130706433 are 127.0.0.1 to both. Without `allow_private`, the URL has
    to be https. Raises InvalidInput, whose sentence names the host at most: the rest may hold a secret.
    """
    if len(url) > MAX_URL_LENGTH:
        raise InvalidInput("url", f"a webhook's URL has at most {MAX_URL_LENGTH} characters, this one has {len(url)}")
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidInput("url", "a webhook's URL contains no spaces, control characters or backslashes")
    try:
        parsed = Url(url)
    except ValueError as error:
        raise InvalidInput("url", "this is no URL; it looks like https://example.com/webhook") from error
    if parsed.scheme not in ("http", "https") or parsed.host_str is None:
        raise InvalidInput("url", "a webhook's URL starts with https:// and a host")
    if parsed.username or parsed.password is not None:
        raise InvalidInput("url", "a webhook's URL has no user name and password; check the signature instead")
    if parsed.fragment is not None:
        raise InvalidInput("url", "a webhook's URL has no fragment; leave out the # and what follows")
    host = parsed.host_str.removeprefix("[").removesuffix("]").removesuffix(".")
    port = parsed.port_or_known_default or 0
    address = _literal(host)
    if address is None:
        _check_name(host, allow_private)
        parsed = parsed.with_host(host)
    elif not may_connect([address], encrypted=parsed.scheme == "https", allow_private=allow_private):
        raise InvalidInput("url", refusal(host, allow_private))
    if port in FORBIDDEN_PORTS:
        raise InvalidInput("url", f"port {port} of {host} is no web server's; use another one")
    if parsed.scheme == "http" and not allow_private:
        raise InvalidInput("url", f"webhooks to {host} have to be encrypted; use https://")
    return Target(str(parsed), host, port, parsed.scheme == "https", address)


def may_connect(addresses: Sequence[Address], *, encrypted: bool, allow_private: bool) -> bool:
    """Whether all of a host's addresses are ones that a webhook may go to.

    One bad address condemns them all, because a client may try any of them. Unencrypted webhooks go to
    private addresses only. Link-local, multicast, unspecified and reserved addresses, and those where clouds
    hand out credentials, are refused always.
    """
    return bool(addresses) and all(
        (allow_private and is_private(address)) or (encrypted and is_public(address)) for address in addresses
    )


def refusal(host: str, allow_private: bool) -> str:
    """The sentence for a host that may not be connected to.

    It does not say which address was found: a customer could read the names of an internal network with it.
    """
    if allow_private:
        return f"webhooks do not go to {host}: an address of it is neither private nor public and encrypted (https)"
    return f"webhooks do not go to {host}: an address of it is not public"


def is_public(address: Address) -> bool:
    """Whether anybody on the internet can have this address (RFC 6890 and IANA's registries behind it)."""
    address = _reached(address)
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    special = address.is_multicast or address.is_reserved or any(address in network for network in _NEVER_PUBLIC)
    return address.is_global and not special


def is_private(address: Address) -> bool:
    """Whether it is this machine's or a private network's (RFC 1122, RFC 1918, RFC 6598, RFC 4193)."""
    address = _reached(address)
    inside = any(address in network for network in _PRIVATE)
    return inside and not any(address in network for network in _METADATA)


def _reached(address: Address) -> Address:
    """The IPv4 address that a connection to an IPv4-mapped or a NAT64 address ends at."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _check_name(host: str, allow_private: bool) -> None:
    labels = host.split(".")
    if len(host) > _MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidInput("url", "the host of a webhook's URL is no name that the domain name system can hold")
    if labels[-1] == "localhost" and not allow_private:  # RFC 6761, section 6.3
        raise InvalidInput("url", refusal(host, allow_private))
