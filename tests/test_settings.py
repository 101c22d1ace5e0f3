"""Settings: read once, wrong ones named, and the page about them true."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tidings.app import App, declared_queues
from tidings.cli.variables import settings_page
from tidings.errors import ConfigurationError
from tidings.registry import load, unknown_variables
from tidings.settings import environment


def test_without_any_setting_everything_is_in_the_data_folder_and_nothing_leaves() -> None:
    settings = load()
    assert settings.database == f"sqlite:///{Path('.tidings').absolute() / 'tidings.db'}"
    assert settings.redis_url is None
    assert settings.redis_prefix == "bull"
    assert settings.n8n_outbound_webhook_url is None


@pytest.mark.parametrize(
    ("outbound", "other", "used"),
    [
        ("https://a.example", "https://b.example", "https://a.example"),
        (None, "https://b.example", "https://b.example"),
    ],
)
def test_either_variable_names_the_webhook_and_the_outbound_one_wins(
    monkeypatch: pytest.MonkeyPatch, outbound: str | None, other: str, used: str
) -> None:
    if outbound:
        monkeypatch.setenv("N8N_OUTBOUND_WEBHOOK_URL", outbound)
    monkeypatch.setenv("N8N_WEBHOOK_URL", other)
    assert load().n8n_outbound_webhook_url == used


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", " ")
    assert load().redis_url is None


@pytest.mark.parametrize("variable", ["API_KEY", "DATA_DIR", "LOG_LEVEL", "HTTP_TIMEOUT"])
def test_a_variable_that_is_meant_for_another_program_is_not_read(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    before = load()
    monkeypatch.setenv(variable, "debug")
    assert load() == before


def test_what_a_program_gives_by_name_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379")
    monkeypatch.setenv("TIDINGS_DATA_DIR", "/elsewhere")
    settings = load(redis_url=None, data_dir=Path("here"))
    assert (settings.redis_url, settings.data_dir) == (None, Path("here"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SMTP_PORT", "many"),
        ("TIDINGS_LOG_LEVEL", "loud"),
        ("TIDINGS_HTTP_TIMEOUT", "0"),
        ("TIDINGS_DEFAULT_TIMEZONE", "Mars/Olympus"),
        ("TIDINGS_DEFAULT_REGION", "usa"),
        ("SMTP_SECURITY", "some"),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f" {variable}: "):
        load()


def test_settings_may_stand_in_a_file_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("REDIS_PREFIX=mine\nEVENT_MESSAGES_RATE_LIMIT=40/60\nEVENT_MESSAGES_ATTEMPTS=5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVENT_MESSAGES_ATTEMPTS", "2")
    assert load().redis_prefix == "mine"
    assert environment()["EVENT_MESSAGES_RATE_LIMIT"] == "40/60"
    assert environment()["EVENT_MESSAGES_ATTEMPTS"] == "2"


def test_the_page_about_settings_is_what_the_command_prints() -> None:
    page = Path(__file__).parent.parent / "docs" / "settings.md"
    assert page.read_text() == settings_page(), "run: tidings settings > docs/settings.md"


VARIABLES = {
    "TIDINGS_PROCESES": "The variable TIDINGS_PROCESES is no setting; did you mean TIDINGS_PROCESSES?",
    "TIDINGS_EVENT_MESSAGES_ATTEMPTS": "The variable TIDINGS_EVENT_MESSAGES_ATTEMPTS is no setting; "
    "did you mean EVENT_MESSAGES_ATTEMPTS?",
    "TIDINGS_XYZZY": "The variable TIDINGS_XYZZY is no setting",
    "EVENT_MESSAGES_CONCURENCY": "The variable EVENT_MESSAGES_CONCURENCY is no setting; "
    "did you mean EVENT_MESSAGES_CONCURRENCY?",
    "SMTP_PASWORD": "The variable SMTP_PASWORD is no setting; did you mean SMTP_PASSWORD?",
    "MITTO_APIKEY": "The variable MITTO_APIKEY is no setting; did you mean MITTO_API_KEY?",
    "TIDINGS_BRAND": None,
    "tidings_brand": None,
    "TIDINGS_SMTP_HOST": None,
    "EVENT_MESSAGES_RATE_LIMIT": None,
    "DATABASE_URL": None,
    "SMTP_TLS_VERSION": None,
    "REDIS_HOST": None,
    "N8N_ENCRYPTION_KEY": None,
    "N8N_HOST": None,
    "OPENAI_ORG_ID": None,
    "DATABASE_HOST": None,
    "PATH": None,
    "API_KEYS": None,
}


def test_a_variable_that_is_misspelt_is_told_with_the_nearest_and_those_of_other_programs_are_not() -> None:
    told = {name: unknown_variables({name: "x"}, declared_queues()) for name in VARIABLES}
    assert told == {name: [sentence] if sentence else [] for name, sentence in VARIABLES.items()}


async def test_an_application_says_at_its_start_which_variables_nothing_reads(
    open_app: Callable[..., Awaitable[App]], new_sqlite_database: Callable[[], str]
) -> None:
    with capture_logs() as logs:
        await open_app(database_url=new_sqlite_database(), queue_settings={"TIDINGS_PROCESES": "4", "PATH": "/bin"})
    assert [line["event"] for line in logs if "is no setting" in line["event"]] == [VARIABLES["TIDINGS_PROCESES"]]


def test_no_variable_that_the_documents_name_is_called_unknown() -> None:
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    documented = re.findall(r"`([A-Z0-9]+_[A-Z0-9_]+)`", page)
    assert len(documented) > 50
    assert unknown_variables(dict.fromkeys(documented, "x"), declared_queues()) == []
