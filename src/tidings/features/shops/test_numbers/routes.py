"""HTTP endpoints of test numbers, below the shop's."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from tidings.features.shops.schemas import InPath
from tidings.features.shops.service import Shops
from tidings.features.shops.test_numbers.schemas import TestCodeIn, TestNumberIn, TestNumberOut
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]
PhoneInPath = Annotated[str, Path(max_length=40, examples=["+18105550123"])]

router = new_router(prefix="/shops/{domain}/test-numbers", tags=["shops"])


@router.get("")
async def list_test_numbers(shops: Service, domain: InPath) -> list[TestNumberOut]:
    """The shop's test numbers, those that are not verified included."""
    return [TestNumberOut.model_validate(row) for row in await shops.test_numbers.list(domain)]


@router.post("", status_code=201)
async def add_test_number(shops: Service, domain: InPath, number: TestNumberIn) -> TestNumberOut:
    """Adds a number and sends it a code; again a new code, while it is not verified."""
    return TestNumberOut.model_validate(await shops.test_numbers.add(domain, number.phone))


@router.post("/{phone}/confirm")
async def confirm_test_number(shops: Service, domain: InPath, phone: PhoneInPath, code: TestCodeIn) -> TestNumberOut:
    """Verifies a number by the code that it got."""
    return TestNumberOut.model_validate(await shops.test_numbers.confirm(domain, phone, code.code))


@router.delete("/{phone}", status_code=204)
async def remove_test_number(shops: Service, domain: InPath, phone: PhoneInPath) -> None:
    """Takes a number away; tests to it need consent from now on."""
    await shops.test_numbers.remove(domain, phone)
