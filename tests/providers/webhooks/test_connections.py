"""A webhook goes to the address that was judged, whatever the name means a moment later."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address

import pytest
import trustme

from providers.receiver import Names, Receiver, receiving
from support.servers import free_port
from tidings.errors import SendError
from tidings.providers.http import HttpResponse
from tidings.providers.webhooks.addresses import Address, Target, read_url
from tidings.providers.webhooks.connections import Connections
from tidings.providers.webhooks.names import SystemResolver
from tidings.providers.webhooks.send import WebhookRequest, Webhooks
from tidings.providers.webhooks.signatures import new_secret

PUBLIC = "8.8.8.8"  # never connected to: the tests that use it refuse it or only look at where it would have gone


def delivery(url: str) -> WebhookRequest:
    return WebhookRequest(url, "message.received", "webhook-event-7", 1, {"n": 1}, [new_secret()])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where webhooks would have gone; none of them leaves this machine."""
    addresses: list[str] = []

    async def post(
        _: Connections, target: Target, address: Address, body: bytes, headers: Mapping[str, str]
    ) -> object:
        addresses.append(str(address))
        return HttpResponse(200, {}, b"")

    monkeypatch.setattr(Connections, "post", post)
    return addresses


async def test_a_name_that_changes_after_the_check_leads_to_the_checked_address(
    receiver: Receiver, connected: list[str]
) -> None:
    names = Names([PUBLIC], ["127.0.0.1"])
    webhooks = Webhooks(resolver=names)

    await webhooks.deliver(delivery(f"https://customer.example:{receiver.port}/"))

    assert connected == [PUBLIC]
    assert names.asked == ["customer.example"]
    await webhooks.close()


async def test_a_name_that_changes_between_two_webhooks_is_refused_the_second_time(
    receiver: Receiver, connected: list[str]
) -> None:
    webhooks = Webhooks(resolver=Names([PUBLIC], ["127.0.0.1"]))
    url = f"https://customer.example:{receiver.port}/"

    await webhooks.deliver(delivery(url))
    with pytest.raises(SendError, match=r"do not go to customer\.example: an address of it is not public") as caught:
        await webhooks.deliver(delivery(url))

    assert connected == [PUBLIC]
    assert not caught.value.retryable
    assert receiver.connections == 0
    await webhooks.close()


async def test_real_sockets_open_at_the_checked_address_only() -> None:
    async with receiving("127.0.0.2") as checked, receiving("127.0.0.1", checked.port) as elsewhere:
        names = Names(["127.0.0.2"], ["127.0.0.1"])
        webhooks = Webhooks(allow_private=True, resolver=names)

        await webhooks.deliver(delivery(f"http://customer.example:{checked.port}/"))

        assert checked.requests[0].headers["host"] == f"customer.example:{checked.port}"
        assert elsewhere.connections == 0

        await webhooks.deliver(delivery(f"http://customer.example:{checked.port}/"))

        assert (len(checked.requests), len(elsewhere.requests)) == (1, 1)  # kept connections follow the name too
        await webhooks.close()


@pytest.mark.parametrize("host", ["Customer.EXAMPLE", "customer.example.", "CUSTOMER.example.", "ｃustomer.example"])
async def test_every_spelling_of_a_name_is_pinned(receiver: Receiver, host: str) -> None:
    webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.1"]))

    await webhooks.deliver(delivery(f"http://{host}:{receiver.port}/"))
    await webhooks.close()

    assert receiver.requests[0].headers["host"] == f"customer.example:{receiver.port}"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%2"],
    ],
)
async def test_a_host_with_any_address_inside_is_refused(receiver: Receiver, addresses: list[str]) -> None:
    webhooks = Webhooks(resolver=Names(addresses))

    with pytest.raises(SendError, match="not public") as caught:
        await webhooks.deliver(delivery(f"https://customer.example:{receiver.port}/"))
    await webhooks.close()

    assert not caught.value.retryable
    assert not any(address in str(caught.value) for address in addresses)
    assert receiver.connections == 0


@pytest.mark.parametrize("url", ["https://127.0.0.1:{port}/", "https://0x7f.1:{port}/", "https://localhost:{port}/"])
async def test_an_address_in_the_url_is_refused_without_a_look_up(receiver: Receiver, url: str) -> None:
    names = Names(["127.0.0.1"])
    webhooks = Webhooks(resolver=names)

    with pytest.raises(SendError, match="not public"):
        await webhooks.deliver(delivery(url.format(port=receiver.port)))
    await webhooks.close()

    assert names.asked == []
    assert receiver.connections == 0


async def test_an_unencrypted_webhook_stays_in_the_private_network(connected: list[str]) -> None:
    webhooks = Webhooks(allow_private=True, resolver=Names([PUBLIC], ["10.0.0.1"]))

    with pytest.raises(SendError, match="neither private nor public and encrypted"):
        await webhooks.deliver(delivery("http://customer.example/"))
    await webhooks.deliver(delivery("http://customer.example/"))
    await webhooks.close()

    assert connected == ["10.0.0.1"]


async def test_an_address_that_is_down_is_passed_over(receiver: Receiver) -> None:
    webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.3", "127.0.0.1"]))

    assert (await webhooks.deliver(delivery(f"http://customer.example:{receiver.port}/"))).status == 204
    await webhooks.close()


async def test_an_address_that_swallows_everything_leaves_time_for_another(receiver: Receiver) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.3", receiver.port))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:  # more than its queue holds: the kernel drops whoever comes next
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.3", "127.0.0.1"]), timeout=1.0)

        assert (await webhooks.deliver(delivery(f"http://customer.example:{receiver.port}/"))).status == 204
        await webhooks.close()
        for each in waiting:
            each.close()


async def test_an_event_that_was_sent_is_not_sent_to_another_address() -> None:
    async with receiving("127.0.0.2") as first, receiving("127.0.0.1", first.port) as second:

        async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        first.script = hangs_up
        webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.2", "127.0.0.1"]))
        with pytest.raises(SendError):
            await webhooks.deliver(delivery(f"http://customer.example:{first.port}/"))
        await webhooks.close()

        assert second.connections == 0


async def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, f"http://127.0.0.1:{free_port()}")
    webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.1"]))

    assert (await webhooks.deliver(delivery(f"http://customer.example:{receiver.port}/"))).status == 204
    await webhooks.close()


def server_side(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls_is_checked_against_the_name_not_the_address(authority: trustme.CA) -> None:
    seen: list[str | None] = []
    context = server_side(authority, "customer.example")
    context.sni_callback = lambda _, name, __: seen.append(name)
    async with receiving(tls=context) as receiver:
        webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.1"]), ca=authority.cert_pem.bytes())

        await webhooks.deliver(delivery(f"https://customer.example:{receiver.port}/"))
        await webhooks.close()

        assert receiver.requests[0].headers["host"] == f"customer.example:{receiver.port}"
    assert seen == ["customer.example"]


@pytest.mark.parametrize(("name", "trusted"), [("somebody.example", True), ("customer.example", False)])
async def test_a_foreign_or_unknown_certificate_is_refused(authority: trustme.CA, name: str, trusted: bool) -> None:
    async with receiving(tls=server_side(authority, name)) as receiver:
        ca = authority.cert_pem.bytes() if trusted else None
        webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.1"]), ca=ca)

        with pytest.raises(SendError, match=r"connection to customer\.example failed: .*certificate") as caught:
            await webhooks.deliver(delivery(f"https://customer.example:{receiver.port}/"))
        await webhooks.close()

        assert caught.value.retryable
        assert receiver.requests == []


async def test_few_clients_are_kept_and_the_longest_unused_goes_first(receiver: Receiver) -> None:
    connections = Connections(5, limit=2)

    for name in "abaca":  # b goes when c comes, and a stays
        target = read_url(f"http://{name}.example:{receiver.port}/", allow_private=True)
        await connections.post(target, ip_address("127.0.0.1"), b"{}", {})

    assert receiver.connections == 3
    await connections.close()


async def test_the_systems_names_are_looked_up_once_for_all_who_ask() -> None:
    resolver = SystemResolver()
    try:
        found = await asyncio.gather(*(resolver.resolve("localhost", 80) for _ in range(50)))
        assert "127.0.0.1" in found[0]
        assert all(answer is found[0] for answer in found)

        with pytest.raises(socket.gaierror):
            await resolver.resolve("no-such-host.invalid", 80)
    finally:
        await resolver.close()


async def test_whoever_gives_up_on_a_look_up_does_not_take_it_from_the_others() -> None:
    resolver = SystemResolver()
    try:
        impatient = asyncio.create_task(resolver.resolve("localhost", 80))
        patient = asyncio.create_task(resolver.resolve("localhost", 80))
        await asyncio.sleep(0)
        impatient.cancel()

        assert "127.0.0.1" in await patient
        assert impatient.cancelled()
    finally:
        await resolver.close()
