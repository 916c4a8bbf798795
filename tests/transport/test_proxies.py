"""Which proxy is asked for which server: a table of addresses that no test may connect to."""

import pytest

from mm_magic.transport.proxies import Proxy, proxy_for

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "entries", "is_exempt"),
    [
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://11.1.2.3", "10.0.0.0/8", False),
        ("http://10.1.2.3:8000", "10.1.2.3", True),
        ("http://10.1.2.3:8000", "10.1.2.3:8000", True),
        ("http://10.1.2.3:8000", "10.1.2.3:80", False),
        ("http://[fe80::1]", "fe80::/10", True),
        ("http://[2001:db8::1]", "fe80::/10", False),
        ("http://[2001:db8::1]", "[2001:db8::1]", True),
        ("http://[2001:db8::1]", "2001:DB8:0::0:1", True),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000", True),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]:80", False),
        ("http://[2001:db8::1]", "[2001:db8::]/32", True),
        ("http://[fe80::1%25eth0]", "fe80::1%eth0", True),
        ("http://[::ffff:10.1.2.3]", "10.0.0.0/8", True),
        ("http://10.1.2.3", "::/0", False),
        ("http://10.1.2.3", "1.2.3", False),
        ("http://10.1.2.3", "*", True),
        ("https://a.org", "a.org:443", True),
        ("https://a.org.", "A.org", True),
        ("https://xa.org", "a.org", False),
        ("https://a.org", ".a.org", False),
        ("https://a.org", "", False),
        ("https://a.org", " , ,", False),
    ],
)
def test_entries(url: str, entries: str, is_exempt: bool) -> None:
    """An entry is a name, an address or a range, with a port if it is meant for one alone."""
    found = proxy_for(url, {"http": PROXY, "https": PROXY, "no": entries})
    assert (found is None) == is_exempt


def test_which_variable() -> None:
    """The scheme's own proxy comes before the one for all, and one without a scheme is HTTP's."""
    settings = {"https": "proxy:3128", "all": "socks5://s"}
    assert proxy_for("https://a.org", settings) == Proxy(PROXY, "HTTPS_PROXY")
    assert proxy_for("http://a.org", settings) == Proxy("socks5://s", "ALL_PROXY")
    assert proxy_for("http://a.org", {"https": PROXY, "http": ""}) is None
