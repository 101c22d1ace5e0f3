"""Shops as other programs see them, put together from their parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidings.features.shops.accounts.service import ShopAccounts
from tidings.features.shops.automations.service import Automations
from tidings.features.shops.campaigns.service import Campaigns
from tidings.features.shops.customers.service import Customers
from tidings.features.shops.events.service import ShopEvents
from tidings.features.shops.external_jobs import enqueue_job
from tidings.features.shops.inbox.service import Inbox
from tidings.features.shops.messages import Messages
from tidings.features.shops.reports.service import ShopReports
from tidings.features.shops.segments.service import Segments
from tidings.features.shops.test_numbers.service import TestNumbers
from tidings.messages.gate.rules import Rules
from tidings.messages.text.templates import Sandbox
from tidings.vault import Vault
from tidings.work import Work


class Shops:
    """Shops for other programs: `t.shops` of the facade, and what the HTTP routes call.

    `accounts` are the shops themselves, `automations` and `campaigns` what writes for them, `segments` whom campaigns
    go to. `events`, `customers` and `messages` are what shops told and what followed, `reports` figures.
    `inbox` is what people told them, `test_numbers` are the shops' own phones, which get tests without consent.

    A shop is named by its domain. Inputs may be given as models or as mappings. A naive time is on the shop's wall
    clock; stored and returned times are UTC. Each verb changes rows and queues together, in one unit of work.
    `vault` seals the shops' secrets, `templates` are `shop_templates()`, `rules` the gate's. `public_url` is
    where others reach this installation.
    """

    def __init__(self, work: Work, *, vault: Vault, templates: Sandbox, rules: Rules, public_url: str | None) -> None:
        self.accounts = ShopAccounts(work, vault, templates, public_url)
        self.automations = Automations(work, templates, rules)
        self.segments = Segments(work)
        self.campaigns = Campaigns(work, templates, rules)
        self.events = ShopEvents(work, vault)
        self.customers = Customers(work)
        self.messages = Messages(work)
        self.reports = ShopReports(work)
        self.inbox = Inbox(work)
        self.test_numbers = TestNumbers(work)
        self._queues = work.queues

    async def enqueue_job(self, queue: str, name: str, data: Mapping[str, Any]) -> None:
        """Adds a job, as the specification's `enqueueJob` does; `data` has its field names.

        Raises NotFound for a queue or a kind of job that there is not, InvalidInput for unusable data, and
        QueueUnavailable.
        """
        await enqueue_job(self._queues, queue, name, data)
