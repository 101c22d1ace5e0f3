"""Who gets in: with an API key its holders, without one this machine only, and never a foreign web page."""

from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from starlette.types import Message

from tidings.errors import ConfigurationError
from tidings.web.access import HolderOfKey, KeyHolder, require_loopback_or_key
from tidings.web.application import create_application

KEY = "k3y-of-this-test"

router = APIRouter()


@router.get("/things")
async def read_things() -> str:
    return "read"


@router.post("/things")
async def change_things() -> str:
    return "changed"


@router.get("/gardens/{name}/{path:path}")
async def read_garden(name: str, path: str) -> str:
    return "in bloom"


@router.get("/health")
async def health() -> str:
    return "alive"


@router.get("/ready")
async def ready() -> str:
    return "ready"


@router.get("/queue/health")
async def queue_health() -> str:
    return "alive"


def client(
    api_key: str | None, host: str = "localhost", holder_of_key: HolderOfKey | None = None
) -> httpx.AsyncClient:
    application = create_application(
        parts={},
        routers=[router],
        api_key=api_key,
        max_body_bytes=1000,
        version="1",
        holder_of_key=holder_of_key,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url=f"http://{host}")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
        {"Authorization": "Basic dGlkaW5nczo=", "X-API-Key": KEY},
    ],
)
async def test_the_key_opens_every_route_under_any_host_name(headers: dict[str, str]) -> None:
    async with client(KEY, "tidings.example") as http:
        assert (await http.get("/things", headers=headers)).status_code == 200
        assert (await http.post("/things", headers=headers)).status_code == 200
        assert (await http.get("/openapi.json", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="tidings"'),
        ({"Authorization": "Basic dGlkaW5nczo="}, 'Bearer realm="tidings"'),
        ({"Authorization": KEY}, 'Bearer realm="tidings"'),
        ({"Authorization": "Bearer"}, 'Bearer realm="tidings", error="invalid_token"'),
        ({"Authorization": f"Bearer {KEY}x"}, 'Bearer realm="tidings", error="invalid_token"'),
        ({"Authorization": f"Bearer {KEY.upper()}"}, 'Bearer realm="tidings", error="invalid_token"'),
        ({"X-API-Key": KEY[:-1]}, 'Bearer realm="tidings", error="invalid_token"'),
        ({"X-API-Key": ""}, 'Bearer realm="tidings", error="invalid_token"'),
        ({"X-API-Key": b"\xff\xfe"}, 'Bearer realm="tidings", error="invalid_token"'),
    ],
)
@pytest.mark.parametrize("path", ["/things", "/openapi.json", "/nowhere", "/health/", "/queue/health/x", "//health"])
async def test_without_the_right_key_nothing_is_revealed(path: str, headers: dict[str, Any], challenge: str) -> None:
    async with client(KEY) as http:
        response = await http.get(path, headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, challenge)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/unauthorized"
    assert KEY not in response.text


@pytest.mark.parametrize("path", ["/health", "/ready", "/queue/health"])
async def test_probes_need_no_key(path: str) -> None:
    async with client(KEY, "10.1.2.3") as http:
        assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("blank", ["", "  "])
async def test_a_blank_key_is_no_key_and_lets_nobody_else_in(blank: str) -> None:
    async with client(blank, "tidings.example") as http:
        assert (await http.get("/things", headers={"X-API-Key": blank})).status_code == 421
    async with client(blank) as http:
        assert (await http.get("/things")).status_code == 200


async def test_spaces_around_the_configured_key_do_not_lock_everybody_out() -> None:
    async with client(f" {KEY}\n") as http:
        assert (await http.get("/things", headers={"X-API-Key": KEY})).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("localhost.", 200),
        ("127.0.0.1:8000", 200),
        ("127.8.9.1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("192.168.1.5", 421),
        ("[2001:db8::1]", 421),
        ("0.0.0.0", 421),
        ("", 421),
    ],
)
async def test_a_rebound_name_reaches_nothing(host: str, status: int) -> None:
    async with client(None) as http:
        for path in ("/things", "/health"):
            response = await http.get(path, headers={"Host": host})
            assert response.status_code == status
            if status == 421:
                assert "TIDINGS_API_KEY" in response.json()["detail"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost", 200),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8000", 200),
        ("http://[::1]:8000", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://localhost@evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
async def test_a_foreign_page_changes_nothing_but_the_same_machine_may(origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"Origin": origin}
    async with client(None) as http:
        assert (await http.post("/things", headers=headers)).status_code == status
        assert (await http.get("/things", headers=headers)).status_code == 200


async def test_with_a_key_the_origin_does_not_matter_because_no_page_knows_the_key() -> None:
    async with client(KEY) as http:
        headers = {"Origin": "https://crm.example", "X-API-Key": KEY}
        assert (await http.post("/things", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("api_key", "headers"),
    [
        (KEY, [(b"host", b"localhost")]),
        (None, [(b"host", b"evil.example")]),
        (None, [(b"host", b"localhost"), (b"origin", b"https://evil.example")]),
    ],
)
async def test_a_websocket_is_guarded_like_everything_else(
    api_key: str | None, headers: list[tuple[bytes, bytes]]
) -> None:
    application = create_application(parts={}, routers=[router], api_key=api_key, max_body_bytes=1000, version="1")
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/live", "query_string": b"", "headers": headers, "subprotocols": []}
    await application(scope, receive, send)
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]


@pytest.mark.parametrize(
    "host", ["localhost", "Localhost.", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_loopback_needs_no_key(host: str) -> None:
    require_loopback_or_key(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "tidings.example", "localhost.example", "*"])
def test_any_other_address_needs_a_key_and_says_which_variable_to_set(host: str) -> None:
    require_loopback_or_key(host, KEY)
    for missing in (None, "", " "):
        with pytest.raises(ConfigurationError, match="Set TIDINGS_API_KEY"):
            require_loopback_or_key(host, missing)


# Keys of holders of their own

GARDENERS = {"rose-key": "roses.example", "lily-key": "lilies.example"}


async def gardener(key: str) -> KeyHolder | None:
    name = GARDENERS.get(key)
    return KeyHolder("garden", "/gardens/", name) if name else None


ROSES = "A garden's key opens /gardens/roses.example and what is below it, nothing else."

HELD: dict[str, tuple[str, str | None, int, str]] = {
    "the holder's own address": ("/gardens/roses.example/beds", "rose-key", 200, ""),
    "the same in capitals": ("/gardens/ROSES.example/beds", "rose-key", 200, ""),
    "another holder's address": (
        "/gardens/lilies.example/beds",
        "rose-key",
        404,
        "there is no garden lilies.example",
    ),
    "an address that nobody has": (
        "/gardens/tulips.example/beds",
        "rose-key",
        404,
        "there is no garden tulips.example",
    ),
    "the folder itself": ("/gardens", "rose-key", 403, ROSES),
    "another address": ("/things", "rose-key", 403, ROSES),
    "the description": ("/openapi.json", "rose-key", 403, ROSES),
    "an address outside behind dots": ("/gardens/../things", "rose-key", 403, ROSES),
    "a probe": ("/health", "rose-key", 200, ""),
    "a key that nobody has": ("/gardens/roses.example/beds", "tulip-key", 401, "The API key is not the right one."),
    "no key": ("/gardens/roses.example/beds", None, 401, "Send the API key"),
    "the key to everything": ("/gardens/roses.example/beds", KEY, 200, ""),
}


async def test_a_key_of_somebodys_own_opens_what_is_below_one_address_and_nothing_else() -> None:
    async with client(KEY, "tidings.example", gardener) as http:
        for case, (path, key, status, sentence) in HELD.items():
            for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}) if key else ({},):
                response = await http.get(path, headers=headers)
                assert response.status_code == status, case
                if sentence:
                    assert response.json()["detail"].startswith(sentence), case
    async with client(None, "localhost", gardener) as http:  # whoever shows such a key gets no more by it
        for case, (path, key, status, _) in HELD.items():
            if key in GARDENERS:
                assert (await http.get(path, headers={"X-API-Key": key})).status_code == status, case
