"""A shop's secrets: what is sealed in which place, and keys of which only a digest is kept."""

from __future__ import annotations

import hashlib
from secrets import token_urlsafe

_BYTES = 32


def secret_context(column: str, domain: str) -> str:
    """The place to which the vault binds a sealed text: `shops.webhook_secret:blossom.myshopify.com`."""
    return f"shops.{column}:{domain}"


def new_api_key() -> str:
    """A key of 256 random bits, `tds_…`; the beginning lets scanners of leaked secrets recognise it."""
    return f"tds_{token_urlsafe(_BYTES)}"


def new_token() -> str:
    """256 random bits for an address that only its receiver knows."""
    return token_urlsafe(_BYTES)


def digest(key: str) -> str:
    """SHA-256 in hex. A random key of 256 bits needs no slow hash, and this one can be looked up."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
