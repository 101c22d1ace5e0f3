"""DATABASE_URL as hosts hand it out: understood, or refused in a sentence that shows nothing of a password."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.addresses import without_secrets
from tidings.db.addresses import PostgresAddress, SqliteAddress, read_address
from tidings.db.database import open_database
from tidings.errors import ConfigurationError

H = {"host": "h", "port": 5432, "user": "u", "password": "p", "database": "d"}
PATH = "search_path"


def known(**arguments: Any) -> dict[str, Any]:
    return {**H, **arguments}


def settings(**values: str) -> dict[str, Any]:
    return known(server_settings=values)


UNDERSTOOD: dict[str, dict[str, Any]] = {
    "postgres://u:p@h:5432/d": H,
    "postgresql://u:p@h/d": H,
    "POSTGRES://u:p@h/d": H,
    "postgresql+psycopg2://u:p@h/d": H,
    "postgresql+asyncpg://u:p@h/d": H,
    "postgresql+psycopg://u:p@h/d": H,
    "postgres+pg8000://u:p@h/d": H,
    "postgis://u:p@h/d": H,
    "psql://u:p@h/d": H,
    "pgsql://u:p@h/d": H,
    "timescaledb://u:p@h/d": H,
    "jdbc:postgresql://h:5432/d?user=u&password=p": H,
    ' "postgres://u:p@h/d" \n': H,
    "'postgres://u:p@h/d'\r\n": H,
    "\ufeffpostgres://u:p@h/d": H,
    "DATABASE_URL=postgres://u:p@h/d": H,
    "export DATABASE_URL='postgres://u:p@h/d'": H,
    "psql 'postgresql://u:p@h/d'": H,
    "postgres://u:p@h/d/": H,
    "postgres://u:p@h/d?": H,
    "postgres://u:p/w@h/d": known(password="p/w"),
    "postgres://u:p@w@h/d": known(password="p@w"),
    "postgres://u:p@@h/d": known(password="p@"),
    "postgres://u:@p@h/d": known(password="@p"),
    "postgres://u:p@ss/w:rd@h/d": known(password="p@ss/w:rd"),
    "postgres://u:p#w@h:5432/d": known(password="p#w"),
    "postgres://u:p?w@h/d": known(password="p?w"),
    "postgres://u:p:w@h/d": known(password="p:w"),
    "postgres://u:50%off@h/d": known(password="50%off"),
    "postgres://u:p w@h/d": known(password="p w"),
    "postgres://u:pa$$W0RD@h/d": known(password="pa$$W0RD"),
    "postgres://u:a[b]c<d>@h/d": known(password="a[b]c<d>"),
    "postgres://u:p+w@h/d": known(password="p+w"),
    "postgres://u:p%2Fw%40%23%3A%25@h/d": known(password="p/w@#:%"),
    "postgres://u:pässwörd@h/d": known(password="pässwörd"),
    "postgres://avnadmin%40tenant:p@h/d": known(user="avnadmin@tenant"),
    "postgres://postgres.abcdefgh:p@h:6543/d": known(user="postgres.abcdefgh", port=6543),
    "postgres://h": {"host": "h", "port": 5432},
    "postgres:///d": {"database": "d"},
    "postgresql:///d?host=/var/run/postgresql&user=u": {
        "database": "d", "host": "/var/run/postgresql", "port": 5432, "user": "u"
    },
    "postgresql://u:p@/d?host=/cloudsql/project:region:instance": known(host="/cloudsql/project:region:instance"),
    "postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/d": known(host="/var/run/postgresql"),
    "postgresql://u:p@[2001:db8::1]:5433/d": known(host="2001:db8::1", port=5433),
    "postgresql://u:p@[::1]/d": known(host="::1"),
    "postgresql://u:p@a:5432,b:5433/d": known(host=["a", "b"], port=[5432, 5433], target_session_attrs="read-write"),
    "postgresql://u:p@a,b/d?target_session_attrs=primary": known(
        host=["a", "b"], port=[5432, 5432], target_session_attrs="primary"),
    "postgresql://u:p@a,b/d?target_session_attrs=any": known(host=["a", "b"], port=[5432, 5432]),
    "postgres://u:p@h/d?sslmode=disable": known(ssl=False),
    "postgres://u:p@h/d?sslmode=allow": known(ssl="allow"),
    "postgres://u:p@h/d?sslmode=prefer": known(ssl="prefer"),
    "postgres://u:p@h/d?ssl=false": known(ssl=False),
    "postgres://u:p@h/d?connect_timeout=10": H,
    "postgres://u:p@h/d?connect_timeout=0": H,
    "postgres://u:p@h/d?connection_limit=1&pool_timeout=0": H,
    "postgres://u:p@h/d?application_name=tidings": settings(application_name="tidings"),
    "postgres://u:p@h/d?fallback_application_name=a": settings(application_name="a"),
    "postgres://u:p@h/d?schema=public": settings(search_path="public"),
    "postgres://u:p@h/d?search_path=a,b": settings(search_path="a,b"),
    "jdbc:postgresql://u:p@h/d?currentSchema=mine": settings(search_path="mine"),
    "postgres://u:p@h/d?options=-c%20search_path%3Dmine": settings(search_path="mine"),
    "postgres://u:p@h/d?options=-csearch_path=mine": settings(search_path="mine"),
    "postgres://u:p@h/d?options=--search_path%3Dmine": settings(search_path="mine"),
    "postgres://u:p@h/d?options=endpoint%3Dep-cool-1": settings(options="endpoint=ep-cool-1"),
    "postgres://u:p@h/d?options=project%3Da+-c+search_path%3Dx": settings(options="project=a", search_path="x"),
    "postgres://u:p@h/d?options=reference%3Dabc": settings(options="reference=abc"),
    "postgres://u:p@h/d?pgbouncer=true": known(statement_cache_size=0),
    "postgres://u:p@h/d?pgbouncer=false": H,
    "postgres://u:p@h/d?prepared_statements=false": known(statement_cache_size=0),
    "postgres://u:p@h/d?prepareThreshold=0": known(statement_cache_size=0),
    "postgres://u:p@h/d?pgbouncer=true&schema=mine": known(statement_cache_size=0),
    "postgres://u:p@ep-x-1-pooler.eu.aws.neon.tech/d": known(
        host="ep-x-1-pooler.eu.aws.neon.tech", statement_cache_size=0),
    "postgres://u:p@aws-0-eu.pooler.supabase.com:6543/d": known(
        host="aws-0-eu.pooler.supabase.com", port=6543, statement_cache_size=0),
    "postgres://u:p@aws-0-eu.pooler.supabase.com:5432/d": known(host="aws-0-eu.pooler.supabase.com"),
    "postgres://u:p@h/d?keepalives=1&keepalives_idle=30": H,
    "postgres://u:p@h/d?supa=base-pooler.x": H,
    "postgres://u:p@h/d?brandnewoption=1": H,
}  # fmt: skip

ENCRYPTED = {
    # address: whether the server has to prove itself, whether its name has to be right
    "postgres://u:p@h/d?sslmode=require": (False, False),
    "postgres://u:p@h/d?sslmode=no-verify": (False, False),
    "postgres://u:p@h/d?ssl=true": (False, False),
    "postgres://u:p@h/d?sslmode=REQUIRE": (False, False),
    "postgres://u:p@h/d?sslmode=require&channel_binding=require": (False, False),
    "postgres://u:p@h/d?channel_binding=require": (False, False),
    "postgres://u:p@h/d?sslmode=require&sslaccept=accept_invalid_certs": (False, False),
    "postgres://u:p@h/d?sslmode=verify-ca": (True, False),
    "postgres://u:p@h/d?sslmode=verify-full": (True, True),
    "postgres://u:p@h/d?sslmode=verify-full&sslrootcert=system": (True, True),
    "postgres://u:p@h/d?sslmode=require&sslaccept=strict": (True, True),
    "postgres://u:p@h/d?sslrootcert=system": (True, True),
    "postgres://u:p@h/d?sslmode=disable&ssl=verify-full": (True, True),
    "postgres://u:p@h/d?sslnegotiation=direct": (False, False),
}

NOTED = {
    "postgres://u:p@ep-x-pooler.eu-central-1.postgres.vercel-storage.com/d": "no prepared statements",
    "postgres://u:p@x-do-user-1-0.b.db.ondigitalocean.com:25061/d?sslmode=require": "no prepared statements",
    "postgres://u:p@db.abc.supabase.co:6543/d": "no prepared statements",
    "postgres://u:p@srv.postgres.database.azure.com:6432/d": "no prepared statements",
    "sqlite:///x.db?timeout=20": "option timeout",
    "postgres://u:p@h/d?connection_limit=1": "the option connection_limit, which changes nothing: a process takes",
    "postgres://u:p@h/d?brandnewoption=1": "the option brandnewoption, which changes nothing.",
    "postgres://u:p@h/d?channel_binding=require": "channel_binding, which changes nothing: sslmode=verify-full",
    "sqlite:///x.db?journal=1": "the option journal, which changes nothing.",
    "postgres://u:p@a.pooler.supabase.com:6543/d": "names a pooler of connections: no prepared statements",
}

SECRET = "hunter2xyz"
REFUSED = {
    "": "is not an address",
    '""': "is not an address",
    "hunter2xyz": "is not an address",
    "u:hunter2xyz@h/d": "is not an address",
    "host=h user=u password=hunter2xyz dbname=d": "is not an address",
    "Server=h;Database=d;User Id=u;Password=hunter2xyz": "is not an address",
    "mysql://u:hunter2xyz@h/d": "begins with mysql://, which Tidings does not run on",
    "prisma://accelerate.prisma-data.net/?api_key=hunter2xyz": "begins with prisma://",
    "prisma+postgres://x/?api_key=hunter2xyz": "begins with prisma+postgres://",
    "cockroachdb://u:hunter2xyz@h/d": "begins with cockroachdb://",
    "https://u:hunter2xyz@h/d": "begins with https://",
    "postgres://u:hunter2xyz@h:port/d": "has a port that is not a number",
    "postgres://u:hunter2xyz@h:99999/d": "has a port that there is not",
    "postgres://u:p@hunter2xyz?x@h/d": "can be read in several ways",
    "postgres://u:hunter2xyz@h/d?application_name=a@b": "can be read in several ways",
    "postgres://u:hunter2xyz": "has a port that is not a number",
    "postgres://u:hunter2xyz@h /d": "cannot be read",
    "postgres://u:hunter2xyz@h/d#x": "cannot be read",
    "postgres://u:hunter\n2xyz@h/d": "has a line break",
    "postgres://u:hunter2xyz@h/d?hunter2xyz": "has something after its ? that is not name=value",
    "postgres://u:hunter2xyz@h/d?sslmode=maybe": "has an sslmode that there is not",
    "postgres://u:hunter2xyz@h/d?sslmode=": "has an sslmode that there is not",
    "postgres://u:hunter2xyz@h/d?ssl_mode=require": "did you mean sslmode?",
    "postgres://u:hunter2xyz@h/d?sslmod=verify-full": "did you mean sslmode?",
    "postgres://u:hunter2xyz@h/d?sslrootcrt=/ca.pem": "did you mean sslrootcert?",
    "postgres://u:hunter2xyz@h/d?pgbouncr=true": "did you mean pgbouncer?",
    "postgres://u:hunter2xyz@h/d?sslmode=verify-full&sslrootcert=/no/such.pem": "cannot be read: No such file",
    "postgres://u:hunter2xyz@h/d?sslmode=verify-full&sslrootcert=/dev/null": "holds no certificate",
    "postgres://u:hunter2xyz@h/d?sslmode=require&sslmode=disable": "has the option sslmode twice",
    "postgres://u:hunter2xyz@h/d?sslcrl=/x": "cannot be used",
    "postgres://u:hunter2xyz@h/d?target_session_attrs=standby": "a server that is only read",
    "postgres://u:hunter2xyz@h/d?connect_timeout=soon": "connect_timeout that is not a number",
    "postgres://u:hunter2xyz@h/d?port=abc": "has a port that is not a number",
    "postgres://u:hunter2xyz@a,b,c/d?port=1,2": "more or fewer ports than hosts",
    "${{Postgres.DATABASE_URL}}": "a place that was not filled in",
    "$DATABASE_URL": "a place that was not filled in",
    "postgres://${DB_USER}:${DB_PASS}@h/d": "a place that was not filled in",
    "postgresql://postgres.ref:[YOUR-PASSWORD]@aws-0-eu-west-1.pooler.supabase.com:5432/d": "was not filled in",
    "postgres://u:<password>@h/d": "a place that was not filled in",
    "postgres://u:hunter2xyz@{{ db_host }}:5432/d": "a place that was not filled in",
    "postgres://u:hunter2xyz@$(PGHOST):5432/d": "a place that was not filled in",
    "sqlite:///x.db?mode=ro": "only read",
    "sqlite://": "needs a file",
    "sqlite:///:memory:": "needs a file",
    "sqlite::memory:": "needs a file",
    "sqlite:///x?mode=memory": "needs a file",
    "sqlite://data/x.db": "has a slash too few",
    "/var/lib/tidings.db": "is not an address",
}

FILES = {
    "sqlite:///x.db": "x.db",
    "sqlite:///./data/x.db": "data/x.db",
    "sqlite:////var/lib/x.db": "/var/lib/x.db",
    "sqlite3:///x.db": "x.db",
    "sqlite+aiosqlite:////tmp/x y.db\n": "/tmp/x y.db",
    "'sqlite:///x.db'": "x.db",
    "sqlite:x.db": "x.db",
    "file:./dev.db": "dev.db",
    "file:/srv/dev.db": "/srv/dev.db",
    "file:///srv/dev.db": "/srv/dev.db",
    "sqlite:///x.db?timeout=20": "x.db",
    "sqlite:///~/x.db": str(Path("~/x.db").expanduser()),
}


SHOWN = {
    "postgres://u:hunter2@h:5432/d?sslmode=require&password=hunter2": "postgres://u:***@h:5432/d",
    "postgres://u:hun/ter@2@h/d": "postgres://u:***@h/d",
    "postgres://u:hunter2@h:port/d": "postgres://***",
    "redis://:hunter2@[::1]:6379/0": "redis://:***@[::1]:6379/0",
    "unix:///run/redis.sock?password=hunter2": "unix:///run/redis.sock",
    "sqlite:////var/lib/x.db": "sqlite:////var/lib/x.db",
    "hunter2": "***",
}


def arguments_of(address: str) -> dict[str, Any]:
    found = read_address(address)
    assert isinstance(found, PostgresAddress)
    return dict(found.arguments)


def refusal_of(address: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        open_database(address)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None  # a traceback shows no more
    return str(raised.value)


def test_addresses_of_postgresql_are_understood_as_hosts_write_them() -> None:
    assert {address: arguments_of(address) for address in UNDERSTOOD} == UNDERSTOOD


def test_encryption_is_what_the_address_asks_for_and_never_less() -> None:
    def of(address: str) -> tuple[bool, bool]:
        context = arguments_of(address)["ssl"]
        assert isinstance(context, ssl.SSLContext)
        return context.verify_mode == ssl.CERT_REQUIRED, context.check_hostname

    assert {address: of(address) for address in ENCRYPTED} == ENCRYPTED


def test_an_option_that_changes_nothing_is_told() -> None:
    told = {address: read_address(address).notes for address in NOTED}
    assert {
        address: told[address] for address, part in NOTED.items() if not any(part in one for one in told[address])
    } == {}


def test_an_address_that_cannot_be_used_is_refused_in_a_sentence_without_the_password() -> None:
    told = {address: refusal_of(address) for address in REFUSED}
    assert {address: told[address] for address, part in REFUSED.items() if part not in told[address]} == {}
    assert {address for address, sentence in told.items() if "hunter" in sentence or "2xyz" in sentence} == set()
    assert {address for address, sentence in told.items() if not sentence.startswith("DATABASE_URL ")} == set()


def test_paths_of_sqlite_are_understood() -> None:
    def path_of(address: str) -> str:
        found = read_address(address)
        assert isinstance(found, SqliteAddress)
        return str(found.path)

    assert {address: path_of(address) for address in FILES} == FILES


def test_a_folder_that_is_named_as_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="which is a folder"):
        open_database(f"sqlite:///{tmp_path}")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be made: Not a directory"):
        open_database(f"sqlite:///{tmp_path / 'file' / 'sub' / 'x.db'}")


@given(
    user=st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    password=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z", "Cf"]), min_size=8, max_size=30
    ),
    query=st.sampled_from(["", "?sslmode=disable", "?pgbouncer=true&application_name=x"]),
)
def test_whatever_the_password_is_it_is_understood_or_refused_and_never_shown(
    user: str, password: str, query: str
) -> None:
    address = f"postgres://{user}:{password}@db.example.com:5432/name{query}"
    try:
        found = read_address(address)
    except ConfigurationError as error:
        shown = f"{error!r}"
    else:
        assert isinstance(found, PostgresAddress)
        assert (found.arguments["host"], found.arguments["user"]) == ("db.example.com", user)
        assert "%" in password or found.arguments["password"] == password
        shown = f"{found!r} {found.notes}"
    assert password not in f"{shown} {without_secrets(address)}"


def test_an_address_is_shown_without_its_password_and_options() -> None:
    assert {address: without_secrets(address) for address in SHOWN} == SHOWN
