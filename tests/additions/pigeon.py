"""A small provider: it writes messages into a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.settings import Optional, SettingsGroup


class PigeonSettings(SettingsGroup):
    """Where the loft is."""

    pigeon_loft: Annotated[Path | None, Optional] = Field(
        None, validation_alias="PIGEON_LOFT", description="File that pigeons bring messages to."
    )


class Pigeon:
    """Adds every message as a line to the file `loft`."""

    name = "pigeon"
    drops_repetitions = False

    def __init__(self, loft: Path) -> None:
        self._loft = loft

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands a message over."""
        self._loft.write_text(f"{outgoing.to}: {outgoing.text}\n")
        return Receipt(self.name)

    async def close(self) -> None:
        """Nothing to release."""


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """Pigeons for SMS, once there is a loft."""
    loft = parts.settings_of(PigeonSettings).pigeon_loft
    return {"sms": Pigeon(loft)} if loft else {}
