"""The verbs of the shops. Each changes rows and queues together, in one unit of work."""

from __future__ import annotations

from tidings.features.shops.automations.evaluate import Evaluation
from tidings.features.shops.automations.preview import Previewing
from tidings.features.shops.automations.service import Automations
from tidings.features.shops.campaigns.service import Campaigns
from tidings.features.shops.external_jobs import Enqueueing
from tidings.features.shops.registration import Installing
from tidings.features.shops.reports.service import Reports
from tidings.features.shops.views import Listing
from tidings.features.shops.webhooks.process import Processing
from tidings.messages.gate.policy import Rules
from tidings.messages.text.templates import Sandbox
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
