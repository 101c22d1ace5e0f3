"""Opens what an application has outside its own process.

Loading all that it takes is slow, so whoever only reads the database does without this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from tidings.ai.openai import OpenAIModel, OpenAIWriter
from tidings.ai.template import TemplateWriter
from tidings.clock import Clock
from tidings.engine.broadcast import Broadcast
from tidings.engine.horizon import HorizonPolicy
from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.redis import check_server, connect
from tidings.engine.valkey import EmbeddedValkey
from tidings.messages.delivery.providers import Providers
from tidings.parts import Outside
from tidings.providers.base import Provider, ProviderParts
from tidings.providers.http import HttpClient
from tidings.providers.simulator import Simulator
from tidings.registry import provider_entries
from tidings.settings import CoreSettings, secret
from tidings.vault import Vault


async def open_outside(
    settings: CoreSettings,
    policies: Iterable[QueuePolicy],
    recovered: Iterable[JobType[Any]],
    clock: Clock,
    stack: AsyncExitStack,
    *,
    simulator: Simulator | None,
    providers: Mapping[str, Provider],
    model: OpenAIModel | None,
) -> Outside:
    """Opens everything as the settings say, except what is given; `stack` closes what was opened.

    Jobs of the `recovered` types are those that recovery makes of rows.

    Raises ConfigurationError for what cannot be used.
    """
    horizon = HorizonPolicy.read(settings.loading_horizon)
    url = settings.redis_url or _embedded_valkey(settings, stack)
    redis = connect(url, asked=True)
    stack.push_async_callback(redis.aclose)
    await check_server(redis)
    broadcast = Broadcast(lambda: connect(url, asked=True), prefix=settings.redis_prefix)
    stack.push_async_callback(broadcast.close)
    simulator = simulator or Simulator(settings.data_dir / "simulator.jsonl")
    http = HttpClient(timeout=settings.http_timeout)
    stack.push_async_callback(http.close)
    opened = _open_providers(settings, http, simulator, stack)
    model = model or _open_model(settings, stack)
    return Outside(
        redis_url=url,
        queues=Queues(
            policies, redis, prefix=settings.redis_prefix, clock=clock, recovered=recovered, horizon=horizon
        ),
        broadcast=broadcast,
        simulator=simulator,
        http=http,
        providers=Providers({**opened, **providers}, clock),
        vault=Vault.from_settings(secret(settings.vault_key), settings.data_dir),
        model=model,
        writer=OpenAIWriter(model) if model else TemplateWriter(),
    )


def _embedded_valkey(settings: CoreSettings, stack: AsyncExitStack) -> str:
    embedded = EmbeddedValkey.start_or_join(settings.data_dir)
    stack.callback(embedded.leave)
    return embedded.url


def _open_providers(
    settings: CoreSettings, http: HttpClient, simulator: Simulator, stack: AsyncExitStack
) -> Mapping[str, Provider]:
    """The provider of each channel; what is not set up goes to the simulator, never to the world."""
    parts = ProviderParts(settings, http)
    opened: dict[str, Provider] = {}
    for entry in provider_entries():
        opened = {**entry.open_provider(parts), **opened}  # the first one that serves a channel keeps it
    opened = {"sms": simulator, "email": simulator, **opened}
    for provider in set(opened.values()):
        stack.push_async_callback(provider.close)
    return opened


def _open_model(settings: CoreSettings, stack: AsyncExitStack) -> OpenAIModel | None:
    key = secret(settings.openai_api_key)
    if key is None:
        return None
    model = OpenAIModel(key, settings.openai_base_url, settings.openai_model, settings.ai_timeout)
    stack.push_async_callback(model.close)
    return model
