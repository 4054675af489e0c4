"""fashionnb.apps.collect.http_request: what may be asked, and what a hostile link tries.

How requests go on the web is tested in test_collect.py.
"""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionnb.apps.collect import http_request
from fashionnb.apps.collect.http_request import FetchError, checked_addresses, is_public, parse


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://a.example", "http://a.example/"),
        (" HTTP://A.Example:80/x?y=1#z ", "http://a.example/x?y=1"),
        ("https://a.example:443/x", "https://a.example/x"),
        ("https://a.example.:8443/x", "https://a.example:8443/x"),
        ("http://a.example:/x", "http://a.example/x"),
        (
            "http://bücher.example/Größe 38.jpg",
            "http://xn--bcher-kva.example/Gr%C3%B6%C3%9Fe%2038.jpg",
        ),
        ("http://a.example/100%25/%2F?q=ä", "http://a.example/100%25/%2F?q=%C3%A4"),
        ("http://[2001:DB8::1]/x", "http://[2001:db8::1]/x"),
        ("http://a.example/x\r\nHost: b.example", "http://a.example/x%0D%0AHost:%20b.example"),
        ("http://a.example/\ud800", "http://a.example/%ED%A0%80"),
        ("http://a.example?x=1", "http://a.example/?x=1"),
        ("http://a_b.example/", "http://a_b.example/"),
    ],
)
def test_an_address_is_brought_into_one_form(url, normal):
    assert parse(url).url == normal
    assert parse(normal).url == normal


@pytest.mark.parametrize(
    ("url", "phrase"),
    [
        ("", "an address without scheme"),
        ("a.example/x.jpg", "only http and https are asked, not 'an address without scheme'"),
        ("ftp://a.example/x", "only http and https are asked, not 'ftp'"),
        ("file:///etc/passwd", "only http and https"),
        ("javascript:alert(1)", "only http and https"),
        ("data:image/png;base64,AAAA", "only http and https"),
        ("http://me:secret@a.example/", "user name or password"),
        ("http://good.example@bad.example/", "user name or password"),
        ("http://", "is no name of a host"),
        ("http:///x", "is no name of a host"),
        ("http://a b.example/", "broken"),
        ("http://a%00b.example/", "broken"),
        ("http://a.example:99999/", "broken"),
        ("http://a.example:x/", "broken"),
        ("http://[::1/", "broken"),
        ("http://[nonsense]/", "broken"),
        ("http://a..example/", "is no name of a host"),
        (f"http://{'a' * 70}.example/", "is no name of a host"),
        ("http://a.example\r\nHost: b.example", "broken"),
    ],
)
def test_what_is_no_address_to_ask(url, phrase):
    with pytest.raises(FetchError, match=phrase) as caught:
        parse(url)
    assert (caught.value.status, caught.value.retry) == ("refused", False)


@given(
    st.text(max_size=30)
    | st.builds("http://{}/{}".format, st.text(max_size=9), st.text(max_size=9))
)
def test_whatever_is_not_refused_is_plain_ascii_without_gaps(url):
    try:
        address = parse(url)
    except FetchError:
        return
    assert address.url.isascii()
    assert not any(letter.isspace() or ord(letter) < 32 for letter in address.url)
    assert parse(address.url) == address


@pytest.mark.parametrize(
    "place",
    ["8.8.8.8", "151.101.0.84", "2606:4700::6810:84e5", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses(place):
    assert is_public(place)


@pytest.mark.parametrize(
    "place",
    [
        *(
            "127.0.0.1",
            "127.255.0.3",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
        ),
        *(
            "169.254.169.254",
            "100.64.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
        ),
        *(
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
        ),
        *("::ffff:127.0.0.1", "::ffff:192.168.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1"),
        *(
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2002:c0a8:1::1",
            "2001::1",
            "64:ff9b:1::1",
        ),
    ],
)
def test_addresses_that_are_not_public(place):
    assert not is_public(place)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_whatever_it_is_wrapped(inner):
    wrapped = [f"::ffff:{inner}", str(ipaddress.ip_address("64:ff9b::") + int(inner))]
    assert {is_public(place) for place in wrapped} == {is_public(str(inner))}


def test_a_name_is_refused_if_any_of_its_addresses_is_not_public(monkeypatch):
    monkeypatch.setattr(http_request, "resolve", lambda *_: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(
        FetchError, match=r"two\.example is 10\.0\.0\.1, which is no address of the public internet"
    ):
        checked_addresses(parse("http://two.example/"), allow_private=False)
    assert checked_addresses(parse("http://two.example/"), allow_private=True) == [
        ("8.8.8.8", 80),
        ("10.0.0.1", 80),
    ]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:7f00:1]", "localhost"],
)
def test_every_spelling_of_this_machine_is_refused(host):
    with pytest.raises(FetchError, match="no address of the public internet"):
        checked_addresses(parse(f"http://{host}/"), allow_private=False)


@pytest.mark.parametrize(
    ("code", "again", "phrase"),
    [
        (socket.EAI_NONAME, False, "no host of that name"),
        (socket.EAI_AGAIN, True, "cannot be looked up"),
    ],
)
def test_a_host_that_is_not_found(monkeypatch, code, again, phrase):
    def fail(*_):
        raise socket.gaierror(code, "why")

    monkeypatch.setattr(http_request, "resolve", fail)
    with pytest.raises(FetchError, match=phrase) as caught:
        checked_addresses(parse("http://gone.example/"), allow_private=False)
    assert (caught.value.status, caught.value.retry, caught.value.host) == (
        "failed",
        again,
        "gone.example",
    )
