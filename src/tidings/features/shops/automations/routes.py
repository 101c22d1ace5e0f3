"""HTTP endpoints of automations, below the shop's. Times in answers are UTC."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from tidings.features.shops.automations.schemas import (
    AutomationIn,
    AutomationOut,
    AutomationTestIn,
    PreviewIn,
    PreviewOut,
)
from tidings.features.shops.campaigns.schemas import TestOut
from tidings.features.shops.schemas import InPath
from tidings.features.shops.service import Shops
from tidings.fields import Counted
from tidings.web.routing import new_router, provided

AutomationKey = Annotated[str, Path(max_length=64)]

Service = Annotated[Shops, provided(Shops)]

router = new_router(tags=["automations"])


@router.get("/shops/{domain}/automations")
async def list_automations(shops: Service, domain: InPath) -> list[AutomationOut]:
    """Every automation of a shop."""
    return [AutomationOut.model_validate(row) for row in await shops.automations.list(domain)]


@router.put("/shops/{domain}/automations/{key}")
async def save_automation(
    shops: Service, domain: InPath, key: AutomationKey, automation: AutomationIn
) -> AutomationOut:
    """Adds or replaces an automation; every mistake in it is told now."""
    return AutomationOut.model_validate(await shops.automations.save(domain, key, automation))


@router.get("/shops/{domain}/automations/{key}")
async def get_automation(shops: Service, domain: InPath, key: AutomationKey) -> AutomationOut:
    """One automation."""
    return AutomationOut.model_validate(await shops.automations.get(domain, key))


@router.delete("/shops/{domain}/automations/{key}")
async def delete_automation(shops: Service, domain: InPath, key: AutomationKey) -> Counted:
    """Deletes an automation and calls off what waits."""
    return Counted(messages=await shops.automations.delete(domain, key))


@router.post("/shops/{domain}/presets/{key}", status_code=201)
async def install_preset(shops: Service, domain: InPath, key: AutomationKey) -> AutomationOut:
    """Adds a ready automation."""
    return AutomationOut.model_validate(await shops.automations.install_preset(domain, key))


@router.post("/shops/{domain}/automations/{key}/activate")
async def activate_automation(shops: Service, domain: InPath, key: AutomationKey) -> AutomationOut:
    """Lets an automation write again."""
    return AutomationOut.model_validate(await shops.automations.activate(domain, key))


@router.post("/shops/{domain}/automations/{key}/deactivate")
async def deactivate_automation(shops: Service, domain: InPath, key: AutomationKey) -> AutomationOut:
    """Lets an automation write no more, and calls off what waits."""
    return AutomationOut.model_validate(await shops.automations.deactivate(domain, key))


@router.post("/shops/{domain}/automations/{key}/preview")
async def preview_automation(shops: Service, domain: InPath, key: AutomationKey, wanted: PreviewIn) -> PreviewOut:
    """What an automation would send to a real customer, and what that would cost; nothing is sent."""
    return await shops.automations.preview(domain, key, wanted)


@router.post("/shops/{domain}/automations/{key}/test", status_code=201)
async def send_automation_test(shops: Service, domain: InPath, key: AutomationKey, to: AutomationTestIn) -> TestOut:
    """Sends the text to one number or customer, through the gate; verified test numbers need no consent."""
    return await shops.automations.send_test(domain, key, to)
