"""Which proxy a server is reached through, as the environment says. Sends nothing.

httpx's own reading refuses every request over one entry of NO_PROXY that it can't read, such as
`fe80::/10` or `[::1]`, and takes `10.0.0.0/8` for a single address.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy's address, and the variable that names it."""

    url: str
    variable: str


def proxy_for(url: str, settings: Mapping[str, str]) -> Proxy | None:
    """The proxy for a server's address; None where it is reached directly.

    `settings` are those of `urllib.request.getproxies`: an address for each scheme or for "all",
    and in "no" the hosts that need none.
    """
    scheme = urlsplit(url).scheme
    name = scheme if settings.get(scheme) else "all"
    address = settings.get(name)
    if not address or _is_exempt(url, settings.get("no", "")):
        return None
    return Proxy(address if "://" in address else f"http://{address}", f"{name.upper()}_PROXY")


def _is_exempt(url: str, entries: str) -> bool:
    """Whether an entry of NO_PROXY means this server. One that can't be read means none."""
    parts = urlsplit(url)
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # no number
        port = None
    host = _bare(parts.hostname or "")
    return any(
        entry == "*" or _means(entry, parts.scheme, host, port)
        for entry in re.split(r"[\s,;]+", entries)
    )


def _means(entry: str, scheme: str, host: str, port: int | None) -> bool:
    """Whether one entry means the server. It may have a scheme, and a port behind it."""
    only, found, rest = entry.rpartition("://")
    if found and only.lower() not in (scheme, "all"):
        return False
    name, only_port = _split_port(rest)
    if not name or only_port not in (None, port):
        return False
    address = _address(host)
    if address is not None:
        return _holds(name, address)
    domain = _bare(re.sub(r"^(\*?\.|\*)", "", name))
    is_suffix = host.endswith(f".{domain}")
    return is_suffix or (host == domain and not name.startswith(("*", ".")))


def _split_port(text: str) -> tuple[str, int | None]:
    """`host:80`, `[::1]:80` and `::1` without their brackets, and the port if there is one."""
    found = re.fullmatch(r"\[([^\]]*)\](/\d+)?(?::(\d{1,5}))?|([^:]*)(?::(\d{1,5}))?", text)
    if found is None:
        return text, None
    inner, length, inner_port, name, port = found.groups()
    digits = inner_port or port
    return (name if inner is None else inner + (length or "")), int(digits) if digits else None


def _holds(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an entry is the address, or a range that holds it."""
    try:
        return address in ipaddress.ip_network(re.sub(r"%[^/]*", "", entry), strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is; an IPv4 address that is written as IPv6 is the former."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _bare(name: str) -> str:
    return name.lower().rstrip(".")
