"""Signatures of webhooks: whether the raw bytes of a body come from the platform that they claim to come from.

Every check takes the same time for any signature, right or wrong, and never raises because of a header. A body
that was parsed and written again has another signature.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence

SHOPIFY_HEADER = "X-Shopify-Hmac-Sha256"
META_HEADER = "X-Hub-Signature-256"


def shopify_hmac(secret: str, body: bytes) -> str:
    """The value of X-Shopify-Hmac-Sha256 for `body`: its HMAC-SHA256 (RFC 2104) under the app's secret, in base64."""
    return b64encode(_digest(secret, body)).decode()


def is_shopify(secrets: Sequence[str], body: bytes, header: str | None) -> bool:
    """Whether `header` is Shopify's signature of `body` under one of the app's secrets.

    While a secret is rotated Shopify signs with the old one, for a while even after it was revoked; so both belong
    in `secrets`. A blank secret counts for nothing, because anybody can sign with it.
    """
    given = _bytes(header)
    usable = [secret for secret in secrets if secret.strip()]
    fits = [hmac.compare_digest(_bytes(shopify_hmac(secret, body)), given) for secret in usable]
    return any(fits)  # only now: the time does not tell which secret fits


def is_meta(app_secret: str, body: bytes, header: str | None) -> bool:
    """Whether `header`, X-Hub-Signature-256, is Meta's signature of `body`: `sha256=` and lower-case hex digits.

    False for every header when the secret is blank, because anybody can sign with that.
    """
    expected = f"sha256={_digest(app_secret, body).hex()}"
    return hmac.compare_digest(_bytes(expected), _bytes(header)) and bool(app_secret.strip())


def _digest(secret: str, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), body, "sha256")


def _bytes(header: str | None) -> bytes:
    """Bytes to compare; characters that no signature has become bytes that no signature has."""
    return (header or "").encode(errors="backslashreplace")
