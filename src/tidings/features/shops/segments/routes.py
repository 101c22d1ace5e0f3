"""HTTP endpoints of segments, below the shop's. Times in answers are UTC."""

from __future__ import annotations

from typing import Annotated

from tidings.features.shops.schemas import Key
from tidings.features.shops.segments.schemas import RulesIn, SegmentIn, SegmentOut, SegmentPreview
from tidings.features.shops.service import Shops
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]

router = new_router(prefix="/shops/{domain}", tags=["segments"])


@router.get("/segments")
async def list_segments(shops: Service, domain: str) -> list[SegmentOut]:
    """Every segment by key."""
    return [SegmentOut.model_validate(row) for row in await shops.segments.list(domain)]


@router.post("/segments/preview")
async def preview_rules(shops: Service, domain: str, rules: RulesIn) -> SegmentPreview:
    """How many customers rules match that are not saved yet."""
    return await shops.segments.preview(domain, rules)


@router.put("/segments/{key}")
async def save_segment(shops: Service, domain: str, key: Key, segment: SegmentIn) -> SegmentOut:
    """Adds or replaces a segment."""
    return SegmentOut.model_validate(await shops.segments.save(domain, key, segment))


@router.get("/segments/{key}")
async def get_segment(shops: Service, domain: str, key: Key) -> SegmentOut:
    """One segment."""
    return SegmentOut.model_validate(await shops.segments.get(domain, key))


@router.delete("/segments/{key}", status_code=204)
async def delete_segment(shops: Service, domain: str, key: Key) -> None:
    """Deletes a segment that no draft is for."""
    await shops.segments.delete(domain, key)


@router.get("/segments/{key}/preview")
async def preview_segment(shops: Service, domain: str, key: Key) -> SegmentPreview:
    """How many customers match now, with samples."""
    return await shops.segments.preview(domain, key)
