"""The page behind a mail's unsubscribe address in a real browser, whose buttons the page's own policy lets work."""

from __future__ import annotations

import pytest

from chat.browser import Browser
from chat.support import Chats

TITLE = "document.querySelector('h1')?.textContent"
PRESS = "document.querySelector('button').click()"


@pytest.mark.parametrize("dark", [False, True])
async def test_a_reader_unsubscribes_and_changes_the_mind_twice(local: Chats, dark: bool) -> None:
    token = local.app.parts.links.token("installation", "ada@example.com")
    async with local.served() as origin, Browser.started() as browser:
        tab = await browser.open(f"{origin}/unsubscribe/{token}", dark=dark)
        await tab.sees(f"{TITLE} === 'Unsubscribe from offers by mail?'")
        for title in ("You are unsubscribed", "You are subscribed again") * 2:
            await tab.look(PRESS)
            await tab.sees(f"{TITLE} === '{title}'")
        assert await tab.look("document.documentElement.scrollWidth <= window.innerWidth")
