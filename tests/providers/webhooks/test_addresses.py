"""No URL, however it is spelled, leads a webhook into a network that its customer may not call."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import InvalidInput
from tidings.providers.webhooks.addresses import is_private, is_public, may_connect, read_url

PUBLIC = ["8.8.8.8", "193.0.6.139", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "::1",
    "fc00::1", "fdff::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
]  # fmt: skip
NEITHER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "100.100.100.200", "::", "::8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1",
    "2002:7f00:1::", "2002:808:808::", "3fff::1", "5f00::1", "fd00:ec2::254", "fe80::1", "fe80::1%2", "fec0::1",
    "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_the_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))
    assert not is_private(ip_address(text))


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_private_in_every_disguise(text: str) -> None:
    assert is_private(ip_address(text))
    assert not is_public(ip_address(text))


@every_case("text", NEITHER)
def test_special_addresses_are_refused_even_where_private_ones_are_allowed(text: str) -> None:
    assert not may_connect([ip_address(text)], encrypted=True, allow_private=True)


@settings(max_examples=200, deadline=None)
@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
@example(ip_address("::ffff:192.168.0.1"))
def test_no_address_is_public_and_special(address: IPv4Address | IPv6Address) -> None:
    special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified

    assert not (is_public(address) and (special or is_private(address) or not address.is_global))


@pytest.mark.parametrize(
    ("addresses", "encrypted", "allow_private", "allowed"),
    [
        (["8.8.8.8"], True, False, True),
        (["8.8.8.8", "2a00:1450::1"], True, False, True),
        (["8.8.8.8", "10.0.0.1"], True, False, False),
        (["8.8.8.8", "10.0.0.1"], True, True, True),
        (["8.8.8.8", "169.254.169.254"], True, True, False),
        (["8.8.8.8"], False, False, False),
        (["8.8.8.8"], False, True, False),
        (["10.0.0.1"], False, True, True),
        (["10.0.0.1", "8.8.8.8"], False, True, False),
        ([], True, True, False),
    ],
)
def test_one_bad_address_condemns_a_host(
    addresses: list[str], encrypted: bool, allow_private: bool, allowed: bool
) -> None:
    found = [ip_address(text) for text in addresses]

    assert may_connect(found, encrypted=encrypted, allow_private=allow_private) is allowed


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://customer.example", "customer.example", 443),
        ("https://customer.example:8443/hook?token=x", "customer.example", 8443),
        ("HTTPS://Customer.EXAMPLE./hook", "customer.example", 443),
        ("https://bücher.example/", "xn--bcher-kva.example", 443),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443),
        ("https://my_hooks.customer.example/", "my_hooks.customer.example", 443),
        ("https://8.8.8.8/", "8.8.8.8", 443),
        ("https://[2a00:1450::1]:444/", "2a00:1450::1", 444),
        ("https://localhost.customer.example/", "localhost.customer.example", 443),
    ],
)
def test_a_customers_url_is_read(url: str, host: str, port: int) -> None:
    target = read_url(url, allow_private=False)

    assert (target.host, target.port, target.encrypted) == (host, port, True)


def test_the_dot_at_the_end_of_a_name_is_not_sent() -> None:
    """Neither certificates nor the pinned address are found under a name that ends with it (RFC 6066, section 3)."""
    assert (
        read_url("https://customer.example.:8443/a?b", allow_private=False).url == "https://customer.example:8443/a?b"
    )


@every_case(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
        "１２７.0.0.1", "127。0。0。1", "%31%32%37.0.0.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "192.168.0.1", "169.254.169.254",
        "2852039166", "0xa9.0xfe.0xa9.0xfe", "[::ffff:a9fe:a9fe]", "100.64.0.1", "224.0.0.1", "255.255.255.255",
        "localhost", "LOCALHOST", "localhost.", "hooks.localhost", "ｌocalhost", "local%68ost", "loc\u00adalhost",
    ],
)  # fmt: skip
def test_no_spelling_of_a_private_host_is_accepted(host: str) -> None:
    with pytest.raises(InvalidInput):
        read_url(f"https://{host}/hook", allow_private=False)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/", "http://localhost/", "https://0x7f.1/", "http://n8n:5678/"]
)
def test_private_hosts_are_accepted_where_they_are_allowed(url: str) -> None:
    assert read_url(url, allow_private=True)


@every_case(
    ("url", "sentence"),
    [
        ("", "no URL"),
        ("customer.example/hunter2", "no URL"),
        ("/hunter2", "no URL"),
        ("https://", "no URL"),
        ("https://customer.example:99999/hunter2", "no URL"),
        ("https://[fe80::1%25eth0]/hunter2", "no URL"),
        ("https://[broken/hunter2", "no URL"),
        ("https://customer.example:0/hunter2", "port 0 of customer.example"),
        ("https://customer.example:22/hunter2", "port 22 of customer.example"),
        ("https://customer.example:6379/hunter2", "port 6379 of customer.example"),
        ("http://customer.example/hunter2", "webhooks to customer.example have to be encrypted; use https://"),
        ("ftp://customer.example/hunter2", "starts with https://"),
        ("file:///hunter2", "starts with https://"),
        ("javascript:hunter2", "starts with https://"),
        ("https://user:hunter2@customer.example/", "no user name and password"),
        ("https://hunter2@customer.example/", "no user name and password"),
        ("https://:hunter2@customer.example/", "no user name and password"),
        ("https://customer.example/#hunter2", "no fragment"),
        ("https://customer.example/#", "no fragment"),
        ("https://customer.example/ hunter2", "no spaces"),
        (" https://customer.example/hunter2", "no spaces"),
        ("https://customer.example/\r\nhunter2", "no spaces"),
        ("https:\\\\customer.example\\hunter2", "backslashes"),
        ("https://cus..tomer.example/hunter2", "no name"),
        ("https://-customer.example/hunter2", "no name"),
        ("https://*.example/hunter2", "no name"),
        ("https://customer.example../hunter2", "no name"),
        (f"https://{'a' * 64}.example/hunter2", "no name"),
        (f"https://{'a.' * 127}example/hunter2", "no name"),
        ("https://customer.example/" + "hunter2" * 300, "at most 2048 characters"),
    ],
)
def test_a_refused_url_gets_a_sentence_that_keeps_its_secret(url: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        read_url(url, allow_private=False)

    assert caught.value.field == "url"
    assert "hunter2" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60).map(lambda tail: f"https://{tail}") | st.text(max_size=60))
def test_every_text_is_read_or_refused(url: str) -> None:
    try:
        target = read_url(url, allow_private=False)
    except InvalidInput:
        return
    assert target.address is None or is_public(target.address)
    assert read_url(target.url, allow_private=False) == target
