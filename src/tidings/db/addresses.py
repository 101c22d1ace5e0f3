"""What DATABASE_URL says: the arguments of the driver, what is asked of the server, and what changes nothing.

Names and values of options are libpq's (PostgreSQL's documentation, "Parameter Key Words"); those that hosts and
drivers of other languages add are understood where they matter. One that nobody here knows changes nothing, and that
is told: hosts add new ones. One that is almost a known one is refused, since it may be what keeps a connection safe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidings.addresses import ServerAddress, bare, near_option, take_apart
from tidings.db.encryption import encryption, left_out, refused

EXAMPLE = "postgresql://user:password@host/name or sqlite:///path"
CONNECT = 5.0
"""Seconds that connecting may take, unless the address says otherwise."""

_POSTGRES = ("postgres", "postgresql", "postgis", "psql", "pgsql", "timescaledb", "timescale")
_DRIVERS = ("asyncpg", "psycopg", "psycopg2", "psycopg2cffi", "pg8000", "pygresql", "psycopg_async", "aiopg")
_SCHEMES = {name: "postgresql" for one in _POSTGRES for name in (one, *(f"{one}+{driver}" for driver in _DRIVERS))}
_SQLITE = re.compile(
    r"(?i)(?:sqlite3?(?:\+(?:aiosqlite|pysqlite))?:(?P<slashes>//)?|file:(?://(?=/))?(?=[./]))"
    r"(?P<path>[^?]*)(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_SQLITE_OPTIONS = frozenset({"cache", "check_same_thread"})
"""Options that change nothing and need no word."""

_READ_ONLY = re.compile(r"(?:^|&)(?:mode=ro|immutable=1)(?:&|$)")

_NO_PREPARED = {
    "pgbouncer": ("true", "1", "yes", "on"),
    "prepared_statements": ("false", "0", "no", "off"),
    "prepare": ("false", "0", "no", "off"),
    "statement_cache_size": ("0",),
    "prepared_statement_cache_size": ("0",),
    "preparethreshold": ("0",),
    "default_query_exec_mode": ("simple_protocol", "exec"),
    "statement_cache_mode": ("describe",),
}
"""Options that say that no prepared statements are kept by the server, with the values that say so."""

_POOLERS = re.compile(
    r"[\w-]+-pooler\.(?:[\w-]+\.)*(?:neon\.(?:tech|build)|vercel-storage\.com)|[\w.-]+\.pooler\.supabase\.com"
)
_SESSION_POOL_PORT = 5432
"""Where Supabase's pooler gives each client a session of its own."""

_PGBOUNCER_PORT = 6432
_POOL_PORTS = {".supabase.co": 6543, ".ondigitalocean.com": 25061, ".postgresbridge.com": 5431}
"""Where hosts have poolers under the name of the database itself."""

_OURS = "a process takes up to 25 connections, as many as its messages need"
_LIMIT = "TIDINGS_DATABASE_TIMEOUT says how long a command may take"
_IGNORED = {
    "connection_limit pool_size max_overflow pool pool_max_conns max_connections": _OURS,
    "pool_timeout statement_timeout lock_timeout socket_timeout command_timeout query_timeout": _LIMIT,
    "idle_in_transaction_session_timeout tcp_user_timeout": _LIMIT,
    "conn_max_age conn_health_checks pool_recycle pool_pre_ping": "dead connections are replaced anyway",
    "timezone": "times are UTC in the database",
    "sslsni gssencmode keepalives keepalives_idle keepalives_interval keepalives_count uselibpqcompat": "",
    "encoding charset client_encoding reconnect serverversion hostaddr binary_parameters supa workaround": "",
}
_CHANGES_NOTHING = {name: instead for names, instead in _IGNORED.items() for name in names.split()}
_USED = (
    *("sslmode", "ssl", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslaccept", "sslnegotiation"),
    *("channel_binding", "schema", "search_path", "currentschema", "options", "connect_timeout", "application_name"),
    *("fallback_application_name", "target_session_attrs", "host", "port", "user", "password", "dbname", "database"),
    *("passfile", "endpoint"),
)
_REFUSED = {
    "sslcrl": "it is not read, and without it a certificate that was taken back would do",
    "sslidentity": "write sslcert and sslkey, which are files of PEM",
    "service": "write the host, the user and the database themselves",
    "krbsrvname": "Kerberos is not spoken; give the user a password",
}


@dataclass(frozen=True)
class PostgresAddress:
    """A PostgreSQL, and how it is spoken to.

    `arguments` are those of `asyncpg.connect`. `asked` are settings of the server that hold for all commands. With
    `is_pooled` there is a pooler between which gives each transaction another connection: nothing of a session stays.
    `notes` are sentences for whoever gave the address.
    """

    server: ServerAddress
    arguments: Mapping[str, Any] = field(repr=False)
    asked: Mapping[str, str] = field(default_factory=dict)
    is_pooled: bool = False
    connect_seconds: float = CONNECT
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SqliteAddress:
    """A file."""

    path: Path
    notes: tuple[str, ...] = ()


def read_address(address: str) -> PostgresAddress | SqliteAddress:
    """What an address means.

    Raises ConfigurationError with a sentence for one that cannot be used, which shows nothing of a password.
    """
    if found := _SQLITE.fullmatch(bare(address)):
        return _sqlite(found)
    server = take_apart(address, "DATABASE_URL", _SCHEMES, EXAMPLE)
    return _AddressReader(server).read()


def _sqlite(found: re.Match[str]) -> SqliteAddress:
    path, query = found["path"], found["query"] or ""
    if found["slashes"]:
        if path and path[0] not in "/.~":
            raise refused(
                "has a slash too few. Write sqlite:///path, or sqlite:////path where it begins at the root."
            )
        path = path.removeprefix("/")  # sqlite:///relative, sqlite:////absolute
    if path in ("", ":memory:") or "mode=memory" in query:
        raise refused("needs a file, since several processes share it. Write it like sqlite:///path.")
    if _READ_ONLY.search(query):
        raise refused("asks for a file that is only read. Leave mode=ro out.")
    if re.search(r"[\x00-\x1f\x7f]", path):
        raise refused("has a line break or another invisible character inside. Write it in one line.")
    names = [one.partition("=")[0] for one in query.split("&") if one and not one.startswith("mode=rw")]
    notes = tuple(left_out(name) for name in names if name not in _SQLITE_OPTIONS)
    return SqliteAddress(Path(path).expanduser(), notes)


class _AddressReader:
    """Reads the options of one address."""

    def __init__(self, server: ServerAddress) -> None:
        self._server = server
        self._options = dict(server.options)
        self._arguments: dict[str, Any] = {}
        self._asked: dict[str, str] = {}
        self._notes: list[str] = []

    def read(self) -> PostgresAddress:
        self._look_at_names()
        self._who_and_where()
        arguments, notes = encryption(self._options)
        self._arguments |= arguments
        self._notes += notes
        self._session()
        is_pooled = self._pooled()
        startup = {name: value for name in ("application_name", "options") if (value := self._asked.pop(name, None))}
        if not is_pooled:
            startup |= self._asked
        if is_pooled:
            self._arguments |= {"statement_cache_size": 0}
        if startup:
            self._arguments["server_settings"] = startup
        return PostgresAddress(
            self._server, self._arguments, self._asked, is_pooled, self._seconds(), tuple(self._notes)
        )

    def _look_at_names(self) -> None:
        known = (*_USED, *_NO_PREPARED, *_CHANGES_NOTHING, *_REFUSED)
        for name in self._options:
            if name in _REFUSED:
                raise refused(f"has the option {name}, which cannot be used: {_REFUSED[name]}.")
            if name in _CHANGES_NOTHING:
                self._notes.append(left_out(name, _CHANGES_NOTHING[name]))
            elif name not in known:
                if near := near_option(name, known):
                    raise refused(f"has the option {name}, which there is not; did you mean {near}?")
                self._notes.append(left_out(name))

    def _who_and_where(self) -> None:
        server, options = self._server, self._options
        hosts = [name for name, _ in server.hosts]
        if given := options.get("host"):
            hosts = given.split(",")
        ports = [port or 5432 for _, port in server.hosts] or [5432]
        if given := options.get("port"):
            if not re.fullmatch(r"\d{1,5}(,\d{1,5})*", given):
                raise refused("has a port that is not a number.")
            ports = [int(port) for port in given.split(",")]
        if len(ports) == 1 and hosts:
            ports *= len(hosts)
        if hosts and len(ports) != len(hosts):
            raise refused("has more or fewer ports than hosts.")
        if hosts:
            self._arguments["host"] = hosts if len(hosts) > 1 else hosts[0]
        if hosts or "port" in options:
            self._arguments["port"] = ports if len(ports) > 1 else ports[0]
        named = {
            "user": server.user or options.get("user"),
            "password": server.password or options.get("password"),
            "database": server.path or options.get("dbname") or options.get("database"),
            "passfile": options.get("passfile"),
        }
        self._arguments |= {name: value for name, value in named.items() if value}
        attributes = options.get("target_session_attrs", "read-write" if len(hosts) > 1 else "any")
        if attributes not in ("any", "read-write", "primary"):
            raise refused("asks for a server that is only read, by target_session_attrs. Write read-write.")
        if attributes != "any":
            self._arguments["target_session_attrs"] = attributes

    def _session(self) -> None:
        options = self._options
        if name := options.get("application_name") or options.get("fallback_application_name"):
            self._asked["application_name"] = name
        rest = _of_options(options.get("options", ""), self._asked)
        if endpoint := options.get("endpoint"):
            rest.append(f"endpoint={endpoint}")
        if rest:
            self._asked["options"] = " ".join(rest)
        for name in ("schema", "search_path", "currentschema"):
            if path := options.get(name):
                self._asked["search_path"] = path

    def _pooled(self) -> bool:
        told = [
            self._options[name].lower() in values for name, values in _NO_PREPARED.items() if name in self._options
        ]
        if told:
            return any(told)
        pooled = [name for name, port in self._server.hosts if _is_pooler(name, port)]
        if pooled:
            self._notes.append("DATABASE_URL names a pooler of connections: no prepared statements are used")
        return bool(pooled)

    def _seconds(self) -> float:
        given = self._options.get("connect_timeout")
        if given is None:
            return CONNECT
        if not re.fullmatch(r"\d{1,4}(\.\d+)?", given):
            raise refused("has a connect_timeout that is not a number of seconds. Write connect_timeout=10.")
        return max(float(given), 2.0) if float(given) else CONNECT  # libpq: 0 is none, 1 is 2


def _of_options(text: str, asked: dict[str, str]) -> list[str]:
    """Takes the settings out of libpq's `options`, such as `-c search_path=mine`; what else is there."""
    rest: list[str] = []
    words = [word.replace("\0", " ") for word in text.replace("\\ ", "\0").replace("+", " ").split()]
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word += words.pop(0)
        if found := re.fullmatch(r"(?:-c|--)([\w.-]+)=(.*)", word, re.DOTALL):
            asked[found[1].replace("-", "_")] = found[2]
        else:
            rest.append(word)
    return rest


def _is_pooler(host: str, port: int | None) -> bool:
    name = host.lower()
    if port == _PGBOUNCER_PORT or any(name.endswith(end) and port == pool for end, pool in _POOL_PORTS.items()):
        return True
    return bool(_POOLERS.fullmatch(name)) and not (
        name.endswith("supabase.com") and port in (None, _SESSION_POOL_PORT)
    )
