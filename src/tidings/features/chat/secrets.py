"""Where the chats' secrets are sealed, and names that nobody guesses."""

from __future__ import annotations

from secrets import token_urlsafe

_BYTES = 24


def account_context(column: str, phone_number_id: str) -> str:
    """The place of a WhatsApp Cloud account's secret."""
    return f"whatsapp_cloud_accounts.{column}:{phone_number_id}"


def session_context(session_id: str) -> str:
    """The place of a QR session's webhook secret."""
    return f"whatsapp_qr_sessions.webhook_secret:{session_id}"


def new_widget_key() -> str:
    """The public name of a chatbot's widget, `wk_…`: 192 random bits."""
    return f"wk_{token_urlsafe(_BYTES)}"


def new_secret() -> str:
    """A shared secret or verify token: 192 random bits."""
    return token_urlsafe(_BYTES)
