"""Every setting, described once. They are read from the environment and from `.env` in the working folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tidings.errors import ConfigurationError


def _blank_is_unset(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Optional = BeforeValidator(_blank_is_unset)


class Settings(BaseSettings):
    """The settings of one process; frozen once read."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    data_dir: Path = Field(
        Path(".tidings"),
        validation_alias=AliasChoices("TIDINGS_DATA_DIR", "data_dir"),
        description="Folder of the embedded database and the embedded Valkey.",
    )
    database_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="postgresql://user:password@host/name or sqlite:///path. Unset: SQLite in the data folder.",
    )
    redis_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="redis://, rediss:// or unix:// address of Redis or Valkey. Unset: an embedded Valkey.",
    )
    redis_prefix: str = Field(
        "bull",
        validation_alias=AliasChoices("REDIS_PREFIX", "redis_prefix"),
        description="Prefix of every queue key.",
    )
    n8n_outbound_webhook_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias=AliasChoices("N8N_OUTBOUND_WEBHOOK_URL", "N8N_WEBHOOK_URL", "n8n_outbound_webhook_url"),
        description="n8n webhook that sends text messages. Unset: the simulator keeps them.",
    )
    http_timeout: float = Field(
        10.0,
        gt=0,
        validation_alias=AliasChoices("TIDINGS_HTTP_TIMEOUT", "http_timeout"),
        description="Seconds a provider has for one request, from connecting to the last byte of its answer.",
    )
    smtp_host: Annotated[str | None, Optional] = Field(
        None,
        validation_alias=AliasChoices("SMTP_HOST", "smtp_host"),
        description="Mail server for channel email. Unset: the simulator keeps mails.",
    )
    smtp_port: int = Field(587, validation_alias=AliasChoices("SMTP_PORT", "smtp_port"), description="Its port.")
    smtp_user: Annotated[str | None, Optional] = Field(
        None, validation_alias=AliasChoices("SMTP_USER", "smtp_user"), description="Login name, if it wants one."
    )
    smtp_password: SecretStr | None = Field(
        None, validation_alias=AliasChoices("SMTP_PASSWORD", "smtp_password"), description="Its password."
    )
    smtp_security: str = Field(
        "starttls",
        pattern="^(starttls|tls|none)$",
        validation_alias=AliasChoices("SMTP_SECURITY", "smtp_security"),
        description="starttls, tls (from the first byte) or none.",
    )
    smtp_from: str = Field(
        "Tidings <tidings@localhost>",
        validation_alias=AliasChoices("SMTP_FROM", "smtp_from"),
        description="Sender of mails.",
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("TIDINGS_API_KEY", "api_key"),
        description="Key that API callers send as 'Authorization: Bearer …'. Needed to listen beyond loopback.",
    )
    default_region: str = Field(
        "US",
        pattern="^[A-Z]{2}$",
        validation_alias=AliasChoices("TIDINGS_DEFAULT_REGION", "default_region"),
        description="ISO 3166 country in which phone numbers without + are read.",
    )
    default_timezone: str = Field(
        "UTC",
        validation_alias=AliasChoices("TIDINGS_DEFAULT_TIMEZONE", "default_timezone"),
        description="IANA timezone of events that name none.",
    )
    max_body_bytes: int = Field(
        8 * 1024 * 1024,
        gt=0,
        validation_alias=AliasChoices("TIDINGS_MAX_BODY_BYTES", "max_body_bytes"),
        description="Largest HTTP request body that is read.",
    )
    lock_duration: float = Field(
        30.0,
        gt=0,
        validation_alias=AliasChoices("TIDINGS_LOCK_DURATION", "lock_duration"),
        description="Seconds a worker that died keeps its jobs before others take them.",
    )
    sweep_interval: float = Field(
        30.0,
        gt=0,
        validation_alias=AliasChoices("TIDINGS_SWEEP_INTERVAL", "sweep_interval"),
        description="Seconds between two searches for due rows without a job.",
    )
    log_level: str = Field(
        "INFO",
        pattern="^(?i:debug|info|warning|error|critical)$",
        validation_alias=AliasChoices("TIDINGS_LOG_LEVEL", "log_level"),
        description="debug, info, warning, error or critical.",
    )

    @property
    def database(self) -> str:
        """The database address to use: the configured one, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'tidings.db'}"


def load(**overrides: Any) -> Settings:
    """Reads the settings; `overrides` win over the environment.

    Raises ConfigurationError with a sentence a variable that holds something unusable.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        sentences = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"The settings cannot be used: {sentences}.") from error


def environment() -> Mapping[str, str]:
    """Where queue settings such as EVENT_MESSAGES_CONCURRENCY are looked up: `.env` under the environment."""
    written = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**written, **os.environ}
