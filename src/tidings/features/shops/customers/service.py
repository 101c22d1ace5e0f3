"""A shop's customers as they are read, and what those have asked to know."""

from __future__ import annotations

from collections.abc import Sequence

from tidings.features.shops.lookup import find_one, find_page
from tidings.features.shops.models import ShopCustomer
from tidings.features.shops.privacy.models import ShopDataExport
from tidings.work import Work


class Customers:
    """Customers of shops, by `domain`. Lists are in order of id; an unknown shop is NotFound."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def list(self, domain: str, *, after_id: int = 0, limit: int = 100) -> Sequence[ShopCustomer]:
        """Customers; those whose data was erased are left out."""
        kept = ShopCustomer.redacted_at.is_(None)
        async with self._work.read() as session:
            return await find_page(session, ShopCustomer, domain, after_id, limit, kept)

    async def list_exports(self, domain: str, *, after_id: int = 0, limit: int = 100) -> Sequence[ShopDataExport]:
        """What customers asked to know, from `customers/data_request`."""
        async with self._work.read() as session:
            return await find_page(session, ShopDataExport, domain, after_id, limit)

    async def get_export(self, domain: str, export_id: int) -> ShopDataExport:
        """One export. Raises NotFound."""
        async with self._work.read() as session:
            return await find_one(session, ShopDataExport, "data export", domain, export_id)
