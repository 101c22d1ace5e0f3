"""HTTP endpoints of what people told a shop, below the shop's: it sees and decides about its own alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Query

from tidings.features.shops.inbox.schemas import (
    ShopConsentIn,
    ShopOptInIn,
    ShopOptOutIn,
    ShopRepliesOut,
    ShopReplyOut,
)
from tidings.features.shops.models import Shop
from tidings.features.shops.schemas import InPath
from tidings.features.shops.service import Shops
from tidings.fields import Id, Limit
from tidings.messages.contacts.consents.consents import Consents
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.contacts.opting import OptOutDesk
from tidings.messages.routes.consents import (
    Before,
    ConsentRecorded,
    ConsentsImported,
    ConsentsOut,
    imported,
    page_of,
    recorded,
)
from tidings.messages.routes.opt_outs import Address, DecisionIn, OptOutChanged, OptOutOut, OptOutsOut
from tidings.messages.tenants import shop_tenant
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]
Desk = Annotated[OptOutDesk, provided(OptOutDesk)]
Kept = Annotated[Consents, provided(Consents)]

router = new_router(prefix="/shops/{domain}", tags=["shops"])


@router.get("/replies")
async def list_shop_replies(
    shops: Service, domain: InPath, before: Before = None, limit: Limit = 100
) -> ShopRepliesOut:
    """What people wrote to the shop, the newest first."""
    page = await shops.inbox.replies(domain, before=before, limit=limit)
    return ShopRepliesOut(replies=[ShopReplyOut.model_validate(row) for row in page.rows], before=page.before)


@router.get("/opt-outs")
async def list_shop_opt_outs(
    shops: Service,
    desk: Desk,
    domain: InPath,
    address: Address | None = None,
    unsure: bool = False,
    before: Before = None,
    limit: Limit = 100,
) -> OptOutsOut:
    """Opt-outs from the shop with their evidence; with `unsure` those about which somebody has to decide."""
    shop = await shops.accounts.get(domain)
    theirs = _as_dialled(address, shop) if address else None
    page = await desk.list(address=theirs, tenant=shop_tenant(shop.id), unsure=unsure, before=before, limit=limit)
    return OptOutsOut(opt_outs=[OptOutOut.model_validate(row) for row in page.rows], before=page.after)


@router.post("/opt-outs")
async def opt_out_of_shop(shops: Service, desk: Desk, domain: InPath, who: ShopOptOutIn) -> OptOutChanged:
    """The shop sends nothing to an address any more, until the shop ends what it has noted here itself."""
    shop = await shops.accounts.get(domain)
    changed = await desk.add(
        _as_dialled(who.address, shop),
        tenant=shop_tenant(shop.id),
        channel=who.channel,
        promotional=who.promotional,
        words=who.words,
        door=_door(shop),
    )
    return OptOutChanged(changed=changed)


@router.post("/opt-ins")
async def opt_in_to_shop(shops: Service, desk: Desk, domain: InPath, who: ShopOptInIn) -> OptOutChanged:
    """Ends what the shop has noted here itself. What a person said by text, only that person ends."""
    shop = await shops.accounts.get(domain)
    address, door = _as_dialled(who.address, shop), _door(shop)
    return OptOutChanged(changed=await desk.end(address, tenant=shop_tenant(shop.id), door=door, only_own=True))


@router.post("/opt-outs/{opt_out_id}/decision")
async def decide_shop_opt_out(
    shops: Service, desk: Desk, domain: InPath, opt_out_id: Id, decision: DecisionIn
) -> OptOutOut:
    """Says whether somebody meant STOP whose words to the shop left it open."""
    shop = await shops.accounts.get(domain)
    row = await desk.decide(opt_out_id, stop=decision.stop, tenant=shop_tenant(shop.id), by=_door(shop))
    return OptOutOut.model_validate(row)


@router.get("/consents")
async def list_shop_consents(
    shops: Service,
    consents: Kept,
    domain: InPath,
    address: Address | None = None,
    before: Before = None,
    limit: Limit = 100,
) -> ConsentsOut:
    """What people agreed to towards the shop, the latest that was stored first."""
    shop = await shops.accounts.get(domain)
    return page_of(
        await consents.list(who=address, tenant=shop_tenant(shop.id), before=before, limit=limit, region=shop.region)
    )


@router.post("/consents", status_code=201)
async def record_shop_consent(
    shops: Service, consents: Kept, domain: InPath, consent: ShopConsentIn
) -> ConsentRecorded:
    """Keeps that a customer, or whoever has an address, consented to the shop's messages, or took consent back."""
    if consent.customer_id is not None:
        shop, address = await shops.inbox.address_of(domain, consent.customer_id, consent.channel or "sms")
    else:
        assert consent.address is not None
        shop, address = await shops.accounts.get(domain), consent.address
    fields: dict[str, Any] = consent.model_dump(exclude={"address", "customer_id"})
    fields |= {"tenant": shop_tenant(shop.id), "door": _door(shop), "region": shop.region}
    return recorded(await consents.record(address, **fields))


@router.post("/consents/import")
async def import_shop_consents(
    shops: Service,
    consents: Kept,
    domain: InPath,
    file: Annotated[bytes, Body(media_type="text/csv", description="A CSV file, as Shopify, Klaviyo … export it.")],
    source: Annotated[str | None, Query(max_length=64, description="Where the file is from.")] = None,
) -> ConsentsImported:
    """Takes consents from a file: the good lines, and says what is wrong with the others."""
    shop = await shops.accounts.get(domain)
    return imported(
        await consents.take_file(
            file,
            tenant=shop_tenant(shop.id),
            region=shop.region,
            timezone=shop.timezone,
            source=source or "import",
            door=_door(shop),
        )
    )


def _door(shop: Shop) -> str:
    return f"api:{shop_tenant(shop.id)}"


def _as_dialled(address: str, shop: Shop) -> str:
    """A number as it is read where the shop is."""
    return address if "@" in address else parse_phone(address, shop.region)
