"""Settings: read once, wrong ones named, and the page about them true."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tidings.app import App
from tidings.cli.variables import settings_page
from tidings.errors import ConfigurationError
from tidings.registry import declared_queues, load, look_at_variables
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


MISSPELT = {
    "N8N_OUTBOUND_WEBHOOK": "N8N_OUTBOUND_WEBHOOK_URL",
    "N8N_OUTBOUND_URL": "N8N_OUTBOUND_WEBHOOK_URL",
    "N8N_WEBHOOK_OUTBOUND_URL": "N8N_OUTBOUND_WEBHOOK_URL",
    "N8N_OUTBOUND_WEBHOK_URL": "N8N_OUTBOUND_WEBHOOK_URL",
    "N8N_INBOUND_SECERT": "N8N_INBOUND_SECRET",
    "EVENT_MESSAGES_CONCURENCY": "EVENT_MESSAGES_CONCURRENCY",
    "EVENT_MESSAGE_CONCURRENCY": "EVENT_MESSAGES_CONCURRENCY",
    "EVENTS_MESSAGES_CONCURRENCY": "EVENT_MESSAGES_CONCURRENCY",
    "EVENT_MESSAGES_LIMIT": "EVENT_MESSAGES_RATE_LIMIT",
    "WEBHOOK_DELIVERY_ATEMPTS": "WEBHOOK_DELIVERY_ATTEMPTS",
    "CONTRACTOR_FOLLOWUP_BACKOFF": "CONTRACTOR_FOLLOWUPS_BACKOFF",
    "TIDINGS_BRANDD": "TIDINGS_BRAND",
    "TIDINGS_PROCESES": "TIDINGS_PROCESSES",
    "tidings_procesess": "TIDINGS_PROCESSES",
    "TIDINGS_EVENT_MESSAGES_ATTEMPTS": "EVENT_MESSAGES_ATTEMPTS",
    "TIDINGS_EVENT_MESAGES_ATTEMPTS": "EVENT_MESSAGES_ATTEMPTS",
    "TIDINGS_XYZZY": None,
    "TIDINGS_SMS_SEND_CONCURRENCY": None,
    "SMTP_PASSWROD": "SMTP_PASSWORD",
    "DATABSE_URL": "DATABASE_URL",
    "REDIS_PASWORD": "REDIS_PASSWORD",
    "MITTO_APIKEY": "MITTO_API_KEY",
    "OPENAI_APIKEY": "OPENAI_API_KEY",
    "PROACTIVE_APROVAL_HOURS": "PROACTIVE_APPROVAL_HOURS",
}
"""Variables that stop a start, and what is meant."""

FOREIGN = """
    PATH HOME API_KEYS PORT HOST HOSTNAME LANG TZ DEBUG NODE_ENV WEB_CONCURRENCY MAX_CONCURRENCY
    WORKER_CONCURRENCY CELERY_WORKER_CONCURRENCY UV_CONCURRENT_DOWNLOADS API_KEY LOG_LEVEL DATA_DIR HTTP_TIMEOUT
    WEBHOOK_URL DATABASE_HOST DATABASE_PORT DATABASE_NAME DATABASE_USER DATABASE_PASSWORD DATABASE_POOL
    DATABASE_SSL DATABASE_URI DATABASE_URL_UNPOOLED DATABASE_PRIVATE_URL DATABASE_PUBLIC_URL DATABASE_URLS
    POSTGRES_PASSWORD POSTGRES_URL POSTGRES_PRISMA_URL POSTGRES_URL_NON_POOLING PGHOST PGPASSWORD PGDATABASE
    DB_HOST DIRECT_URL SHADOW_DATABASE_URL REDIS_TLS_URL REDIS_URI REDIS_HOSTS REDIS_PASS REDIS_PUBLIC_URL
    REDIS_PRIVATE_URL REDISHOST REDISPORT REDIS_HOST_2 REDIS_SENTINELS REDIS_CLUSTER REDIS_MAXMEMORY
    REDIS_AOF_ENABLED REDIS_REPLICATION_MODE REDIS_EXTRA_FLAGS REDIS_SERVICE_HOST REDIS_SERVICE_PORT
    REDIS_PORT_6379_TCP REDIS_PORT_6379_TCP_ADDR REDISCLOUD_URL SMTP_TLS_VERSION SMTP_SECURE SMTP_TLS SMTP_PASS
    SMTP_DOMAIN SMTP_AUTH SMTP_ADDRESS SMTP_LOGIN SMTP_FROM_NAME SMTP_SERVICE_HOST SMTP_PORT_25_TCP
    SMTP_SERVICE_PORT_SMTP MAIL_HOST EMAIL_HOST OPENAI_ORG_ID OPENAI_ORGANIZATION OPENAI_PROJECT OPENAI_API_BASE
    OPENAI_API_TYPE OPENAI_API_VERSION OPENAI_LOG OPENAI_API_KEYS OPENAI_API_KEY_2 OPENAI_MODEL_NAME
    OPENAI_PROXY OPENAI_TIMEOUT OPENAI_WEBHOOK_SECRET WHATSAPP_TOKEN WHATSAPP_ACCESS_TOKEN
    WHATSAPP_PHONE_NUMBER_ID WHATSAPP_VERIFY_TOKEN WHATSAPP_API_TOKEN WHATSAPP_API_URL WHATSAPP_BUSINESS_ID
    WHATSAPP_APP_SECRET WHATSAPP_WEBHOOK_URL WHATSAPP_CLOUD_API_TOKEN N8N_HOST N8N_PORT N8N_PROTOCOL N8N_PATH
    N8N_LISTEN_ADDRESS N8N_ENCRYPTION_KEY N8N_USER_FOLDER N8N_EDITOR_BASE_URL N8N_BASIC_AUTH_ACTIVE
    N8N_BASIC_AUTH_USER N8N_BASIC_AUTH_PASSWORD N8N_METRICS N8N_LOG_LEVEL N8N_LOG_OUTPUT N8N_ENDPOINT_REST
    N8N_ENDPOINT_WEBHOOK N8N_ENDPOINT_WEBHOOK_TEST N8N_ENDPOINT_WEBHOOK_WAIT N8N_ENDPOINT_FORM
    N8N_DISABLE_PRODUCTION_MAIN_PROCESS N8N_SKIP_WEBHOOK_DEREGISTRATION_SHUTDOWN N8N_PAYLOAD_SIZE_MAX
    N8N_SECURE_COOKIE N8N_SMTP_HOST N8N_SMTP_PORT N8N_SMTP_USER N8N_SMTP_PASS N8N_SMTP_SENDER N8N_SMTP_SSL
    N8N_EMAIL_MODE N8N_DIAGNOSTICS_ENABLED N8N_TEMPLATES_ENABLED N8N_RUNNERS_ENABLED N8N_RUNNERS_AUTH_TOKEN
    N8N_PROXY_HOPS N8N_CONCURRENCY_PRODUCTION_LIMIT N8N_DEFAULT_LOCALE N8N_BLOCK_ENV_ACCESS_IN_NODE
    N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS N8N_WEBHOOK_TUNNEL_URL N8N_PUBLIC_API_DISABLED
    N8N_REINSTALL_MISSING_PACKAGES N8N_GRACEFUL_SHUTDOWN_TIMEOUT N8N_SERVICE_HOST N8N_SERVICE_PORT
    N8N_PORT_5678_TCP QUEUE_BULL_REDIS_HOST QUEUE_BULL_REDIS_PASSWORD QUEUE_BULL_PREFIX EXECUTIONS_MODE
    EXECUTIONS_CONCURRENCY EXECUTIONS_TIMEOUT GENERIC_TIMEZONE WEBHOOK_TUNNEL_URL VUE_APP_URL_BASE_API
    EVENTS_SERVICE_HOST DELIVERY_SERVICE_PORT CAMPAIGNS_PORT_80_TCP EVENTS_TOPIC CAMPAIGNS_BUCKET DELIVERY_URL
    KUBERNETES_SERVICE_HOST KUBERNETES_PORT INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID NOTIFY_SOCKET
    LISTEN_FDS STATE_DIRECTORY RUNTIME_DIRECTORY CREDENTIALS_DIRECTORY MAINPID MEMORY_PRESSURE_WATCH
    COMPOSE_PROJECT_NAME COMPOSE_FILE COMPOSE_PROFILES DOCKER_HOST GITHUB_TOKEN GITHUB_WORKFLOW
    GITHUB_EVENT_NAME GITHUB_EVENT_PATH GITHUB_REPOSITORY RUNNER_TEMP CI DYNO HEROKU_APP_NAME
    RAILWAY_ENVIRONMENT FLY_APP_NAME RENDER_SERVICE_NAME EVENT_NAME PROACTIVE_MODE MITTO_ENV
"""
"""Those of other programs in the same environment, which do not."""

LINKED = {
    "TIDINGS_SERVICE_HOST": "10.0.0.11",
    "TIDINGS_SERVICE_PORT": "8000",
    "TIDINGS_SERVICE_PORT_HTTP": "8000",
    "TIDINGS_PORT": "tcp://10.0.0.11:8000",
    "TIDINGS_PORT_8000_TCP": "tcp://10.0.0.11:8000",
    "TIDINGS_PORT_8000_TCP_PROTO": "tcp",
    "TIDINGS_PORT_8000_TCP_ADDR": "10.0.0.11",
    "TIDINGS_API_SERVICE_HOST": "10.0.0.12",
    "TIDINGS_API_PORT": "tcp://10.0.0.12:8000",
    "TIDINGS_REDIS_PORT": "tcp://10.0.0.13:6379",
}
"""What Kubernetes sets where a service is called tidings or tidings-something."""

READ = (
    "TIDINGS_BRAND",
    "tidings_brand",
    "TIDINGS_SMTP_HOST",
    "EVENT_MESSAGES_RATE_LIMIT",
    "DATABASE_URL",
    "REDIS_HOST",
)


def refused(environment: dict[str, str]) -> list[str]:
    return look_at_variables(environment, declared_queues())[0]


def test_a_misspelt_variable_is_refused_with_the_one_that_is_meant() -> None:
    expected = {
        name: [f"The variable {name} is no setting{f'; did you mean {meant}?' if meant else ''}"]
        for name, meant in MISSPELT.items()
    }
    told = {name: refused({name: "x"}) for name in MISSPELT}
    assert {name: told[name] for name in told if told[name] != expected[name] and MISSPELT[name]} == {}
    assert {name for name in told if not told[name]} == set()


def test_variables_of_other_programs_are_not_refused() -> None:
    assert refused(dict.fromkeys(FOREIGN.split(), "x")) == []
    assert refused(LINKED) == []
    assert refused(dict.fromkeys(READ, "5/1")) == []
    assert refused({"TIDINGS_PORT": "8000"}) != []


def test_what_other_programs_call_a_setting_is_told_where_the_setting_has_no_value() -> None:
    told = {"SMTP_PASS": "SMTP_PASSWORD", "OPENAI_API_BASE": "OPENAI_BASE_URL", "MITTO_FROM": "MITTO_SENDER"}
    sentences = [f"The variable {name} is no setting; did you mean {meant}?" for name, meant in told.items()]
    assert look_at_variables(dict.fromkeys(told, "x"), declared_queues()) == ([], sentences)
    assert look_at_variables(dict.fromkeys((*told, *told.values()), "x"), declared_queues()) == ([], [])


def test_one_that_is_near_to_a_variable_with_a_value_is_another_programs() -> None:
    environment = {"DATABASE_URL": "sqlite:///x", "DATABSE_URL": "x"}
    assert look_at_variables(environment, declared_queues()) == (
        [],
        ["The variable DATABSE_URL is no setting; did you mean DATABASE_URL?"],
    )


async def test_a_misspelt_variable_stops_the_start_and_everything_that_is_wrong_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("N8N_OUTBOUND_WEBHOOK=https://n8n.example\nEVENT_MESSAGES_ATTEMPTS=many\n")
    monkeypatch.setenv("EVENT_MESSAGES_CONCURENCY", "5")
    monkeypatch.setenv("DATABASE_URL", "mysql://u:hunter2@h/d")
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@h:port")
    monkeypatch.setenv("TIDINGS_FREQUENCY_CAPS", "often")
    with pytest.raises(ConfigurationError) as raised:
        async with App(load()):
            raise AssertionError("it started")
    sentence = str(raised.value)
    for part in (
        "N8N_OUTBOUND_WEBHOOK is no setting; did you mean N8N_OUTBOUND_WEBHOOK_URL?",
        "EVENT_MESSAGES_CONCURENCY is no setting; did you mean EVENT_MESSAGES_CONCURRENCY?",
        "EVENT_MESSAGES_ATTEMPTS is 'many'; give a whole number",
        "DATABASE_URL begins with mysql://",
        "REDIS_URL has a port that is not a number",
        "TIDINGS_FREQUENCY_CAPS cannot be used",
    ):
        assert part in sentence
    assert "hunter2" not in sentence
    assert not (tmp_path / ".tidings").exists()  # nothing was begun


def test_values_that_cannot_be_used_are_told_at_once_and_secrets_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PORT", "hunter2")
    monkeypatch.setenv("TIDINGS_BRANDD", "hunter2")
    monkeypatch.setenv("TIDINGS_LOG_LEVEL", "hunter2")
    monkeypatch.setenv("EVENT_MESSAGES_BACKOFF", "soon")
    with pytest.raises(ConfigurationError) as raised:
        load()
    sentence = str(raised.value)
    for name in ("SMTP_PORT", "TIDINGS_LOG_LEVEL", "TIDINGS_BRANDD", "EVENT_MESSAGES_BACKOFF"):
        assert name in sentence
    assert "hunter2" not in f"{sentence} {raised.value.__cause__}"


async def test_a_start_says_which_variables_are_near_to_settings(
    open_app: Callable[..., Awaitable[App]], new_sqlite_database: Callable[[], str]
) -> None:
    with capture_logs() as logs:
        await open_app(database_url=new_sqlite_database(), queue_settings={"DATABASE_URI": "x", "PATH": "/bin"})
    said = [line["event"] for line in logs if "is no setting" in line["event"]]
    assert said == ["The variable DATABASE_URI is no setting; did you mean DATABASE_URL?"]


def test_no_variable_that_the_documents_name_is_called_unknown() -> None:
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    documented = re.findall(r"`([A-Z0-9]+_[A-Z0-9_]+)`", page)
    assert len(documented) > 50
    names = [
        name for name in documented if not name.endswith(("_ATTEMPTS", "_BACKOFF", "_CONCURRENCY", "_RATE_LIMIT"))
    ]
    assert look_at_variables(dict.fromkeys(names, "x"), declared_queues()) == ([], [])
