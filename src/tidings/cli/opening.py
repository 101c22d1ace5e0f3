"""How commands open the application."""

from __future__ import annotations

from tidings.app import App
from tidings.registry import Settings


def open_app(settings: Settings, *, reading: bool = False) -> App:
    """The application, to be entered; with `reading` for a command that only looks at rows, which needs no Redis.

    An embedded database belongs to this installation alone; a shared one is migrated when its owner says so.
    """
    return App(settings, migrate=settings.is_embedded, reading=reading)
