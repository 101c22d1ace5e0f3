"""HTTP endpoints of shops and their automations. Every one is a verb of the service; times in answers are UTC.

What is below /shops/<domain> also takes that shop's own API key.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from tidings.features.shops.models import Shop
from tidings.features.shops.schemas import (
    ApiKeyOut,
    AutomationIn,
    AutomationOut,
    CustomerOut,
    Enqueued,
    EventOut,
    ExportOut,
    JobIn,
    PreviewIn,
    PreviewOut,
    SecretIn,
    ShopChange,
    ShopCreated,
    ShopIn,
    ShopMessageOut,
    ShopOut,
)
from tidings.features.shops.service import Shops
from tidings.fields import After, Counted, Id, Limit
from tidings.messages.statuses import Status

Domain = Annotated[str, Path(max_length=255, examples=["blossom.myshopify.com"])]
AutomationKey = Annotated[str, Path(max_length=64)]
Topic = Annotated[str | None, Query(max_length=64, description="Only this topic.")]


def shops_router(shops: Shops) -> APIRouter:
    """The router over one service."""
    router = APIRouter()
    _shop_routes(router, shops)
    _key_routes(router, shops)
    _automation_routes(router, shops)
    _switch_routes(router, shops)
    _list_routes(router, shops)
    _job_routes(router, shops)
    return router


def shown(row: Shop) -> ShopOut:
    """A shop without its secrets."""
    columns = {name: getattr(row, name) for name in ShopOut.model_fields if name != "has_mitto_api_key"}
    return ShopOut(**columns, has_mitto_api_key=row.mitto_api_key is not None)


def _shop_routes(router: APIRouter, shops: Shops) -> None:
    tags: list[Any] = ["shops"]

    @router.post("/shops", status_code=201, tags=tags)
    async def create_shop(shop: ShopIn) -> ShopCreated:
        """Adds a shop; the answer has its API key, this once."""
        row, api_key = await shops.create_shop(shop)
        return ShopCreated(shop=shown(row), api_key=api_key)

    @router.get("/shops", tags=tags)
    async def list_shops(after_id: After = 0, limit: Limit = 100) -> list[ShopOut]:
        """Shops in order of id; the last id is the next page's `after_id`."""
        return [shown(row) for row in await shops.list_shops(after_id, limit)]

    @router.get("/shops/{domain}", tags=tags)
    async def get_shop(domain: Domain) -> ShopOut:
        """One shop."""
        return shown(await shops.get_shop(domain))

    @router.patch("/shops/{domain}", tags=tags)
    async def change_shop(domain: Domain, change: ShopChange) -> ShopOut:
        """Changes what is given."""
        return shown(await shops.change_shop(domain, change))


def _key_routes(router: APIRouter, shops: Shops) -> None:
    tags: list[Any] = ["shops"]

    @router.post("/shops/{domain}/api-key", tags=tags)
    async def rotate_api_key(domain: Domain) -> ApiKeyOut:
        """A new API key; the one before is of no use from now on."""
        return ApiKeyOut(api_key=await shops.rotate_api_key(domain))

    @router.put("/shops/{domain}/webhook-secret", tags=tags)
    async def rotate_webhook_secret(domain: Domain, secret: SecretIn) -> ShopOut:
        """Stores the app's new secret; the one before still counts unless it is to be forgotten."""
        return shown(await shops.rotate_webhook_secret(domain, secret))


def _automation_routes(router: APIRouter, shops: Shops) -> None:
    tags: list[Any] = ["automations"]

    @router.get("/shops/{domain}/automations", tags=tags)
    async def list_automations(domain: Domain) -> list[AutomationOut]:
        """Every automation of a shop."""
        return [AutomationOut.model_validate(row) for row in await shops.list_automations(domain)]

    @router.put("/shops/{domain}/automations/{key}", tags=tags)
    async def save_automation(domain: Domain, key: AutomationKey, automation: AutomationIn) -> AutomationOut:
        """Adds or replaces an automation; every mistake in it is told now."""
        return AutomationOut.model_validate(await shops.save_automation(domain, key, automation))

    @router.get("/shops/{domain}/automations/{key}", tags=tags)
    async def get_automation(domain: Domain, key: AutomationKey) -> AutomationOut:
        """One automation."""
        return AutomationOut.model_validate(await shops.get_automation(domain, key))

    @router.delete("/shops/{domain}/automations/{key}", tags=tags)
    async def delete_automation(domain: Domain, key: AutomationKey) -> Counted:
        """Deletes an automation and calls off what waits."""
        return Counted(messages=await shops.delete_automation(domain, key))

    @router.post("/shops/{domain}/presets/{key}", status_code=201, tags=tags)
    async def install_preset(domain: Domain, key: AutomationKey) -> AutomationOut:
        """Adds a ready automation."""
        return AutomationOut.model_validate(await shops.install_preset(domain, key))


def _switch_routes(router: APIRouter, shops: Shops) -> None:
    tags: list[Any] = ["automations"]

    @router.post("/shops/{domain}/automations/{key}/activate", tags=tags)
    async def activate_automation(domain: Domain, key: AutomationKey) -> AutomationOut:
        """Lets an automation write again."""
        return AutomationOut.model_validate(await shops.activate_automation(domain, key))

    @router.post("/shops/{domain}/automations/{key}/deactivate", tags=tags)
    async def deactivate_automation(domain: Domain, key: AutomationKey) -> AutomationOut:
        """Lets an automation write no more, and calls off what waits."""
        return AutomationOut.model_validate(await shops.deactivate_automation(domain, key))

    @router.post("/shops/{domain}/automations/{key}/preview", tags=tags)
    async def preview_automation(domain: Domain, key: AutomationKey, wanted: PreviewIn) -> PreviewOut:
        """What an automation would send to a real customer, and what that would cost; nothing is sent."""
        return await shops.preview_automation(domain, key, wanted)


def _list_routes(router: APIRouter, shops: Shops) -> None:
    tags: list[Any] = ["shops"]

    @router.get("/shops/{domain}/events", tags=tags)
    async def list_shop_events(
        domain: Domain, topic: Topic = None, after_id: After = 0, limit: Limit = 100
    ) -> list[EventOut]:
        """What the shop told, and what came of it."""
        rows = await shops.list_events(domain, topic=topic, after_id=after_id, limit=limit)
        return [EventOut.model_validate(row) for row in rows]

    @router.get("/shops/{domain}/customers", tags=tags)
    async def list_customers(domain: Domain, after_id: After = 0, limit: Limit = 100) -> list[CustomerOut]:
        """The shop's customers."""
        rows = await shops.list_customers(domain, after_id=after_id, limit=limit)
        return [CustomerOut.model_validate(row) for row in rows]

    @router.get("/shops/{domain}/messages", tags=tags)
    async def list_shop_messages(
        domain: Domain,
        status: Status | None = None,
        automation_id: Id | None = None,
        campaign_id: Id | None = None,
        customer_id: Id | None = None,
        after_id: After = 0,
        limit: Limit = 100,
    ) -> list[ShopMessageOut]:
        """The shop's messages."""
        rows = await shops.list_messages(
            domain,
            status=status,
            automation_id=automation_id,
            campaign_id=campaign_id,
            customer_id=customer_id,
            after_id=after_id,
            limit=limit,
        )
        return [ShopMessageOut.model_validate(row) for row in rows]

    @router.get("/shops/{domain}/data-exports", tags=tags)
    async def list_data_exports(domain: Domain, after_id: After = 0, limit: Limit = 100) -> list[ExportOut]:
        """What customers asked to know (`customers/data_request`)."""
        rows = await shops.list_data_exports(domain, after_id=after_id, limit=limit)
        return [ExportOut.model_validate(row) for row in rows]

    @router.get("/shops/{domain}/data-exports/{export_id}", tags=tags)
    async def get_data_export(domain: Domain, export_id: Id) -> ExportOut:
        """One export."""
        return ExportOut.model_validate(await shops.get_data_export(domain, export_id))


def _job_routes(router: APIRouter, shops: Shops) -> None:
    @router.post("/jobs/{queue}/{name:path}", status_code=202, tags=["jobs"])
    async def enqueue_job(queue: Annotated[str, Path(max_length=64)], name: str, job: JobIn) -> Enqueued:
        """Adds a job to a queue of the shops, with its data checked."""
        await shops.enqueue_job(queue, name, job.data)
        return Enqueued(queue=queue, name=name)
