"""The verbs of the shops. Each changes rows and queues together, in one unit of work."""

from __future__ import annotations

from tidings.features.shops.automations import Automations
from tidings.features.shops.campaigns import Campaigns
from tidings.features.shops.enqueueing import Enqueueing
from tidings.features.shops.evaluation import Evaluation
from tidings.features.shops.installing import Installing
from tidings.features.shops.listing import Listing
from tidings.features.shops.previewing import Previewing
from tidings.features.shops.processing import Processing
from tidings.features.shops.reports import Reports
from tidings.messages.policy import Rules
from tidings.messages.templates import Sandbox
from tidings.vault import Vault
from tidings.work import Work


class Shops(
    Installing, Automations, Previewing, Enqueueing, Processing, Evaluation, Listing, Campaigns, Reports
):  # fmt: skip
    """Shops for other programs: `t.shops` of the facade, and what the HTTP routes and workers call.

    A shop is named by its domain. Inputs may be given as models or as mappings. A naive time is on the shop's wall
    clock; stored and returned times are UTC. `vault` seals the shops' secrets, `templates` are `shop_templates()`,
    `rules` the gate's.
    """

    def __init__(self, work: Work, *, vault: Vault, templates: Sandbox, rules: Rules) -> None:
        self._work = work
        self._vault = vault
        self._templates = templates
        self._rules = rules
