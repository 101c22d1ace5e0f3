"""Every setting, described once. They are read from the environment and from `.env` in the working folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tidings.errors import ConfigurationError


def _blank_is_unset(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is not an IANA timezone; write one like Europe/Berlin") from error
    return name


Optional = BeforeValidator(_blank_is_unset)


class Settings(BaseSettings):
    """The settings of one process; frozen once read.

    A field without an alias is read from TIDINGS_ and its name; the others have the names that the
    specifications or the usual tools give them.
    """

    model_config = SettingsConfigDict(
        env_prefix="TIDINGS_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    data_dir: Path = Field(
        Path(".tidings"),
        description="Folder of the embedded database and the embedded Valkey.",
    )
    database_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host/name or sqlite:///path. Unset: SQLite in the data folder.",
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
    n8n_inbound_secret: SecretStr | None = Field(
        None,
        validation_alias="N8N_INBOUND_SECRET",
        description="Shared secret of replies and delivery reports that n8n posts. Unset: they are refused.",
    )
    n8n_outbound_webhook_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias=AliasChoices("N8N_OUTBOUND_WEBHOOK_URL", "N8N_WEBHOOK_URL"),
        description="n8n webhook that sends text messages. Unset: the simulator keeps them.",
    )
    http_timeout: float = Field(
        10.0,
        gt=0,
        description="Seconds a provider has for one request, from connecting to the last byte of its answer.",
    )
    smtp_host: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="SMTP_HOST",
        description="Mail server for channel email. Unset: the simulator keeps mails.",
    )
    smtp_port: int = Field(587, validation_alias="SMTP_PORT", description="Its port.")
    smtp_user: Annotated[str | None, Optional] = Field(
        None, validation_alias="SMTP_USER", description="Login name, if it wants one."
    )
    smtp_password: SecretStr | None = Field(None, validation_alias="SMTP_PASSWORD", description="Its password.")
    smtp_security: str = Field(
        "starttls",
        pattern="^(starttls|tls|none)$",
        validation_alias="SMTP_SECURITY",
        description="starttls, tls (from the first byte) or none.",
    )
    smtp_from: str = Field(
        "Tidings <tidings@localhost>",
        validation_alias="SMTP_FROM",
        description="Sender of mails.",
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
    vault_key: SecretStr | None = Field(
        None,
        description="Key that seals stored credentials, 32 bytes in base64; while it changes, several, the newest "
        "first. Unset: one is made in the data folder.",
    )
    public_url: Annotated[str | None, Optional] = Field(
        None,
        description="Where providers reach this installation, like https://messages.example.com.",
    )
    mitto_api_key: SecretStr | None = Field(
        None,
        validation_alias="MITTO_API_KEY",
        description="Key of the Mitto account for text messages; shops may have their own. Unset: n8n or simulator.",
    )
    mitto_sender: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="MITTO_SENDER",
        description="Sender of text messages through Mitto: a number or 3 to 11 letters.",
    )
    mitto_callback_token: SecretStr | None = Field(
        None,
        validation_alias="MITTO_CALLBACK_TOKEN",
        description="Secret end of the address for Mitto's callbacks: /webhooks/mitto/<token>.",
    )
    retention_days: int = Field(
        90,
        ge=1,
        description="Days for which a shop's texts and webhook payloads are kept; figures stay.",
    )
    campaign_pace: float = Field(
        100.0,
        gt=0,
        description="Recipients a second that all campaigns together may have; the rest is for everybody else.",
    )
    whatsapp_api_version: str = Field(
        "v18.0",
        pattern=r"^v\d+\.\d+$",
        validation_alias="WHATSAPP_API_VERSION",
        description="Version of Meta's Graph API for WhatsApp.",
    )
    whatsapp_graph_url: str = Field(
        "https://graph.facebook.com",
        validation_alias="WHATSAPP_GRAPH_URL",
        description="Address of Meta's Graph API.",
    )
    whatsapp_qr_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="WHATSAPP_QR_URL",
        description="Address of the WhatsApp QR service (docs/whatsapp-qr.md).",
    )
    webhooks_allow_private: bool = Field(
        False,
        description="Let customer webhooks go to private and loopback addresses, for development.",
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
    frequency_caps: str = Field(
        "2/1d, 5/7d",
        description="Most promotional messages to one contact, over all features: messages/time (h, d), or `off`.",
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
    openai_embedding_model: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="OPENAI_EMBEDDING_MODEL",
        description="The model that finds knowledge by meaning. Unset: it is found by its words.",
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
    proactive_deliver_now: bool = Field(
        False,
        validation_alias="PROACTIVE_DELIVER_NOW",
        description="Send proactive messages as soon as they are due instead of in the next cycle.",
    )
    proactive_approval_hours: float = Field(
        24.0,
        gt=0,
        validation_alias="PROACTIVE_APPROVAL_HOURS",
        description="Hours that a proactive message waits for approval before it is skipped.",
    )
    max_body_bytes: int = Field(
        8 * 1024 * 1024,
        gt=0,
        description="Largest HTTP request body that is read.",
    )
    lock_duration: float = Field(
        30.0,
        gt=0,
        description="Seconds a worker that died keeps its jobs before others take them.",
    )
    sweep_interval: float = Field(
        30.0,
        gt=0,
        description="Seconds between two searches for due rows without a job.",
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


def secret(setting: SecretStr | None) -> str | None:
    """What a secret setting holds, None when it is unset or blank."""
    return (setting.get_secret_value().strip() or None) if setting else None


def load(**overrides: Any) -> Settings:
    """Reads the settings; `overrides` win over the environment.

    Raises ConfigurationError with a sentence a variable that holds something unusable.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        sentences = "; ".join(f"{_variable(str(e['loc'][0]))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"The settings cannot be used: {sentences}.") from error


def variables_of(name: str) -> list[str]:
    """The environment's names of the setting `name`; of several that are set the first counts."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias) if alias else f"TIDINGS_{name.upper()}"]


def _variable(place: str) -> str:
    return variables_of(place)[0] if place in Settings.model_fields else place


def environment() -> Mapping[str, str]:
    """Where queue settings such as EVENT_MESSAGES_CONCURRENCY are looked up: `.env` under the environment."""
    written = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**written, **os.environ}
