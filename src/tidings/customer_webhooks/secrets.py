"""The signing secrets of an endpoint as they are stored: a sealed JSON list, the newest first.

While secrets rotate, the old one signs beside the new one until its time is over, so a receiver may change over at
any moment in between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tidings.providers.webhooks.signatures import new_secret
from tidings.vault import Vault

MOST_SECRETS = 4
"""Secrets that sign at once: the current one and the latest that are still to expire."""


def first_secrets(vault: Vault, endpoint_id: int) -> tuple[str, str]:
    """A new secret for a new endpoint, and what is to be stored."""
    secret = new_secret()
    return secret, _sealed(vault, endpoint_id, [{"secret": secret, "until": None}])


def rotated(vault: Vault, endpoint_id: int, stored: str, now: datetime, old_until: datetime) -> tuple[str, str]:
    """A new secret beside the present ones, which sign until `old_until` (UTC), and what is to be stored."""
    secret = new_secret()
    present = [
        {**entry, "until": min(entry["until"] or old_until.isoformat(), old_until.isoformat())}
        for entry in _entries(vault, endpoint_id, stored, now)
        if old_until > now
    ]
    return secret, _sealed(vault, endpoint_id, [{"secret": secret, "until": None}, *present][:MOST_SECRETS])


def signing_secrets(vault: Vault, endpoint_id: int, stored: str, now: datetime) -> list[str]:
    """The secrets that sign at `now` (UTC). Raises ConfigurationError when the vault cannot open them."""
    return [entry["secret"] for entry in _entries(vault, endpoint_id, stored, now)]


def _entries(vault: Vault, endpoint_id: int, stored: str, now: datetime) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(vault.open(stored, _context(endpoint_id)))
    return [entry for entry in entries if entry["until"] is None or datetime.fromisoformat(entry["until"]) > now]


def _sealed(vault: Vault, endpoint_id: int, entries: Sequence[dict[str, Any]]) -> str:
    return vault.seal(json.dumps(entries), _context(endpoint_id))


def _context(endpoint_id: int) -> str:
    return f"webhook_endpoints.secrets:{endpoint_id}"
