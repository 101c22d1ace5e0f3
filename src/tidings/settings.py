"""Settings, each described once. They are read from the environment and from `.env` in the working folder.

Those of every installation stand here, those of a provider or a feature with it; `registry.Settings` has all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _blank_is_unset(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is not an IANA timezone; write one like Europe/Berlin") from error
    return name


def _long_enough(days: int) -> int:
    if 0 < days < 30:
        raise ValueError("is too short, since replies and delivery reports may still come; write at least 30, or 0")
    return days


Days = Annotated[int, Field(ge=0), AfterValidator(_long_enough)]
"""For how many days something is kept; 0 is for ever."""

PREFIX = "TIDINGS_"
"""What the names of all variables begin with that are not named after another tool's or a specification's."""

Optional = BeforeValidator(_blank_is_unset)
"""Lets a blank variable count as unset."""


class SettingsGroup(BaseSettings):
    """Some settings of one process; frozen once read. Each provider and feature that has settings has a group.

    A field without an alias is read from TIDINGS_ and its name; the others have the names that the
    specifications or the usual tools give them.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )


Group = TypeVar("Group", bound=SettingsGroup)


class CoreSettings(SettingsGroup):
    """What every installation has, whatever its providers and features."""

    data_dir: Path = Field(
        Path(".tidings"),
        description="Folder of the embedded database and the embedded Valkey.",
    )
    database_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host/name or sqlite:///path. Unset: SQLite in the data folder.",
    )
    database_timeout: float = Field(
        5.0,
        ge=0.1,
        description="Seconds PostgreSQL has for one command of a message on its way out, half of them for a lock. "
        "All else (requests, imports, exports) has 6 times as many, migrations have no limit. After another second "
        "without an answer all connections are replaced. Connecting may take 5 s.",
    )
    redis_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="REDIS_URL",
        description="redis://, rediss:// or unix:// address of Redis or Valkey. Unset: an embedded Valkey.",
    )
    redis_prefix: str = Field(
        "bull",
        validation_alias="REDIS_PREFIX",
        description="Prefix of every queue key.",
    )
    http_timeout: float = Field(
        10.0,
        gt=0,
        description="Seconds a provider has for one request, from connecting to the last byte of its answer.",
    )
    unknown_outcome: str = Field(
        "hold",
        pattern="^(hold|send_again)$",
        description="What becomes of a message that a provider may have taken, though no answer came, where it drops "
        "no repetitions: hold it for a report or a person, or send_again, though somebody may get it twice then.",
    )
    away_patience: float = Field(
        24.0,
        gt=0,
        description="Hours that a message which is of use for ever waits for a provider that is away; then it has "
        "failed. Messages that are of use until some moment wait until then.",
    )
    api_key: SecretStr | None = Field(
        None,
        description="Key that API callers send as 'Authorization: Bearer …'. Needed to listen beyond loopback.",
    )
    default_region: str = Field(
        "US",
        pattern="^[A-Z]{2}$",
        description="ISO 3166 country in which phone numbers without + are read.",
    )
    default_timezone: Annotated[str, AfterValidator(_known_timezone)] = Field(
        "UTC",
        description="IANA timezone of events that name none.",
    )
    hour_cycle: str = Field(
        "24",
        pattern="^(12|24)$",
        description="How the times of day in event messages are written: 14:30, or with 12 2:30 PM.",
    )
    vault_key: SecretStr | None = Field(
        None,
        description="Key that seals stored credentials, 32 bytes in base64; while it changes, several, the newest "
        "first. Unset: one is made in the data folder.",
    )
    public_url: Annotated[str | None, Optional] = Field(
        None,
        description="Where providers and readers of mails reach this installation, like "
        "https://messages.example.com. Promotional mails have a List-Unsubscribe header only where it begins with "
        "https.",
    )
    brand: str = Field(
        "Tidings",
        min_length=1,
        max_length=60,
        description="Who the answers to STOP, START and HELP speak for.",
    )
    support: Annotated[str | None, Optional] = Field(
        None,
        description="Mail address or phone number that the answer to HELP names.",
    )
    quiet_hours: str = Field(
        "21:00-08:00",
        description="When promotional messages wait, on the recipient's clocks; or `off`.",
    )
    quiet_hours_by_country: str = Field(
        "",
        description="Other quiet hours for recipients in some countries, like `FR 20:00-10:00, DE off`.",
    )
    frequency_caps: str = Field(
        "2/1d, 5/7d",
        description="Most promotional messages of one tenant to one contact: messages/time (h, d), or `off`.",
    )
    opt_outs: str = Field(
        "tenant",
        pattern="^(tenant|installation)$",
        description="Whom a STOP concerns: the tenant whose message it answers, on that channel; or, where one brand "
        "stands behind all tenants, the whole installation, on every channel.",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="Key of the AI that personalises messages. Unset: templates only.",
    )
    openai_base_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        description="Address of an OpenAI-compatible API. Unset: OpenAI's own.",
    )
    openai_model: str = Field(
        "gpt-4o-mini",
        validation_alias="OPENAI_MODEL",
        description="The model that writes.",
    )
    ai_timeout: float = Field(
        8.0,
        gt=0,
        description="Seconds the AI has for one text; then the template is sent.",
    )
    sms_max_segments: int = Field(
        3,
        ge=1,
        description="SMS that a text written by the AI may take; a longer one is not sent, the template is.",
    )
    max_body_bytes: int = Field(
        8 * 1024 * 1024,
        gt=0,
        description="Largest HTTP request body that is read.",
    )
    processes: int = Field(
        1,
        ge=1,
        description="Processes of one `tidings worker`, which share its work.",
    )
    lock_duration: float = Field(
        15.0,
        gt=0,
        description="Seconds a worker that died keeps its jobs; others take them within a third of that more.",
    )
    stop_grace: float = Field(
        20.0,
        ge=1,
        description="Seconds a process has to end after SIGTERM, whatever hangs; its jobs have three quarters of it. "
        "Give containers more.",
    )
    sweep_interval: float = Field(
        30.0,
        gt=0,
        description="Seconds between two searches for due rows without a job.",
    )
    keep_ledger_days: Days = Field(
        400,
        description="Days for which the ledger keeps what happened to a message that has ended; 0: for ever.",
    )
    keep_replies_days: Days = Field(
        400,
        description="Days for which replies are kept; 0: for ever. Opt-outs stay anyway.",
    )
    keep_ai_usage_days: Days = Field(
        400,
        description="Days for which it is kept what each answer of the AI cost; 0: for ever.",
    )
    keep_dead_letters_days: Days = Field(
        90,
        description="Days for which dead letters are kept that were dealt with; 0: for ever. Open ones stay.",
    )
    loading_horizon: str = Field(
        "auto",
        description="Hours before its time that a message's job is put into Redis; `off`: as soon as it is written. "
        "`auto`: 6 once 100,000 jobs wait in Redis, else `off`.",
    )
    log_level: str = Field(
        "INFO",
        pattern="^(?i:debug|info|warning|error|critical)$",
        description="debug, info, warning, error or critical.",
    )

    @property
    def database(self) -> str:
        """The database address to use: the configured one, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'tidings.db'}"

    @property
    def is_embedded(self) -> bool:
        """Whether the database is this installation's own, which it may migrate unasked."""
        return self.database_url is None


def group_of(settings: CoreSettings, group: type[Group]) -> Group:
    """All settings of a process, as those of one group that it has."""
    assert isinstance(settings, group)
    return settings


def secret(setting: SecretStr | None) -> str | None:
    """What a secret setting holds, None when it is unset or blank."""
    return (setting.get_secret_value().strip() or None) if setting else None


def environment() -> Mapping[str, str]:
    """Where queue settings such as EVENT_MESSAGES_CONCURRENCY are looked up: `.env` under the environment."""
    written = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**written, **os.environ}
