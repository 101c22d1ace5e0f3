"""`tidings consents` and `tidings tenants`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tidings.errors import Conflict, InvalidInput, NotFound

Run = Any
SHOP = "amber.myshopify.com"


@pytest.fixture
def shop(tidings: Run, tmp_path: Path) -> str:
    """The domain of a shop of this installation."""

    async def open_shop() -> None:
        from tidings import Tidings

        async with Tidings() as opened:
            await opened.shops.accounts.create(
                {"domain": SHOP, "name": "Amber", "webhook_secret": "a secret", "region": "DE"}
            )

    asyncio.run(open_shop())
    return SHOP


def test_consents_of_an_export_are_taken_for_a_shop_and_its_bad_lines_named(
    tidings: Run, shop: str, tmp_path: Path
) -> None:
    file = tmp_path / "klaviyo.csv"
    file.write_text("Phone Number,SMS Marketing Consent,SMS Marketing Consent Timestamp\n0151 12345678,SUBSCRIBED,\n")
    said = tidings("consents", "import", file, "--shop", shop, "--source", "klaviyo").stdout
    assert "1 consent taken, 0 known before, 0 lines without a word" in said
    assert "0 consents taken, 1 known before" in tidings("consents", "import", file, "--shop", shop).stdout
    listed = json.loads(tidings("consents", "list", "--shop", shop, "--json").stdout)["consents"]
    assert [(one["address"], one["tenant"], one["source"], one["door"], one["proof"]) for one in listed] == [
        ("+4915112345678", "shop:1", "klaviyo", "cli", "klaviyo.csv, line 2")
    ]
    assert "shop:1" in tidings("consents", "list").stdout
    assert "No consents." in tidings("consents", "list", "--tenant", "installation").stdout
    file.write_text("phone,granted\n12,yes\n")
    with pytest.raises(AssertionError, match=r"line 2: phone: '12'"):
        tidings("consents", "import", file, "--shop", shop)
    with pytest.raises(NotFound, match="there is no shop nowhere"):
        tidings("consents", "import", file, "--shop", "nowhere")


def test_tenants_are_listed_shown_and_changed(tidings: Run, shop: str) -> None:
    listed = tidings("tenants", "list").stdout
    assert "installation" in listed
    assert "shop:1" in listed
    said = tidings("tenants", "set", "shop:1", "brand=Amber & Co", "frequency_caps=1/1d").stdout
    assert "brand: Amber & Co" in said
    assert "frequency_caps: 1/1d" in said
    assert "quiet_hours: as the installation" in tidings("tenants", "show", "shop:1").stdout
    assert "brand: as the installation" in tidings("tenants", "set", "shop:1", "brand=").stdout
    for words, error, sentence in (
        (("shop:1", "brand"), InvalidInput, "has no ="),
        (("shop:1", "caps=1/1d"), InvalidInput, "caps"),
        (("shop:1", "quiet_hours=night"), InvalidInput, "quiet_hours"),
        (("shop:9", "brand=x"), NotFound, "there is no tenant shop:9"),
        (("installation", "brand=x"), Conflict, "TIDINGS_BRAND"),
    ):
        with pytest.raises(error, match=sentence):
            tidings("tenants", "set", *words)
