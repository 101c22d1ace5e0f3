"""`tidings settings`: every variable, its default and what it does, as the Markdown of docs/settings.md."""

from __future__ import annotations

import typer
from pydantic.fields import FieldInfo

from tidings.settings import Settings, variables_of

_HEADING = """# Settings

Environment variables, or lines of a file `.env` in the working folder. This page is what `tidings settings` prints.

| variable | default | what it is |
| --- | --- | --- |
"""

_QUEUES = """
Every queue has four more; for `event-messages` they are

| variable | default | what it is |
| --- | --- | --- |
| `EVENT_MESSAGES_CONCURRENCY` | 10 | Jobs that one worker runs at a time. |
| `EVENT_MESSAGES_RATE_LIMIT` | 20/60 | Jobs per seconds over all workers, or `off`. |
| `EVENT_MESSAGES_ATTEMPTS` | 3 | Attempts before a message has failed. |
| `EVENT_MESSAGES_BACKOFF` | 5 | Seconds before the second attempt; it doubles with each further one. |

and likewise `EVENT_ORCHESTRATION_…` for `event-orchestration`.
"""


def settings() -> None:
    """Prints every setting with its default."""
    typer.echo(settings_page(), nl=False)


def settings_page() -> str:
    """The whole page."""
    return _HEADING + "".join(_row(*item) for item in Settings.model_fields.items()) + _QUEUES


def _row(name: str, field: FieldInfo) -> str:
    variables = " or ".join(f"`{variable}`" for variable in variables_of(name))
    default = "" if field.default is None else f"`{field.default}`"
    return f"| {variables} | {default} | {field.description} |\n"
