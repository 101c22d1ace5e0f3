"""The HTTP endpoint of the pings."""

from __future__ import annotations

from typing import Annotated

from tidings.features.pings.service import PingService

from tidings.web.routing import new_router, provided

router = new_router(tags=["pings"])


@router.post("/pings/{phone}")
async def send_ping(phone: str, pings: Annotated[PingService, provided(PingService)]) -> str:
    """Sends a ping."""
    return await pings.ping(phone)
