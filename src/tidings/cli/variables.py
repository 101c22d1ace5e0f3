"""`tidings settings`: every variable, its default and what it does, as the Markdown of docs/settings.md."""

from __future__ import annotations

import typer
from pydantic.fields import FieldInfo

from tidings.cli.output import limit_setting
from tidings.engine.policy import QueuePolicy
from tidings.registry import Settings, declared_queues, variables_of

_HEADING = """# Settings

Environment variables, or lines of a file `.env` in the working folder. This page is what `tidings settings` prints.

| variable | default | what it is |
| --- | --- | --- |
"""

_QUEUES = """
Every queue has four more, which begin with its name: `EVENT_MESSAGES_CONCURRENCY` (jobs that one worker runs at a
time; of messages, how many are at their providers), `EVENT_MESSAGES_RATE_LIMIT` (jobs per seconds over all workers,
or `off`), `EVENT_MESSAGES_ATTEMPTS` (before a message has failed) and `EVENT_MESSAGES_BACKOFF` (seconds before the
second attempt; each further wait is doubled).

| queue | variables | concurrency | rate limit | attempts | backoff |
| --- | --- | --- | --- | --- | --- |
"""


def settings() -> None:
    """Prints every setting with its default."""
    typer.echo(settings_page(), nl=False)


def settings_page() -> str:
    """The whole page."""
    rows = "".join(_row(*item) for item in Settings.model_fields.items())
    return _HEADING + rows + _QUEUES + "".join(_queue(policy) for policy in declared_queues())


def _queue(policy: QueuePolicy) -> str:
    cells = (policy.concurrency, limit_setting(policy.rate_limit), policy.attempts, f"{policy.backoff:g}")
    return f"| `{policy.name}` | `{policy.variable}_…` | " + " | ".join(map(str, cells)) + " |\n"


def _row(name: str, field: FieldInfo) -> str:
    variables = " or ".join(f"`{variable}`" for variable in variables_of(name))
    default = "" if field.default is None else f"`{field.default}`"
    return f"| {variables} | {default} | {field.description} |\n"
