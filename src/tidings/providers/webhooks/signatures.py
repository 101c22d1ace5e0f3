"""Signatures that let a customer check who sent a webhook, by the Standard Webhooks specification.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, version 1.0.0
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random
from collections.abc import Sequence
from datetime import datetime

from tidings.errors import InvalidInput

PREFIX = "whsec_"

KEY_BYTES = 24, 64
"""The shortest and the longest key the specification allows, in bytes."""

_NEW_KEY_BYTES = 32  # what SHA-256 gives out: a longer key adds nothing (RFC 2104, section 3)


def new_secret() -> str:
    """A new random secret of 32 bytes, as it is shown to the customer: `whsec_` and base64."""
    return PREFIX + base64.b64encode(random.token_bytes(_NEW_KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key that a secret stands for.

    Padding at the end may be missing, as in the reference libraries. Raises InvalidInput when the secret is
    malformed; its sentence does not quote the secret.
    """
    shortest, longest = KEY_BYTES
    encoded = secret.removeprefix(PREFIX)
    if encoded == secret:
        raise InvalidInput("secret", f"a webhook's secret starts with {PREFIX}")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("secret", f"what follows {PREFIX} has to be base64 (RFC 4648, section 4)") from error
    if not shortest <= len(key) <= longest:
        raise InvalidInput("secret", f"a webhook's key has {shortest} to {longest} bytes, this one has {len(key)}")
    return key


def sign(secrets: Sequence[str], id: str, timestamp: datetime, body: bytes) -> str:
    """The value of the header webhook-signature: one HMAC-SHA256 a secret, separated by spaces.

    While keys rotate, the new and the old secret both sign, and a receiver takes whichever it knows.
    `timestamp` is the aware moment of this attempt; its fraction of a second is not signed. Raises
    InvalidInput when there is no secret, when one is malformed, or when `id` has a character that would
    blur where the id ends and the timestamp begins; ValueError when `timestamp` is naive.
    """
    if not secrets:
        raise InvalidInput("secrets", "a webhook needs at least one secret to be signed with")
    if not id or not id.isascii() or not id.isprintable() or "." in id or " " in id:
        raise InvalidInput(
            "id", "a webhook's id consists of printable ASCII characters without full stops and spaces"
        )
    signed = f"{id}.{unix_seconds(timestamp)}.".encode() + body
    return " ".join(f"v1,{_digest(key_of(secret), signed)}" for secret in secrets)


def unix_seconds(timestamp: datetime) -> int:
    """The value of the header webhook-timestamp: whole seconds since 1970. Raises ValueError when naive."""
    if timestamp.tzinfo is None:
        raise ValueError("the timestamp of a webhook has to be an aware datetime")
    return int(timestamp.timestamp())


def _digest(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
